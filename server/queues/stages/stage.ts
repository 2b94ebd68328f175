/** One stage of a queue's funnel, and what keeps it from going on. */
import type { QueueConfig } from "../../../protocol/queue.ts";
import type { CauseView, FunnelStage, FunnelStageName } from "../../../protocol/site.ts";
import type { Core, Task } from "../../core.ts";
import type { Live, LivePilot, LiveQueue } from "../../live.ts";
import { causeIn, foundCause, type Cause, type FoundCause } from "../causes/cause.ts";

/** What all stages look at. */
export interface Look {
  readonly core: Core;
  readonly live: Live;
  readonly queue: QueueConfig;
  readonly state: LiveQueue;
  /** Connected pilots of the queue. */
  readonly pilots: readonly LivePilot[];
  /** Searches that have not ended. */
  readonly tasks: readonly Task[];
  readonly nowMs: number;
}

export interface Stage extends FunnelStage {
  /** Set where it is broken or waits. */
  readonly cause: CauseView | null;
  /** Output of a job that shows the cause. */
  readonly output: string;
}

export function okStage(
  stage: FunnelStageName,
  sentence: string,
  details: readonly string[] = [],
): Stage {
  return { stage, status: "ok", sentence, details: [...details], cause: null, output: "" };
}

export interface Stop {
  readonly sentence: string;
  readonly cause: FoundCause;
  /** The system's own words. */
  readonly words?: string;
  readonly details?: readonly string[];
  readonly output?: string;
}

/** A stage that does not let the next one begin; what only takes time is not broken. */
export function stopStage(stage: FunnelStageName, stop: Stop): Stage {
  const { sentence, cause, words = "", details = [], output = "" } = stop;
  const status = cause.waits ? "waits" : "broken";
  return { stage, status, sentence, details: [...details], cause: { ...cause, words }, output };
}

/** What the table knows of these words, else the given entry. */
export function causeOrElse(
  table: readonly Cause[],
  queue: QueueConfig,
  { words, otherwise }: { readonly words: string; readonly otherwise: Omit<Cause, "words"> },
): FoundCause {
  return causeIn(table, queue, words) ?? foundCause(otherwise, queue);
}

export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}

/** "45 s", "12 min", "3 h", "2 d": for orientation. */
export function ageText(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}
