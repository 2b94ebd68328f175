/** Why a search has no place to run, in the words that its queues' own explanations have for it. Pure. */
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { TASK } from "../../protocol/limits.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { WhyCode } from "../../protocol/rest.ts";
import type { QueueWhyAnswer } from "../../protocol/site.ts";
import type { Task } from "../core.ts";
import type { LivePilot } from "../live.ts";
import { causeIn } from "../queues/causes/cause.ts";
import { TASK_CAUSES } from "../queues/causes/task-causes.ts";

export interface QueueLook {
  readonly queue: QueueConfig;
  readonly pilots: readonly LivePilot[];
  readonly slots: number;
  readonly freeSlots: number;
  readonly lacks: readonly string[];
  /** The queue itself fits, whatever its state. */
  readonly fits: boolean;
}

export interface Cause {
  readonly code: WhyCode;
  readonly sentence: string;
  readonly remedy: string;
  /** Code of the table of causes. */
  readonly cause?: string;
}

/** What a queue's own explanation says. */
export type Funnel = (queue: QueueConfig) => QueueWhyAnswer;

/** In a sentence; the table of queues shows all. */
const QUEUES_NAMED_MAX = 5;

export function noQueueFits(task: Task, looks: readonly QueueLook[]): Cause {
  const names = looks.map((look) => look.queue.name);
  const unknown = task.spec.queues.filter((name) => !names.includes(name));
  if (unknown.length > 0 && unknown.length === task.spec.queues.length) {
    const near = didYouMean(unknown[0] ?? "", names);
    return {
      code: "noQueueFits",
      sentence: `The search names ${unknown.map((name) => `'${name}'`).join(", ")}, and there is no such queue; there are: ${names.join(", ") || "none"}.`,
      remedy: `${near === null ? "Submit" : `Did you mean '${near}'? Submit`} it again with another --queue (--site of phpo), or with none`,
      cause: "queueUnknown",
    };
  }
  const isNamed = ({ queue }: QueueLook): boolean =>
    queue.role === "evaluation" &&
    (task.spec.queues.length === 0 || task.spec.queues.includes(queue.name));
  const candidates = looks.some(isNamed) ? looks.filter(isNamed) : looks;
  const [nearest] = [...candidates].sort((a, b) => a.lacks.length - b.lacks.length);
  const each = candidates
    .slice(0, QUEUES_NAMED_MAX)
    .map((look) => `${look.queue.name} ${look.lacks[0] ?? ""}`)
    .join("; ");
  const known =
    nearest === undefined ? null : causeIn(TASK_CAUSES, nearest.queue, nearest.lacks[0] ?? "");
  const less =
    "Ask for less (--cpus, --memory, --gpus, --internet), or add a queue: hyperpilot site queue add";
  return {
    code: "noQueueFits",
    sentence:
      looks.length === 0
        ? "No queue is configured, so there is nowhere to run."
        : `None of ${count(candidates.length, "queue")} fits: ${each}${candidates.length > QUEUES_NAMED_MAX ? "; and so on" : ""}.`,
    remedy: known === null ? less : known.remedy,
    ...(known === null ? {} : { cause: known.code }),
  };
}

/** What keeps pilots away from these queues, as each queue's own explanation says it; the first that is broken comes first. */
export function noPilot(what: string, queues: readonly QueueConfig[], funnel: Funnel): Cause {
  const funnels = queues
    .map((queue) => funnel(queue))
    .sort((a, b) => Number(a.cause?.waits ?? true) - Number(b.cause?.waits ?? true));
  const parts = funnels.map(({ name, cause: found, sentence }) => {
    const words = found === null || found.words === "" ? "" : ` (${found.words})`;
    return `${name}: ${sentence.replace(/\.$/, "")}${words}`;
  });
  const [first] = funnels;
  return {
    code: "noPilotYet",
    sentence: `${what}. ${parts.join("; ")}.`,
    remedy: `Who runs the site sees more: hyperpilot site why ${first?.name ?? ""}`,
    ...(first?.cause == null ? {} : { cause: first.cause.code }),
  };
}

/** Why the task was paused: by somebody, or by itself. */
export function pauseCause(task: Task): string {
  if (task.imageFailures.size > 0) return "imageMissing";
  const isFailFast = [...task.failures.values()].some((one) => one.count >= TASK.failFastAttempts);
  return isFailFast ? "failFast" : "taskPaused";
}

export function count(amount: number, noun: string): string {
  return `${amount} ${noun}${amount === 1 ? "" : "s"}`;
}
