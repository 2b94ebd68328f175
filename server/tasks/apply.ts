/** Events of tasks and steering runs, applied to the core. */
import { assertNever } from "../../protocol/assert-never.ts";
import { isEnded, TASK_TRANSITIONS, type PointState } from "../../protocol/states.ts";
import { effectiveLimits, isBuiltin } from "../../protocol/task.ts";
import type { Core, Task } from "../core.ts";
import type { EventOf } from "../events.ts";
import { ReadyQueue } from "../points/ready-queue.ts";

type TaskEvent = EventOf<
  | "taskDefined"
  | "taskStateChanged"
  | "taskLimitsChanged"
  | "runOpened"
  | "runAnswered"
  | "runFailed"
>;

/** The task with this id; its absence contradicts the journal. */
export function taskOf(core: Core, taskId: number): Task {
  const task = core.tasks.get(taskId);
  if (task === undefined) throw new Error(`event for unknown task ${taskId}`);
  return task;
}

export function applyTaskEvent(core: Core, event: TaskEvent): void {
  if (event.type === "taskDefined") return defineTask(core, event);
  const task = taskOf(core, event.taskId);
  task.version += 1;
  switch (event.type) {
    case "taskStateChanged":
      return changeState(core, task, event);
    case "taskLimitsChanged":
      task.limits = event.limits;
      task.effective = effectiveLimits(event.limits, isBuiltin(task.spec.steering));
      task.newsForSteering = true;
      return;
    case "runOpened":
      task.run = {
        run: event.run,
        epoch: event.epoch,
        try: event.try,
        pending: event.pending,
        generated: event.generated,
        wanted: event.wanted,
        openedSeq: core.seq,
        lease: null,
      };
      task.nextRun = event.run + 1;
      task.newsForSteering = false;
      return;
    case "runAnswered":
      dropRunLease(core, task);
      task.run = null;
      task.runsFinished += 1;
      task.askingEnded = event.endsAsking;
      return;
    case "runFailed":
      dropRunLease(core, task);
      if (task.run !== null) {
        task.run.try += 1;
        task.run.epoch = [core.incarnation, task.run.epoch[1] + 1];
      }
      if (event.endsAsking !== null) {
        task.run = null;
        task.askingEnded = event.endsAsking;
      }
      return;
    default:
      return assertNever(event);
  }
}

function defineTask(core: Core, event: EventOf<"taskDefined">): void {
  const { spec } = event;
  core.nextTaskId = Math.max(core.nextTaskId, event.taskId + 1);
  core.tasksByUuid.set(`${event.owner}/${spec.clientTaskUuid}`, event.taskId);
  core.tasks.set(event.taskId, {
    id: event.taskId,
    owner: event.owner,
    spec,
    specSha256: event.specSha256,
    createdAtMs: event.atMs,
    definedSeq: core.seq,
    endedAtMs: null,
    state: "defined",
    reason: "just submitted",
    drains: false,
    round: 1,
    limits: spec.limits,
    effective: effectiveLimits(spec.limits, isBuiltin(spec.steering)),
    points: new Map(),
    ready: new ReadyQueue(),
    counts: emptyCounts(),
    generated: 0,
    jobs: new Map(),
    activeCharged: 0,
    nextJobId: 0,
    jobsCharged: 0,
    interruptedJobs: new Set(),
    run: null,
    nextRun: 0,
    runsFinished: 0,
    askingEnded: null,
    newsForSteering: true,
    best: null,
    worstLoss: null,
    lossCount: 0,
    attemptsFailed: 0,
    interruptions: 0,
    failures: new Map(),
    imageFailure: null,
    durations: [],
    bestSoFar: [],
    version: 1,
  });
}

function changeState(core: Core, task: Task, event: EventOf<"taskStateChanged">): void {
  if (!TASK_TRANSITIONS[task.state].includes(event.state)) {
    throw new Error(`task ${task.id}: ${task.state} is never followed by ${event.state}`);
  }
  const newRound = isEnded(task.state) && event.state === "running";
  if (task.state === "paused") {
    task.failures.clear();
    task.imageFailure = null;
  }
  task.state = event.state;
  task.reason = event.reason;
  task.drains = event.drains;
  if (isEnded(event.state)) {
    task.endedAtMs = event.atMs;
    dropRunLease(core, task);
    task.run = null;
    core.activeTasks.delete(task);
  } else {
    core.activeTasks.add(task);
  }
  if (newRound) startRound(task);
}

/** Key of the lease on a task's open run, beside those of its points. */
export function runKey(task: Task): string {
  return `${task.id}:run`;
}

/** Takes the lease off the open run, if there is one. */
export function dropRunLease(core: Core, task: Task): void {
  const lease = task.run?.lease ?? null;
  if (task.run === null || lease === null) return;
  task.run.lease = null;
  const leases = core.leasesByPilot.get(lease.pilotId);
  leases?.delete(runKey(task));
  if (leases?.size === 0) core.leasesByPilot.delete(lease.pilotId);
}

function startRound(task: Task): void {
  task.round += 1;
  task.endedAtMs = null;
  task.askingEnded = null;
  task.newsForSteering = true;
  task.failures.clear();
  task.imageFailure = null;
  for (const point of task.points.values()) {
    if (point.state !== "notEvaluated") continue;
    task.counts.notEvaluated -= 1;
    task.counts.ready += 1;
    point.state = "ready";
    point.interruptionsInRow = 0;
    task.ready.push(point);
  }
}

function emptyCounts(): Record<PointState, number> {
  return { ready: 0, leased: 0, done: 0, diverged: 0, hopeless: 0, cancelled: 0, notEvaluated: 0 };
}
