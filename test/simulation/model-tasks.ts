/** The rules for tasks and their steering. */
import type { EventOf } from "../../server/events.ts";
import type { TaskState } from "../../protocol/states.ts";
import {
  dueOf,
  effectiveOf,
  hasEnded,
  isOlder,
  pendingOf,
  type Model,
  type RunModel,
  type TaskModel,
} from "./model.ts";

type TaskEvent = EventOf<
  | "taskDefined"
  | "taskStateChanged"
  | "taskLimitsChanged"
  | "runOpened"
  | "runAnswered"
  | "runFailed"
>;

/** From each state, those that may follow. */
const FOLLOWERS: Readonly<Record<TaskState, readonly TaskState[]>> = {
  defined: ["running", "aborted"],
  running: ["paused", "finishing", "finished", "failed", "aborted"],
  paused: ["running", "finishing", "finished", "failed", "aborted"],
  finishing: ["running", "finishing", "finished", "failed", "aborted"],
  finished: ["running"],
  failed: ["running"],
  aborted: ["running"],
};
const TRIES_MAX = 3;

export function applyTask(model: Model, event: TaskEvent): void {
  if (event.type === "taskDefined") return define(model, event);
  const task = model.tasks.get(event.taskId);
  if (task === undefined) {
    model.report("oneState", `${event.type} of the unknown task ${event.taskId}`);
    return;
  }
  model.touchedTasks.add(task);
  switch (event.type) {
    case "taskStateChanged":
      return changeState(model, task, event);
    case "taskLimitsChanged":
      task.limits = effectiveOf(event.limits, "method" in task.spec.steering);
      task.hasNews = true;
      return;
    case "runOpened":
      return openRun(model, task, event);
    case "runAnswered":
      return answerRun(model, task, event);
    case "runFailed":
      return failRun(model, task, event);
  }
}

function define(model: Model, event: EventOf<"taskDefined">): void {
  const { taskId, owner, spec } = event;
  const uuid = `${owner}/${spec.clientTaskUuid}`;
  model.must(!model.tasks.has(taskId), "oneState", () => `task ${taskId} was defined twice`);
  model.must(
    !model.uuids.has(uuid),
    "oneState",
    () => `${uuid} made tasks ${model.uuids.get(uuid)} and ${taskId}`,
  );
  model.uuids.set(uuid, taskId);
  const task: TaskModel = {
    id: taskId,
    owner,
    spec,
    state: "defined",
    drains: false,
    round: 1,
    limits: effectiveOf(spec.limits, "method" in spec.steering),
    points: new Map(),
    counts: {
      ready: 0,
      leased: 0,
      done: 0,
      diverged: 0,
      hopeless: 0,
      cancelled: 0,
      notEvaluated: 0,
    },
    generated: 0,
    jobs: new Map(),
    endedJobs: new Map(),
    nextJob: 0,
    charged: 0,
    interruptedJobs: 0,
    run: null,
    nextRun: 0,
    askingEnded: false,
    hasNews: true,
    losses: 0,
    best: null,
    worst: null,
    interruptions: 0,
    failures: new Map(),
    imageFailures: new Map(),
  };
  model.tasks.set(taskId, task);
  model.touchedTasks.add(task);
}

function changeState(model: Model, task: TaskModel, event: EventOf<"taskStateChanged">): void {
  const { state, drains } = event;
  const former = task.state;
  model.must(
    FOLLOWERS[former].includes(state),
    "rounds",
    () => `task ${task.id}: ${former} is followed by ${state}`,
  );
  const startsRound = hasEnded(task) && state === "running";
  if (former === "paused") forgetFailures(task);
  task.state = state;
  task.drains = drains;
  if (hasEnded(task)) checkEnd(model, task);
  if (startsRound) startRound(model, task);
}

/** What had failed may have been mended. */
function forgetFailures(task: TaskModel): void {
  task.failures.clear();
  task.imageFailures.clear();
}

