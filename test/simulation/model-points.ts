/** The rules for points, leases, attempts and jobs. */
import type { EventOf } from "../../server/events.ts";
import type { PointState } from "../../protocol/states.ts";
import {
  atJobLimit,
  hasEnded,
  isOlder,
  leaseKey,
  mayDraw,
  mayGrant,
  nameOf,
  pendingOf,
  sameEpoch,
  smallerShare,
  type JobModel,
  type LeaseModel,
  type Model,
  type PointModel,
  type TaskModel,
} from "./model.ts";

type PointEvent = EventOf<
  | "pointGenerated"
  | "jobStarted"
  | "leaseGranted"
  | "leaseEnded"
  | "attemptEnded"
  | "pointFinal"
  | "jobEnded"
  | "checkpointStored"
  | "checkpointDropped"
>;

const ATTEMPTS_MAX = 3;
const IN_ROW_MAX = 10;
/** Ends of leases that the pilot, the batch system or the network is to blame for. */
const INTERRUPTIONS: readonly string[] = [
  "interrupted",
  "expired",
  "bye",
  "submissionEnded",
  "newInstance",
];
const FINAL: readonly PointState[] = ["done", "diverged", "hopeless", "cancelled"];

export function applyPoint(model: Model, event: PointEvent): void {
  const task = model.tasks.get(event.taskId);
  if (task === undefined) {
    model.report("oneState", `${event.type} of the unknown task ${event.taskId}`);
    return;
  }
  model.touchedTasks.add(task);
  switch (event.type) {
    case "pointGenerated":
      return generate(model, task, event);
    case "jobStarted":
      return startJob(model, task, event);
    case "jobEnded":
      return endJob(model, task, event);
    case "leaseGranted":
      return event.pointId === null ? grantRun(model, task, event) : grant(model, task, event);
    case "leaseEnded":
      return event.pointId === null
        ? endRunLease(model, task, event)
        : endLease(model, task, event);
    case "attemptEnded":
      return endAttempt(model, task, event);
    case "pointFinal":
      return finish(model, task, event);
    case "checkpointStored":
      return keepCheckpoint(model, task, event);
    case "checkpointDropped":
      return dropCheckpoint(model, task, event);
  }
}

function pointOf(
  model: Model,
  task: TaskModel,
  event: { pointId: string | null; type: string },
): PointModel | null {
  const point = task.points.get(event.pointId ?? "");
  if (point === undefined) {
    model.report("oneState", `${event.type} of the unknown point ${task.id}/${event.pointId}`);
    return null;
  }
  model.touchedPoints.add(point);
  return point;
}

function move(model: Model, task: TaskModel, point: PointModel, state: PointState): void {
  model.must(
    !FINAL.includes(point.state),
    "oneState",
    () => `point ${task.id}/${point.id} is ${point.state} and becomes ${state}`,
  );
  task.counts[point.state] -= 1;
  task.counts[state] += 1;
  point.state = state;
}

function generate(model: Model, task: TaskModel, event: EventOf<"pointGenerated">): void {
  const { pointId, text, run, retryOf } = event;
  const where = `point ${task.id}/${pointId}`;
  model.must(!task.points.has(pointId), "oneState", () => `${where} was made twice`);
  if (retryOf === null) {
    const mayCome = run === null ? mayDraw(task) : task.run?.run === run;
    model.must(mayCome, "fromSomewhere", () => `${where} came without an open run that allows it`);
    const { maxPoints, perIteration } = task.limits;
    model.must(
      task.generated < maxPoints,
      "limits",
      () => `${where} is one more than ${maxPoints}`,
    );
    model.must(
      pendingOf(task) < perIteration || task.spec.duplicates === "reuse",
      "limits",
      () => `${where} is one more than ${perIteration} pending ones`,
    );
    if (task.run !== null) task.run[run === null ? "drawn" : "made"] += 1;
    task.generated += 1;
  } else {
    const original = task.points.get(retryOf);
    const mayRetry =
      original !== undefined &&
      !original.isRetried &&
      original.state !== "ready" &&
      original.state !== "leased";
    model.must(
      mayRetry,
      "oneState",
      () => `${where} retries ${retryOf}, which is ${original?.state}`,
    );
    model.must(original?.text === text, "fromSomewhere", () => `${where} differs from ${retryOf}`);
    if (original !== undefined) {
      original.isRetried = true;
      model.touchedPoints.add(original);
    }
  }
  const point: PointModel = {
    id: pointId,
    text,
    retryOf,
    state: "ready",
    epoch: [0, 0],
    isRevoked: false,
    lease: null,
    attempts: 0,
    interruptions: 0,
    inRow: 0,
    loss: null,
    isRetried: false,
    lastOutcome: "",
    checkpoints: [],
    hasSaved: false,
    failedRestores: 0,
    reported: null,
  };
  task.points.set(pointId, point);
  task.counts.ready += 1;
  model.touchedPoints.add(point);
}

