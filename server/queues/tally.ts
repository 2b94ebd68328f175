/** What became of evaluations in each queue since the server started. Pure. */
import { SITE } from "../../protocol/limits.ts";
import type { Core } from "../core.ts";
import type { HyperpilotEvent } from "../events.ts";
import { liveQueue, type FailedEvaluation, type Live } from "../live.ts";

const MESSAGE_LENGTH_MAX = 300;

/** Counts an event that ends an evaluation; all others are let by. */
export function tallyEvent(core: Core, live: Live, event: HyperpilotEvent): void {
  if (event.type !== "attemptEnded" && event.type !== "leaseEnded") return;
  const { queue, pointId } = event;
  if (queue === undefined || queue === "" || pointId === null) return;
  const { tally } = liveQueue(live, queue);
  if (event.type === "attemptEnded" && isResult(event.outcome.type)) {
    tally.losses += 1;
    tally.recent.length = 0;
    return;
  }
  if (event.type === "leaseEnded" && !event.interruption) return;
  if (event.type === "attemptEnded") tally.failures += 1;
  else tally.interruptions += 1;
  tally.recent.push({
    ...failureOf(event),
    taskId: event.taskId,
    owner: core.tasks.get(event.taskId)?.owner ?? "",
    node: event.node,
    atMs: event.atMs,
  });
  tally.recent.splice(0, tally.recent.length - SITE.failedEvaluationsKept);
}

function isResult(outcome: string): boolean {
  return outcome === "loss" || outcome === "diverged";
}

type Ended = Extract<HyperpilotEvent, { type: "attemptEnded" | "leaseEnded" }>;

/** Cause and words of an evaluation that gave no loss. */
export function failureOf(event: Ended): Pick<FailedEvaluation, "cause" | "message"> {
  const cut = (text: string): string => text.slice(0, MESSAGE_LENGTH_MAX);
  if (event.type === "leaseEnded") {
    const [first = "", ...rest] = event.detail.split(": ");
    return event.reason === "interrupted"
      ? { cause: first, message: cut(rest.join(": ")) }
      : { cause: event.reason, message: cut(event.detail) };
  }
  const { outcome } = event;
  switch (outcome.type) {
    case "failed":
      return { cause: `${outcome.code} exit ${outcome.exitCode}`, message: cut(outcome.message) };
    case "timeout":
      return { cause: "timeout", message: `after ${Math.round(outcome.afterSeconds)} s` };
    case "interrupted":
      return { cause: outcome.reason, message: cut(outcome.message) };
    case "loss":
    case "diverged":
      return { cause: outcome.type, message: "" };
  }
}