function checkEnd(model: Model, task: TaskModel): void {
  const { counts, run, jobs, state, losses } = task;
  model.must(
    counts.leased === 0 && counts.ready === 0 && jobs.size === 0,
    "killed",
    () =>
      `task ${task.id} is ${state} with ${counts.ready} ready and ${counts.leased} leased points and ${jobs.size} jobs`,
  );
  model.must(run === null, "killed", () => `task ${task.id} is ${state} with an open run`);
  const hasLoss = losses > 0;
  model.must(
    state === "aborted" || (state === "finished") === hasLoss,
    "rounds",
    () => `task ${task.id} is ${state} with ${losses} losses`,
  );
}

function startRound(model: Model, task: TaskModel): void {
  task.round += 1;
  task.askingEnded = false;
  task.hasNews = true;
  forgetFailures(task);
  for (const point of task.points.values()) {
    if (point.state !== "notEvaluated" || point.isRetried) continue;
    task.counts.notEvaluated -= 1;
    task.counts.ready += 1;
    point.state = "ready";
    point.inRow = 0;
    model.touchedPoints.add(point);
  }
}

function openRun(model: Model, task: TaskModel, event: EventOf<"runOpened">): void {
  const due = dueOf(task);
  const where = `run ${event.run} of task ${task.id}`;
  model.must(task.run === null, "steering", () => `${where} opens beside run ${task.run?.run}`);
  model.must(due > 0, "steering", () => `${where} opens when none is due`);
  model.must(event.run === task.nextRun, "steering", () => `${where} is not run ${task.nextRun}`);
  model.must(
    event.wanted === due && event.pending === pendingOf(task) && event.generated === task.generated,
    "steering",
    () =>
      `${where} wants ${event.wanted} of ${due} with ${event.pending} of ${pendingOf(task)} pending`,
  );
  const { run, epoch, pending, wanted } = event;
  const made = { wanted, made: 0, drawn: 0 };
  task.run = {
    run,
    epoch,
    tries: event.try,
    pending,
    lease: null,
    ...made,
    openedSeq: model.seq,
  };
  task.nextRun = event.run + 1;
  task.hasNews = false;
}

function openRunOf(
  model: Model,
  task: TaskModel,
  event: { run: number; type: string },
): RunModel | null {
  const { run } = task;
  if (run?.run === event.run) return run;
  model.report(
    "steering",
    `${event.type} of run ${event.run} of task ${task.id}, open is ${run?.run}`,
  );
  return null;
}

function answerRun(model: Model, task: TaskModel, event: EventOf<"runAnswered">): void {
  const run = openRunOf(model, task, event);
  if (run === null) return;
  model.must(
    event.points === run.made,
    "steering",
    () =>
      `run ${run.run} of task ${task.id} is said to bring ${event.points} points and brought ${run.made}`,
  );
  const isUsedUp =
    "method" in task.spec.steering && event.endsAsking?.includes("combinations") === true;
  const isEmpty = event.points === 0 && event.surplus === 0 && run.pending === 0;
  model.must(
    event.endsAsking === null || isUsedUp || isEmpty,
    "steering",
    () => `run ${run.run} of task ${task.id} ends asking with ${run.pending} pending points`,
  );
  if (run.lease !== null) model.drop(run.lease);
  task.run = null;
  task.askingEnded = event.endsAsking !== null;
}

function failRun(model: Model, task: TaskModel, event: EventOf<"runFailed">): void {
  const run = openRunOf(model, task, event);
  if (run === null) return;
  const where = `run ${run.run} of task ${task.id}`;
  model.must(
    event.try === run.tries,
    "steering",
    () => `${where} fails try ${event.try} of ${run.tries}`,
  );
  model.must(
    event.endsAsking !== null || run.tries < TRIES_MAX,
    "steering",
    () => `${where} goes on after ${run.tries} tries`,
  );
  if (run.lease !== null) model.drop(run.lease);
  run.lease = null;
  run.tries += 1;
  run.epoch = [model.incarnation, run.epoch[1] + 1];
  if (event.endsAsking === null) return;
  task.run = null;
  task.askingEnded = true;
}

/** Whether the run's present epoch is newer than `epoch`. */
export function runIsNewer(run: RunModel, epoch: RunModel["epoch"]): boolean {
  return isOlder(epoch, run.epoch);
}