function startJob(model: Model, task: TaskModel, event: EventOf<"jobStarted">): void {
  const { jobId, pilotId, slot, queue, node } = event;
  const where = `job ${jobId} of task ${task.id}`;
  const { parallel, maxJobs } = task.limits;
  model.must(mayGrant(task), "killed", () => `${where} starts while the task is ${task.state}`);
  model.must(task.counts.ready > 0, "limits", () => `${where} starts without a ready point`);
  model.must(
    task.jobs.size < parallel,
    "limits",
    () => `${where} starts beside ${task.jobs.size} of ${parallel}`,
  );
  model.must(!atJobLimit(task), "limits", () => `${where} starts at the limit of ${maxJobs} jobs`);
  model.must(jobId === task.nextJob, "oneState", () => `${where} is not job ${task.nextJob}`);
  const config = model.queues.get(queue);
  model.must(
    config?.role === "evaluation" && config.state !== "offline" && config.state !== "drain",
    "offered",
    () => `${where} starts in queue ${queue}, which is ${config?.role} and ${config?.state}`,
  );
  model.must(
    model.nodes.get(`${queue}/${node}`)?.isDrained !== true,
    "offered",
    () => `${where} starts on the drained node ${node}`,
  );
  model.must(
    model.isReplaying || !model.cooldowns.keepsAway(task.id, event),
    "away",
    () => `${where} starts on node ${node}, which has just failed the task`,
  );
  const job: JobModel = { id: jobId, pilotId, slot, queue, node, points: 0, isCharged: false };
  task.jobs.set(jobId, job);
  task.nextJob = jobId + 1;
}

function endJob(model: Model, task: TaskModel, event: EventOf<"jobEnded">): void {
  const job = task.jobs.get(event.jobId);
  if (job === undefined) {
    model.report("oneState", `job ${event.jobId} of task ${task.id} ends and was not active`);
    return;
  }
  const givesWay = event.reason === "fairShare" && !model.isReplaying;
  if (givesWay && !model.hurried.has(job.pilotId))
    model.must(
      smallerShare(model, task, job) !== null,
      "fair",
      () => `job ${job.id} of task ${task.id} gives way to nobody`,
    );
  task.jobs.delete(job.id);
  task.endedJobs.set(job.id, job);
  if (!job.isCharged) task.interruptedJobs += 1;
}

function charge(task: TaskModel, jobId: number): void {
  const job = task.jobs.get(jobId) ?? task.endedJobs.get(jobId);
  if (job === undefined || job.isCharged) return;
  if (!task.jobs.has(jobId)) task.interruptedJobs -= 1;
  job.isCharged = true;
  task.charged += 1;
}

function grant(model: Model, task: TaskModel, event: EventOf<"leaseGranted">): void {
  const point = pointOf(model, task, event);
  if (point === null) return;
  const { epoch, pilotId, slot, jobId } = event;
  const where = leaseKey(task.id, point.id, epoch);
  model.must(mayGrant(task), "killed", () => `${where} is granted while the task is ${task.state}`);
  model.must(
    point.lease === null && point.state === "ready",
    "oneLease",
    () => `${where} is granted while the point is ${point.state}`,
  );
  checkEpoch(model, point.epoch, event);
  model.must(point.attempts < ATTEMPTS_MAX, "limits", () => `${where} is granted after 3 attempts`);
  model.must(
    point.inRow < IN_ROW_MAX,
    "accounts",
    () => `${where} is granted after ${point.inRow} interruptions`,
  );
  model.must(
    model.isCurrentPilot(pilotId),
    "oneLease",
    () => `${where} is granted to ${pilotId}, which has gone`,
  );
  const job = jobId === null ? undefined : task.jobs.get(jobId);
  const isItsJob = job?.pilotId === pilotId && job.slot === slot;
  if (
    !model.must(isItsJob, "oneLease", () => `${where} is granted in job ${jobId} of another slot`)
  )
    return;
  job!.points += 1;
  model.must(
    job!.points <= task.limits.perJob,
    "limits",
    () => `${where} is one more than its job may have`,
  );
  model.must(
    task.jobs.size <= task.limits.parallel,
    "limits",
    () => `${where} is granted with ${task.jobs.size} active jobs of ${task.limits.parallel}`,
  );
  const config = model.queues.get(job!.queue);
  model.must(
    config !== undefined && config.state !== "offline" && config.state !== "drain",
    "offered",
    () => `${where} is granted in queue ${job!.queue}, which is ${config?.state}`,
  );
  const smaller =
    model.isReplaying || model.hurried.has(pilotId) ? null : smallerShare(model, task, job!);
  model.must(
    smaller === null,
    "fair",
    () => `${where} is granted although task ${smaller?.id} has a smaller share`,
  );
  move(model, task, point, "leased");
  point.epoch = epoch;
  point.isRevoked = false;
  point.reported = null;
  point.hasSaved = false;
  point.lease = newLease(event, null);
  model.hold(point.lease);
}

