/** Submission of a search: checked, made durable, started. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { imageAlias, missingPredefined } from "../../protocol/image-names.ts";
import { parseJsonText } from "../../protocol/json-text.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { isSpaceList, parseSearchSpaces } from "../../protocol/segmented-space.ts";
import { steeringCommand } from "../../protocol/steering-command.ts";
import {
  effectiveLimits,
  isBuiltin,
  searchCount,
  type TaskSpecification,
} from "../../protocol/task.ts";
import type { Core, Task } from "../core.ts";
import type { CommandValues } from "../inbox.ts";
import { queueLacks } from "../points/jobs.ts";
import { emit, type Turn } from "../turn.ts";
import { checkCadence, checkTotal, startTask } from "./lifecycle.ts";
import { maxPointsOf } from "./segments.ts";

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
  const { minUnevaluatedPoints, nPointsPerIteration, maxPoints } = effectiveLimits(
    spec.limits,
    isBuiltin(spec.steering),
    searchCount(spec),
  );
  checkCadence(minUnevaluatedPoints, nPointsPerIteration);
  checkTotal(maxPoints, searchCount(spec));
  checkNames(spec);
  if (isBuiltin(spec.steering)) return readableSpace(spec);
  const central = [...core.queues.values()].filter((queue) => queue.role === "central");
  if (central.length === 0) throw noCentralQueue();
  const { image } = steeringCommand(spec.steering, {
    numPoints: nPointsPerIteration,
    maxPoints: maxPoints * searchCount(spec),
  });
  const missing = missingPredefined(image);
  if (missing !== null && !central.some((queue) => imageAlias(image, queue.images) !== null))
    throw missing;
  return spec.whileSteering === "random" ? drawableSpace(spec) : spaceWarnings(spec);
}

/** Errors: E_JSON, E_SEARCH_SPACE. */
function readableSpace(spec: TaskSpecification): string[] {
  return [...parseSearchSpaces(spec.searchSpace, spec.segments.length, "searchSpace").warnings];
}

/** The server itself draws points from the space, so it must be able to read it. */
function drawableSpace(spec: TaskSpecification): string[] {
  checkClones(spec);
  try {
    return readableSpace(spec);
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    throw new HyperpilotError({
      code: "E_TASK_SPECIFICATION",
      message: "whileSteering random needs a search space from which the server can draw points.",
      why: error.message,
      remedy:
        "Correct the search space (--searchSpaceFile), or let slots wait for the steering: --whileSteering wait.",
    });
  }
}

/** A container gets the search space as it is, so only what would make its input unreadable is refused. */
function spaceWarnings(spec: TaskSpecification): string[] {
  const { searchSpace } = spec;
  // None was given: iDDS tells the container null.
  if (["", "null"].includes(searchSpace.trim())) return [];
  parseJsonText(searchSpace, { name: "searchSpace", bytesMax: TASK.searchSpaceBytesMax });
  checkClones(spec);
  try {
    return readableSpace(spec);
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    return [`the search space goes to the steering container as it is, but ${error.message}`];
  }
}

/** One space for all segments is repeated for each of them in every %IN. */
function checkClones({ searchSpace, segments }: TaskSpecification): void {
  const bytes = searchSpace.length * segments.length;
  if (isSpaceList(searchSpace) || bytes <= TASK.segmentSpacesBytesMax) return;
  throw new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `A search space of ${searchSpace.length} bytes for each of ${segments.length} segments is more than ${TASK.segmentSpacesBytesMax} bytes.`,
    why: "The file %IN of the steering repeats it for each segment.",
    remedy: "Make the search space shorter, or submit fewer segments per task.",
  });
}

/** Names tell segments apart wherever they are shown. */
function checkNames({ segments }: TaskSpecification): void {
  const names = segments.map((segment) => segment.name);
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice === undefined) return;
  throw new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `Two segments have the name "${twice}".`,
    remedy: "Give each segment a name of its own.",
  });
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
  const unknown = task.spec.queues.filter((name) => !core.queues.has(name));
  if (unknown.length > 0) {
    const known = [...core.queues.values()].filter((queue) => queue.role === "evaluation");
    const names = known.map((queue) => queue.name).join(", ") || "none";
    const which = unknown.map((name) => JSON.stringify(name)).join(", ");
    return [`there is no queue ${which} here (--site, --queue); there are: ${names}`];
  }
  const fitting = [...core.queues.values()].filter((queue) => queueLacks(task, queue).length === 0);
  if (fitting.length > 0) return [];
  return [`no queue fits this search now; 'hyperpilot task why ${task.id}' says what each lacks`];
}

/** Numbers that keep slots idle, with the numbers to set. */
export function cadenceWarnings(task: Task): string[] {
  const { nPointsPerIteration, nParallelEvaluation } = task.effective;
  const segments = task.segments.length;
  const busy = nPointsPerIteration * segments;
  if (busy >= Math.min(nParallelEvaluation, maxPointsOf(task))) return [];
  const where = segments === 1 ? "" : ` in each of ${segments} segments`;
  return [
    `at most ${busy} of ${nParallelEvaluation} parallel evaluations will be busy, because nPointsPerIteration is ${nPointsPerIteration}${where}; ` +
      `to keep all busy: ${cadenceRemedy(task)}`,
  ];
}

/** The command that sets numbers which keep nParallelEvaluation slots busy, with one point to spare. */
export function cadenceRemedy(task: Task): string {
  const share = Math.ceil(task.effective.nParallelEvaluation / task.segments.length);
  return `hyperpilot task limits ${task.id} --nPointsPerIteration ${share + 2} --minUnevaluatedPoints ${share + 1}`;
}
