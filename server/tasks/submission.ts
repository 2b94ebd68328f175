/** Submission of a search: checked, made durable, started. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { imageAlias, missingPredefined } from "../../protocol/image-names.ts";
import { parseJsonText } from "../../protocol/json-text.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { parseSearchSpace } from "../../protocol/search-space.ts";
import { steeringCommand } from "../../protocol/steering-command.ts";
import { effectiveLimits, isBuiltin, type TaskSpecification } from "../../protocol/task.ts";
import type { Core, Task } from "../core.ts";
import type { CommandValues } from "../inbox.ts";
import { queueLacks } from "../points/jobs.ts";
import { emit, type Turn } from "../turn.ts";
import { checkCadence, startTask } from "./lifecycle.ts";

/** Defines and starts a task. The same specification under the same uuid is the same task; another one is E_CONFLICT. */
export function submitTask(
  turn: Turn,
  spec: TaskSpecification,
  owner: string,
): CommandValues["submitTask"] {
  const { core } = turn;
  const specSha256 = turn.ports.sha256(JSON.stringify(spec));
  const knownId = core.tasksByUuid.get(`${owner}/${spec.clientTaskUuid}`);
  const known = knownId === undefined ? undefined : core.tasks.get(knownId);
  if (known !== undefined) return repeated(known, specSha256);
  const warnings = check(core, spec, owner);
  const taskId = core.nextTaskId;
  emit(turn, { type: "taskDefined", taskId, owner, spec, specSha256 });
  const task = core.tasks.get(taskId);
  if (task === undefined) throw new Error(`task ${taskId} was not defined`);
  startTask(turn, task, owner);
  warnings.push(...queueWarnings(core, task), ...cadenceWarnings(task));
  return { taskId, existed: false, warnings };
}

function repeated(task: Task, specSha256: string): CommandValues["submitTask"] {
  if (task.specSha256 === specSha256) return { taskId: task.id, existed: true, warnings: [] };
  throw new HyperpilotError({
    code: "E_CONFLICT",
    message: `Task ${task.id} was submitted with this clientTaskUuid and another specification.`,
    remedy: "Use a new clientTaskUuid for a new search.",
  });
}

/** Refuses what cannot work; returns warnings for what may be meant otherwise. */
function check(core: Core, spec: TaskSpecification, owner: string): string[] {
  let active = 0;
  for (const task of core.activeTasks) if (task.owner === owner) active += 1;
  if (active >= SERVER.tasksPerUserActiveMax) {
    throw new HyperpilotError({
      code: "E_LIMIT",
      message: `User ${owner} has ${active} active searches, the most that is allowed.`,
      remedy: "Wait until some have ended, or kill some: hyperpilot task list",
    });
  }
  const builtin = isBuiltin(spec.steering);
  const { minUnevaluatedPoints, nPointsPerIteration } = effectiveLimits(spec.limits, builtin);
  checkCadence(minUnevaluatedPoints, nPointsPerIteration);
  if (isBuiltin(spec.steering))
    return [...parseSearchSpace(spec.searchSpace, "searchSpace").warnings];
  const central = [...core.queues.values()].filter((queue) => queue.role === "central");
  if (central.length === 0) throw noCentralQueue();
  const { image } = steeringCommand(spec.steering, {
    numPoints: nPointsPerIteration,
    maxPoints: spec.limits.maxPoints,
  });
  const missing = missingPredefined(image);
  if (missing !== null && !central.some((queue) => imageAlias(image, queue.images) !== null))
    throw missing;
  return spaceWarnings(spec.searchSpace);
}

/** A container gets the search space as it is, so only what would make its input unreadable is refused. */
function spaceWarnings(searchSpace: string): string[] {
  if (searchSpace.trim() === "") return [];
  parseJsonText(searchSpace, { name: "searchSpace", bytesMax: TASK.searchSpaceBytesMax });
  try {
    return [...parseSearchSpace(searchSpace, "searchSpace").warnings];
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    return [`the search space goes to the steering container as it is, but ${error.message}`];
  }
}

function noCentralQueue(): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: "No queue here runs steering containers.",
    why: "Container steering needs a queue with role 'central', and none is configured.",
    remedy:
      'Use built-in steering (--method tpe, random or grid), or have one added: hyperpilot site queue add FILE with role = "central"',
  });
}

function queueWarnings(core: Core, task: Task): string[] {
  const fitting = [...core.queues.values()].filter((queue) => queueLacks(task, queue).length === 0);
  if (fitting.length > 0) return [];
  return [`no queue fits this search now; 'hyperpilot task why ${task.id}' says what each lacks`];
}

/** Numbers that keep slots idle, with the numbers to set. */
export function cadenceWarnings(task: Task): string[] {
  const { nPointsPerIteration, nParallelEvaluation, maxPoints } = task.effective;
  const useful = Math.min(nParallelEvaluation, maxPoints);
  if (nPointsPerIteration >= useful) return [];
  return [
    `at most ${nPointsPerIteration} of ${nParallelEvaluation} parallel evaluations will be busy, because nPointsPerIteration is ${nPointsPerIteration}; ` +
      `set --nPointsPerIteration ${nParallelEvaluation + 2} --minUnevaluatedPoints ${nParallelEvaluation + 1}`,
  ];
}