function checkEpoch(model: Model, last: PointModel["epoch"], event: EventOf<"leaseGranted">): void {
  const { epoch } = event;
  model.must(
    isOlder(last, epoch) && epoch[0] === model.incarnation,
    "fenced",
    () =>
      `${leaseKey(event.taskId, event.pointId ?? "run", epoch)} is granted after epoch ${last.join(".")}`,
  );
}

function newLease(event: EventOf<"leaseGranted">, run: number | null): LeaseModel {
  const { taskId, pointId, epoch, pilotId, slot, jobId } = event;
  return {
    taskId,
    pointId,
    run,
    epoch,
    pilotId,
    slot,
    jobId,
    isCurrent: true,
    seq: 0,
    interruptions: 0,
    attempts: 0,
  };
}

function grantRun(model: Model, task: TaskModel, event: EventOf<"leaseGranted">): void {
  const { run } = task;
  if (run === null) {
    model.report("steering", `a run of task ${task.id} is granted and none is open`);
    return;
  }
  const where = `run ${run.run} of task ${task.id}`;
  model.must(
    task.state === "running",
    "killed",
    () => `${where} is granted while the task is ${task.state}`,
  );
  model.must(run.lease === null, "oneLease", () => `${where} is granted twice`);
  model.must(
    model.isCurrentPilot(event.pilotId),
    "oneLease",
    () => `${where} is granted to ${event.pilotId}, which has gone`,
  );
  const submission = model.submissions.get(model.submissionOfPilot.get(event.pilotId) ?? "");
  const queue = model.queues.get(submission?.queue ?? "");
  model.must(
    queue?.role === "central" && queue.state !== "offline" && queue.state !== "drain",
    "steering",
    () =>
      `${where} is granted in queue ${queue?.name}, which is ${queue?.role} and ${queue?.state}`,
  );
  for (const { id, state, spec, run: other } of model.tasks.values()) {
    const waits = state === "running" && other?.lease === null && !("method" in spec.steering);
    model.must(
      !waits || other.openedSeq >= run.openedSeq,
      "fair",
      () => `${where} is granted before run ${other?.run} of task ${id}, which was opened earlier`,
    );
  }
  checkEpoch(model, run.epoch, event);
  run.epoch = event.epoch;
  run.lease = newLease(event, run.run);
  model.hold(run.lease);
}

function endRunLease(model: Model, task: TaskModel, event: EventOf<"leaseEnded">): void {
  const lease = task.run?.lease ?? null;
  if (lease === null) {
    model.report("oneLease", `a lease on a run of task ${task.id} ends and there is none`);
    return;
  }
  model.must(
    !event.interruption,
    "accounts",
    () => `a run of task ${task.id} counts an interruption`,
  );
  model.drop(lease);
  if (task.run !== null) task.run.lease = null;
}

/** The lease whose end an event tells: the current one, or the last one if nobody else was granted the point since. */
function endedLease(
  model: Model,
  point: PointModel,
  event: EventOf<"leaseEnded" | "attemptEnded" | "checkpointStored">,
): LeaseModel | null {
  const key = leaseKey(event.taskId, point.id, event.epoch);
  const lease = model.leases.get(key);
  model.must(
    lease !== undefined && sameEpoch(point.epoch, event.epoch) && !point.isRevoked,
    "fenced",
    () => `${event.type} of ${key}, but the point is at epoch ${point.epoch.join(".")}`,
  );
  return lease ?? null;
}

