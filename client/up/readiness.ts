/** Waits for the server of a data directory, and for no other that happens to answer at the same address. */
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { createApi } from "../api.ts";
import { readAccess } from "../connection.ts";

const INTERVAL_MS = 50;
const ANSWER_MS = 5_000;

/** Address of the server once it answers with its data directory. Errors: E_TIMEOUT, or what the server answered last. */
export async function answeringServer(request: {
  readonly data: string;
  readonly clock: Clock;
  readonly deadlineMs: number;
  /** Ends the waiting: nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}): Promise<string> {
  const { data, clock, deadlineMs, signal } = request;
  let last: unknown = null;
  while (clock.monotonicMs() < deadlineMs) {
    const access = readAccess(data);
    if (access !== null) {
      try {
        const status = await createApi(access, ANSWER_MS).call("status", {});
        if (status.dataDirectory === data) return access.server;
      } catch (error) {
        // Not up yet, or still the file of the last start.
        last = error;
      }
    }
    await clock.sleep(INTERVAL_MS, signal);
  }
  throw new HyperpilotError(
    {
      code: "E_TIMEOUT",
      message: "The server does not answer.",
      why:
        last instanceof HyperpilotError
          ? (last.why ?? last.message)
          : "It never wrote access.json.",
      remedy: `Read ${data}/up/server.log.`,
    },
    last,
  );
}
