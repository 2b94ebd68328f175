/** Whether pilots are wanted in a queue at all. */
import type { QueueConfig } from "../../../protocol/queue.ts";
import { SITE } from "../../../protocol/limits.ts";
import { lackingFor } from "../../../protocol/resources.ts";
import { isBuiltin } from "../../../protocol/task.ts";
import type { Task } from "../../core.ts";
import { queueLacks } from "../../points/jobs.ts";
import { causeIn, foundCause, type FoundCause } from "../causes/cause.ts";
import { TASK_CAUSES } from "../causes/task-causes.ts";
import { count, okStage, stopStage, type Look, type Stage } from "./stage.ts";

export function wantedStage(look: Look): Stage {
  const { queue, state, pilots } = look;
  const forbidden = forbiddenBy(look);
  const isClosed = queue.state === "offline" || queue.state === "drain";
  if (forbidden !== null && (pilots.length === 0 || isClosed)) {
    const { sentence, cause } = forbidden;
    const busy = pilots.length > 0 ? `; ${count(pilots.length, "pilot")} still connected` : "";
    return stopStage("wanted", { sentence: sentence + busy, cause });
  }
  if (state.wantedPilots > 0) {
    const most = `at most ${queue.limits.maxPilots} (limits.maxPilots)`;
    return okStage("wanted", `${count(state.wantedPilots, "pilot")} wanted, ${most}`);
  }
  if (pilots.length > 0) return okStage("wanted", "no more pilots than there are");
  return withoutDemand(look);
}

function forbiddenBy({
  queue,
}: Look): { readonly sentence: string; readonly cause: FoundCause } | null {
  const { state, limits, name } = queue;
  if (state === "offline" || state === "drain") {
    const entry = {
      code: state === "offline" ? "queueOffline" : "queueDrained",
      means: `The queue is ${state}: no pilots are submitted and no work is given out.`,
      remedy: `hyperpilot site queue online ${name}`,
    };
    return { sentence: `the queue is ${state}`, cause: foundCause(entry, queue) };
  }
  const zero = (["maxPilots", "maxQueued"] as const).find((limit) => limits[limit] === 0);
  if (zero === undefined) return null;
  const entry = {
    code: "noPilotsAllowed",
    means: `The queue allows no pilots: limits.${zero} is 0.`,
    remedy: `hyperpilot site queue limit ${name} ${zero}=10`,
  };
  return { sentence: `limits.${zero} is 0`, cause: foundCause(entry, queue) };
}

/** Nobody wants pilots here: because there is no work, or because none of it fits. */
function withoutDemand(look: Look): Stage {
  const { queue, tasks } = look;
  if (queue.role === "central") return withoutRuns(look);
  // Searches that name other queues say nothing about this one.
  const waiting = tasks
    .filter(({ spec }) => spec.queues.length === 0 || spec.queues.includes(queue.name))
    .map((task) => ({ task, lacks: lacksFor(look, task) }))
    .sort((a, b) => a.lacks.length - b.lacks.length);
  const details = waiting
    .slice(0, SITE.tasksNamedMax)
    .map(({ task, lacks }) => `task ${task.id} of ${task.owner}: ${reasonOf(task, lacks)}`);
  const [first] = waiting;
  if (first === undefined) {
    const means =
      tasks.length === 0
        ? "No search is running, so no pilots are needed."
        : "The searches that run name other queues, so no pilots are needed here.";
    const remedy = `Nothing. To try the queue all the same: hyperpilot site queue test ${queue.name}`;
    const cause = foundCause({ code: "noDemand", waits: true, means, remedy }, queue);
    return stopStage("wanted", { sentence: "no search is running for it", cause });
  }
  const misfits = waiting.filter(({ lacks }) => lacks.length > 0);
  if (misfits.length === waiting.length) {
    const words = first.lacks[0] ?? "";
    const cause = causeIn(TASK_CAUSES, queue, words) ?? unknownMisfit(look);
    const sentence = `none of ${count(waiting.length, "search")} fits this queue`.replace(
      "searchs",
      "searches",
    );
    return stopStage("wanted", { sentence, cause, words: `the queue ${words}`, details });
  }
  const means = "The searches that fit have no point that waits for a slot now.";
  const paused = waiting.find(({ task, lacks }) => lacks.length === 0 && task.state === "paused");
  const cause =
    paused === undefined
      ? foundCause(
          {
            code: "noDemand",
            waits: true,
            means,
            remedy: "Nothing: pilots come with the next points.",
          },
          queue,
        )
      : taskPaused(queue, paused.task);
  return stopStage("wanted", { sentence: "no point waits for a slot here", cause, details });
}

/** The search that would have work for the queue is paused. */
export function taskPaused(queue: QueueConfig, task: Task): FoundCause {
  return foundCause(
    {
      code: "taskPaused",
      waits: true,
      means: `The search that fits is paused: ${task.reason}.`,
      remedy: `Its owner resumes it: hyperpilot task resume ${task.id}`,
    },
    queue,
  );
}

function unknownMisfit({ queue }: Look): FoundCause {
  const means = "None of the running searches fits the queue.";
  return foundCause({ code: "nothingFits", means, remedy: "hyperpilot task why TASK" }, queue);
}

function reasonOf(task: Task, lacks: readonly string[]): string {
  if (lacks.length > 0) return `the queue ${lacks.join("; ")}`;
  if (task.state === "paused") return `paused: ${task.reason}`;
  return task.counts.ready > 0 ? "has all the slots that it wants" : "no point is ready";
}

/** What the queue as configured lacks for a search. */
function lacksFor({ queue }: Look, task: Task): string[] {
  const lacks = queueLacks(task, queue);
  const { needs } = task.spec;
  const { cpus, memoryMiB, gpus } = queue.slot;
  const shape = { cpus, memoryBytes: memoryMiB * 1_048_576, gpus: [] };
  lacks.push(...lackingFor({ ...needs, gpus: null }, shape));
  // Models are known only when pilots are there.
  if (needs.gpus !== null && gpus < needs.gpus.count)
    lacks.push(`has ${gpus} fitting GPUs per slot, the task asks for ${needs.gpus.count}`);
  return lacks;
}

function withoutRuns({ queue, tasks }: Look): Stage {
  const steered = tasks.filter((task) => !isBuiltin(task.spec.steering)).length;
  const means = "No steering container waits for a slot now.";
  const cause = foundCause({ code: "noDemand", waits: true, means, remedy: "Nothing." }, queue);
  const sentence = `no run of steering is open (${count(steered, "search")} with a steering container)`;
  return stopStage("wanted", { sentence: sentence.replace("searchs", "searches"), cause });
}