function endLease(model: Model, task: TaskModel, event: EventOf<"leaseEnded">): void {
  const point = pointOf(model, task, event);
  const lease = point === null ? null : endedLease(model, point, event);
  if (point === null || lease === null) return;
  const where = nameOf(lease);
  const wasCurrent = lease.isCurrent;
  model.must(
    wasCurrent || event.seq !== null,
    "oneLease",
    () => `${where} ends (${event.reason}) and had ended`,
  );
  model.must(
    event.interruption === (wasCurrent && INTERRUPTIONS.includes(event.reason)),
    "accounts",
    () =>
      `${where} ends by ${event.reason}${wasCurrent ? "" : " again"} and counts ${event.interruption ? "an" : "no"} interruption`,
  );
  noteSeq(model, lease, event.seq);
  if (wasCurrent) model.drop(lease);
  point.lease = null;
  if (event.interruption) {
    lease.interruptions += 1;
    point.interruptions += 1;
    point.inRow += 1;
    task.interruptions += 1;
  }
  checkAccount(model, lease);
  if (event.imageCause !== undefined) {
    const known = task.imageFailures.get(event.node) ?? 0;
    task.imageFailures.set(event.node, known + 1);
  }
  if (event.infrastructure) blame(model, task, event);
  if (point.state === "leased") move(model, task, point, "ready");
}

function noteSeq(model: Model, lease: LeaseModel, seq: number | null): void {
  if (seq === null) return;
  model.must(
    seq > lease.seq,
    "fenced",
    () => `message ${seq} of ${nameOf(lease)} is taken after ${lease.seq}`,
  );
  lease.seq = seq;
}

function checkAccount(model: Model, lease: LeaseModel): void {
  model.must(
    lease.interruptions <= 1 && lease.attempts <= 1,
    "accounts",
    () =>
      `${nameOf(lease)} counts ${lease.interruptions} interruptions and ${lease.attempts} attempts`,
  );
}

function blame(model: Model, task: TaskModel, event: EventOf<"leaseEnded">): void {
  const point = task.points.get(event.pointId ?? "");
  const lease = model.leases.get(leaseKey(task.id, point?.id ?? "", event.epoch));
  const job = task.jobs.get(lease?.jobId ?? -1);
  if (job === undefined) return;
  const key = `${job.queue}/${job.node}`;
  const node = model.nodes.get(key) ?? { losses: 0, tasks: new Set<number>(), isDrained: false };
  node.losses += 1;
  node.tasks.add(task.id);
  model.nodes.set(key, node);
}

function endAttempt(model: Model, task: TaskModel, event: EventOf<"attemptEnded">): void {
  const point = pointOf(model, task, event);
  const lease = point === null ? null : endedLease(model, point, event);
  if (point === null || lease === null) return;
  const where = nameOf(lease);
  model.must(
    point.state === "leased" || point.state === "ready",
    "oneState",
    () => `an attempt of ${where} ends while the point is ${point.state}`,
  );
  model.must(
    event.attempt === point.attempts + 1 && event.attempt <= ATTEMPTS_MAX,
    "accounts",
    () => `${where} ends attempt ${event.attempt} after ${point.attempts}`,
  );
  noteSeq(model, lease, event.seq);
  lease.attempts += 1;
  checkAccount(model, lease);
  if (lease.isCurrent) model.drop(lease);
  point.lease = null;
  point.attempts = event.attempt;
  point.inRow = 0;
  charge(task, lease.jobId ?? -1);
  distrust(point, event);
  const { outcome } = event;
  point.lastOutcome = outcome.type;
  point.reported = outcome.type === "loss" ? outcome.loss : null;
  const job = task.jobs.get(lease.jobId ?? -1);
  const key = `${job?.queue}/${event.node}`;
  if (model.nodes.get(key)?.isDrained === false) model.nodes.delete(key);
  if (outcome.type === "failed" && task.losses === 0) {
    const cause = `${outcome.code} ${outcome.exitCode}`;
    const failure = task.failures.get(cause) ?? { count: 0, nodes: new Set<string>() };
    failure.count += 1;
    failure.nodes.add(event.node);
    task.failures.set(cause, failure);
  }
  const isLast =
    outcome.type === "loss" || outcome.type === "diverged" || point.attempts >= ATTEMPTS_MAX;
  if (!isLast && point.state === "leased") move(model, task, point, "ready");
}

