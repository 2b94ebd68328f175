/** Events of tasks and steering runs, applied to the core. */
import { assertNever } from "../../protocol/assert-never.ts";
import { isEnded, TASK_TRANSITIONS } from "../../protocol/states.ts";
import { effectiveLimits, isBuiltin, searchCount, TaskSpecification } from "../../protocol/task.ts";
import type { AskedSegment, Core, Task } from "../core.ts";
import type { EventOf } from "../events.ts";
import { refer } from "../points/files.ts";
import { PointTable } from "../points/point-table.ts";
import { ReadyPoints } from "../points/ready-points.ts";
import {
  createSegments,
  emptyCounts,
  refreshSegment,
  refreshSegments,
  segmentOf,
} from "./segments.ts";

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
      task.effective = limitsOf(task.spec, event.limits);
      for (const segment of task.segments) segment.newsForSteering = true;
      return refreshSegments(task);
    case "runOpened":
      return openRun(core, task, event);
    case "runAnswered":
      task.steeringFailure = null;
      task.surplusPoints += event.surplus;
      return closeRun(core, task, event);
    case "runFailed":
      dropRunLease(core, task);
      if (task.run !== null) {
        task.run.try += 1;
        task.run.epoch = [core.incarnation, task.run.epoch[1] + 1];
      }
      if (event.endsAsking !== null) {
        task.run = null;
        task.askingEnded = event.endsAsking;
        refreshSegments(task);
      }
      // A run that was revoked did not fail.
      if (event.endsAsking !== event.reason) task.steeringFailure = event.reason;
      return;
    default:
      return assertNever(event);
  }
}

function limitsOf(spec: TaskSpecification, limits: TaskSpecification["limits"]): Task["effective"] {
  return effectiveLimits(limits, isBuiltin(spec.steering), searchCount(spec));
}

function openRun(core: Core, task: Task, event: EventOf<"runOpened">): void {
  const { run, epoch, pending, generated, wanted } = event;
  const draws = (wanted: number): number =>
    task.spec.whileSteering === "random" ? Math.floor(wanted / 2) : 0;
  const asked = (event.asked ?? [{ segment: 0, pending, generated, wanted }]).map(
    (one, place): AskedSegment => ({ ...one, place, draws: draws(one.wanted), drawn: new Set() }),
  );
  task.run = {
    run,
    epoch,
    try: event.try,
    pending,
    generated,
    wanted,
    asked: new Map(asked.map((one) => [one.segment, one])),
    draws: asked.reduce((sum, one) => sum + one.draws, 0),
    nextDraw: 0,
    openedSeq: core.seq,
    lease: null,
  };
  task.nextRun = run + 1;
  for (const { segment } of asked) setNews(task, segment, false);
}

function closeRun(core: Core, task: Task, event: EventOf<"runAnswered">): void {
  dropRunLease(core, task);
  task.run = null;
  task.runsFinished += 1;
  task.askingEnded = event.endsAsking;
  if (event.endsAsking !== null) refreshSegments(task);
  for (const index of event.leftOut ?? []) setNews(task, index, true);
  for (const { segment, reason } of event.endsSegments ?? []) {
    const ended = segmentOf(task, segment);
    ended.askingEnded = reason;
    refreshSegment(task, ended);
  }
}

function setNews(task: Task, index: number, hasNews: boolean): void {
  const segment = segmentOf(task, index);
  segment.newsForSteering = hasNews;
  refreshSegment(task, segment);
}

function defineTask(core: Core, event: EventOf<"taskDefined">): void {
  // A journal may be older than some fields of the specification.
  const spec = TaskSpecification.parse(event.spec);
  core.nextTaskId = Math.max(core.nextTaskId, event.taskId + 1);
  core.tasksByUuid.set(`${event.owner}/${spec.clientTaskUuid}`, event.taskId);
  if (spec.sandboxSha256 !== null) refer(core, spec.sandboxSha256);
  const segments = createSegments(spec);
  const task: Task = {
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
    effective: limitsOf(spec, spec.limits),
    points: new PointTable(spec.segments.length),
    ready: new ReadyPoints(segments.length),
    counts: emptyCounts(),
    segments,
    asking: new Set(),
    due: new Set(),
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
    steeringFailure: null,
    surplusPoints: 0,
    best: null,
    lossCount: 0,
    attemptsFailed: 0,
    interruptions: 0,
    imageFailures: new Map(),
    failures: new Map(),
    durations: [],
    bestSoFar: [],
    version: 1,
  };
  refreshSegments(task);
  core.tasks.set(event.taskId, task);
}

function changeState(core: Core, task: Task, event: EventOf<"taskStateChanged">): void {
  if (!TASK_TRANSITIONS[task.state].includes(event.state)) {
    throw new Error(`task ${task.id}: ${task.state} is never followed by ${event.state}`);
  }
  const newRound = isEnded(task.state) && event.state === "running";
  if (task.state === "paused") {
    task.failures.clear();
    task.imageFailures.clear();
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
  task.steeringFailure = null;
  task.failures.clear();
  task.imageFailures.clear();
  for (const segment of task.segments) {
    segment.askingEnded = null;
    segment.newsForSteering = true;
  }
  for (const point of task.points.values()) {
    // What was retried is evaluated as another point.
    if (point.state !== "notEvaluated" || point.retried) continue;
    for (const counts of [task.counts, segmentOf(task, point.segment).counts]) {
      counts.notEvaluated -= 1;
      counts.ready += 1;
    }
    point.state = "ready";
    point.interruptionsInRow = 0;
    task.ready.push(point);
  }
  refreshSegments(task);
}
