/** Notices that a task cannot be run on this machine at all, where nobody would look at queues and pilots. */
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { TaskId } from "../../protocol/ids.ts";
import type { Api } from "../api.ts";
import { pilotFailure } from "./pilot-logs.ts";

const POLL_MS = 1_000;
/** A first failure may pass, such as that of a machine under load. */
const FAILURES_SEEN = 2;

export interface Placement {
  readonly taskId: TaskId;
  readonly signal: AbortSignal;
  /** Data directory of the server's pilots. */
  readonly data: string;
}

/**
 * Rejects when no queue of the server fits, or when pilots end without connecting; never resolves. Only for servers that serve
 * this machine alone. Errors: what a pilot said, or E_RUNTIME, E_CONFLICT with what the queues lack.
 */
export async function untilPlacementFails(
  clock: Clock,
  api: Api,
  { taskId, signal, data }: Placement,
): Promise<never> {
  let failures = 0;
  while (!signal.aborted) {
    await clock.sleep(POLL_MS, signal).catch(() => undefined);
    const why = await api.call("why", { params: { taskId } }).catch(() => null);
    if (why === null) continue;
    if (why.code === "noQueueFits")
      throw new HyperpilotError({
        code: "E_CONFLICT",
        message: "This machine has no room for one evaluation.",
        why: why.sentence,
        remedy: why.remedy,
      });
    const error = why.code === "noPilotYet" ? await pilotError(api) : null;
    failures = error === null ? 0 : failures + 1;
    if (error !== null && failures >= FAILURES_SEEN)
      throw new HyperpilotError(
        pilotFailure(data) ?? {
          code: "E_RUNTIME",
          message: "Evaluations cannot be started on this machine.",
          why: error,
          remedy: "Remove the cause, then try again.",
        },
      );
  }
  return new Promise<never>(() => undefined);
}

async function pilotError(api: Api): Promise<string | null> {
  const { items } = await api.call("listQueues", {});
  return (
    items.find(({ lastError, pilots }) => pilots === 0 && lastError !== null)?.lastError ?? null
  );
}