/** A newer checkpoint is progress: interruptions are counted anew. */
function keepCheckpoint(model: Model, task: TaskModel, event: EventOf<"checkpointStored">): void {
  const point = pointOf(model, task, event);
  const lease = point === null ? null : endedLease(model, point, event);
  if (point === null || lease === null) return;
  noteSeq(model, lease, event.seq);
  const [newest] = point.checkpoints;
  if (newest === event.sha256) return;
  point.inRow = 0;
  point.hasSaved = true;
  point.checkpoints = [event.sha256, ...(newest === undefined ? [] : [newest])];
}

/** The state that an attempt failed with, or did not come on from, is not trusted any more; after a second one none is. */
function distrust(point: PointModel, { restored, outcome }: EventOf<"attemptEnded">): void {
  const isBad = outcome.type === "failed" || (outcome.type === "timeout" && !point.hasSaved);
  if (restored === undefined || !isBad) return;
  point.failedRestores += 1;
  const { checkpoints } = point;
  if (point.failedRestores > 1) point.checkpoints = [];
  // What the failed attempt has saved comes before what it went on from.
  else if (point.hasSaved) point.checkpoints = checkpoints.slice(1);
  else point.checkpoints = checkpoints.slice(Math.max(0, checkpoints.indexOf(restored)) + 1);
}

/** A damaged one: the next evaluation begins from another, or from none. */
function dropCheckpoint(model: Model, task: TaskModel, event: EventOf<"checkpointDropped">): void {
  const point = pointOf(model, task, event);
  if (point !== null) point.checkpoints = point.checkpoints.filter((one) => one !== event.sha256);
}

function finish(model: Model, task: TaskModel, event: EventOf<"pointFinal">): void {
  const point = pointOf(model, task, event);
  if (point === null) return;
  const { state, loss } = event;
  const where = `point ${task.id}/${point.id}`;
  model.must(
    (state === "done") === (loss !== null),
    "lossFixed",
    () => `${where} is ${state} with loss ${loss}`,
  );
  if (point.lease !== null) {
    model.must(state === "cancelled", "oneState", () => `${where} is leased and becomes ${state}`);
    model.drop(point.lease);
    point.lease = null;
    point.isRevoked = true;
  }
  checkCause(model, task, point, event);
  move(model, task, point, state);
  if (FINAL.includes(state))
    point.checkpoints = task.spec.checkpoint.keep ? point.checkpoints.slice(0, 1) : [];
  if (state === "cancelled") return;
  task.hasNews = true;
  if (state !== "done" || loss === null) return;
  point.loss = loss;
  task.losses += 1;
  task.failures.clear();
  task.imageFailures.clear();
  const isMin = task.spec.direction === "min";
  if (task.best === null || (isMin ? loss < task.best : loss > task.best)) task.best = loss;
  if (task.worst === null || (isMin ? loss > task.worst : loss < task.worst)) task.worst = loss;
}

/** A final state follows from what happened to the point. */
function checkCause(
  model: Model,
  task: TaskModel,
  point: PointModel,
  event: EventOf<"pointFinal">,
): void {
  const { state, loss } = event;
  const where = `point ${task.id}/${point.id}`;
  switch (state) {
    case "done":
      model.must(
        Object.is(point.reported, loss) || isReused(task, point, loss),
        "fromSomewhere",
        () => `${where} is done with ${loss}, reported was ${point.reported}`,
      );
      return;
    case "diverged":
      model.must(
        point.lastOutcome === "diverged",
        "fromSomewhere",
        () => `${where} diverged after ${point.lastOutcome}`,
      );
      return;
    case "hopeless":
      model.must(
        point.attempts === ATTEMPTS_MAX,
        "accounts",
        () => `${where} is hopeless after ${point.attempts} attempts`,
      );
      return;
    default:
      return;
  }
}

function isReused(task: TaskModel, point: PointModel, loss: number | null): boolean {
  if (task.spec.duplicates !== "reuse" || point.attempts > 0) return false;
  for (const other of task.points.values())
    if (other !== point && other.text === point.text && other.loss === loss) return true;
  return false;
}

/** Why a point may be given up without an evaluation at the end of a turn. */
export function mayGiveUp(task: TaskModel, point: PointModel): boolean {
  return point.inRow >= IN_ROW_MAX || task.drains || hasEnded(task);
}
