/** How often what happened: a simulation that never reaches a case proves nothing about it. */
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";

export type Tally = Record<string, number>;

export function count(tally: Tally, name: string): void {
  tally[name] = (tally[name] ?? 0) + 1;
}

export function addTally(sum: Tally, part: Tally): void {
  for (const [name, value] of Object.entries(part)) sum[name] = (sum[name] ?? 0) + value;
}

/** The cases that an event is one of. */
export function casesOf(event: HyperpilotEvent): string[] {
  switch (event.type) {
    case "leaseEnded": {
      const image = event.imageCause === undefined ? [] : [`image ${event.imageCause}`];
      return [`lease ended: ${event.reason}`, ...image];
    }
    case "leaseGranted":
      return [event.pointId === null ? "run granted" : "point granted"];
    case "attemptEnded":
      return [`attempt ended: ${event.outcome.type}`];
    case "pointFinal":
      return [`point final: ${event.state}`];
    case "taskStateChanged":
      return [`task: ${event.state}`, ...pausedBy(event)];
    case "runFailed":
      return [event.endsAsking === null ? "run tried again" : "run given up"];
    case "runAnswered":
      return [event.surplus > 0 ? "run answered with surplus" : "run answered"];
    case "pointGenerated":
      if (event.retryOf !== null) return ["point retried"];
      return [event.run === null ? "point drawn" : "point made"];
    case "tokenChanged":
      return [event.change.kind];
    default:
      return [event.type];
  }
}

function pausedBy({ state, by, reason }: EventOf<"taskStateChanged">): string[] {
  if (state !== "paused" || by !== "server") return [];
  return [reason.includes("attempts failed alike") ? "paused: failures" : "paused: images"];
}

/** Cases that simulations must reach again and again; the tests look at them. */
export const CASES = [
  "lease ended: release",
  "lease ended: expired",
  "lease ended: notHeld",
  "lease ended: bye",
  "lease ended: submissionEnded",
  "lease ended: newInstance",
  "lease ended: interrupted",
  "run granted",
  "attempt ended: loss",
  "attempt ended: failed",
  "attempt ended: timeout",
  "attempt ended: diverged",
  "point final: done",
  "point final: diverged",
  "point final: hopeless",
  "point final: cancelled",
  "point final: notEvaluated",
  "task: paused",
  "task: finishing",
  "task: finished",
  "task: failed",
  "task: aborted",
  "run tried again",
  "run given up",
  "run answered with surplus",
  "point retried",
  "point drawn",
  "checkpointStored",
  "checkpointDropped",
  "blob damaged",
  "evaluation continued",
  "continued from the one before",
  "state doubted",
  "no state trusted",
  "image notFound",
  "image denied",
  "image unfit",
  "paused: images",
  "paused: failures",
  "node avoided",
  "node avoided again",
  "node works again",
  "nodeDrained",
  "node drained by somebody",
  "node drained by the server",
  "pilot drained by somebody",
  "bootExchanged",
  "bootEnded",
  "late attempt taken",
  "late interruption taken",
  "late answer of a run taken",
  "result repeated",
  "result stale",
  "answer of a run stale",
  "tenth interruption in a row",
  "new round",
  "duplicate reused",
  "lease revoked",
  "stop sent",
  "events lost by a crash",
  "records kept that nobody was told of",
  "journal write failed",
  "pilot turned away",
  "pilot left by itself",
  "state compared",
  "backup restored",
  "started from a snapshot",
] as const;
export type Case = (typeof CASES)[number];
