/** The server's state beside the rules' state, and beside what its journal rebuilds. */
import { compareEpochs } from "../../protocol/ids.ts";
import { sectionsOf } from "../../server/core-form.ts";
import type { Core, Point, Task } from "../../server/core.ts";
import { isOlder, type Model, type PointModel, type TaskModel } from "./model.ts";

/** The first difference between a point of the server and of the rules, or null. */
export function differenceOfPoint(
  task: TaskModel,
  model: PointModel,
  point: Point | undefined,
): string | null {
  const where = `point ${task.id}/${model.id}`;
  if (point === undefined) return `${where} is not there`;
  const pairs: readonly [string, unknown, unknown][] = [
    ["text", point.text, model.text],
    ["state", point.state, model.state],
    ["attempts", point.attempts, model.attempts],
    ["interruptions", point.interruptions, model.interruptions],
    ["interruptionsInRow", point.interruptionsInRow, model.inRow],
    ["loss", point.loss, model.loss],
    ["retried", point.retried, model.isRetried],
    ["states", shaOf(point.files?.checkpoints ?? []), model.checkpoints.join()],
    ["lease", point.lease?.pilotId ?? null, model.lease?.pilotId ?? null],
    ["slot", point.lease?.slot ?? null, model.lease?.slot ?? null],
  ];
  for (const [name, is, should] of pairs)
    if (!Object.is(is, should)) return `${where} has ${name} ${String(is)}, not ${String(should)}`;
  const isRight = model.isRevoked
    ? isOlder(model.epoch, point.epoch)
    : compareEpochs(point.epoch, model.epoch) === 0;
  return isRight
    ? null
    : `${where} has epoch ${point.epoch.join(".")} after a grant of ${model.epoch.join(".")}${model.isRevoked ? " was revoked" : ""}`;
}

function shaOf(checkpoints: readonly { readonly sha256: string }[]): string {
  return checkpoints.map(({ sha256 }) => sha256).join();
}

/** The first difference between a task of the server and of the rules, its points apart, or null. */
export function differenceOfTask(model: TaskModel, task: Task | undefined): string | null {
  const where = `task ${model.id}`;
  if (task === undefined) return `${where} is not there`;
  const { limits } = model;
  const pairs: readonly [string, unknown, unknown][] = [
    ["state", task.state, model.state],
    ["drains", task.drains, model.drains],
    ["round", task.round, model.round],
    ["generated", task.generated, model.generated],
    ["points", task.points.size, model.points.size],
    ["jobs", task.jobs.size, model.jobs.size],
    ["charged jobs", task.jobsCharged, model.charged],
    ["interrupted jobs", task.interruptedJobs.size, model.interruptedJobs],
    ["run", task.run?.run ?? null, model.run?.run ?? null],
    ["tries", task.run?.try ?? null, model.run?.tries ?? null],
    ["lease of its run", task.run?.lease?.pilotId ?? null, model.run?.lease?.pilotId ?? null],
    ["asking ended", task.askingEnded !== null, model.askingEnded],
    ["news for steering", task.segments[0]?.newsForSteering, model.hasNews],
    ["losses", task.lossCount, model.losses],
    ["best loss", task.best?.loss ?? null, model.best],
    ["worst loss", task.segments[0]?.worstLoss, model.worst],
    ["interruptions", task.interruptions, model.interruptions],
    ["maxPoints", task.effective.maxPoints, limits.maxPoints],
    ["nParallelEvaluation", task.effective.nParallelEvaluation, limits.parallel],
    ["maxEvaluationJobs", task.effective.maxEvaluationJobs, limits.maxJobs],
    ["nPointsPerIteration", task.effective.nPointsPerIteration, limits.perIteration],
    ["minUnevaluatedPoints", task.effective.minUnevaluatedPoints, limits.minUnevaluated],
  ];
  for (const [name, is, should] of pairs)
    if (!Object.is(is, should)) return `${where} has ${name} ${String(is)}, not ${String(should)}`;
  const { counts } = model;
  for (const state of Object.keys(counts) as (keyof typeof counts)[])
    if (task.counts[state] !== counts[state])
      return `${where} counts ${task.counts[state]} ${state} points, not ${counts[state]}`;
  if (task.ready.length < counts.ready)
    return `${where} has ${counts.ready} ready points and ${task.ready.length} in its queue`;
  return null;
}

/** The first difference anywhere, or null. */
export function differenceOf(model: Model, core: Core): string | null {
  if (core.seq !== model.seq) return `the state is at event ${core.seq}, not ${model.seq}`;
  if (core.tasks.size !== model.tasks.size)
    return `there are ${core.tasks.size} tasks, not ${model.tasks.size}`;
  for (const task of model.tasks.values()) {
    const real = core.tasks.get(task.id);
    const difference = differenceOfTask(task, real);
    if (difference !== null) return difference;
    for (const point of task.points.values()) {
      const found = differenceOfPoint(task, point, real?.points.get(point.id));
      if (found !== null) return found;
    }
  }
  return (
    differenceOfLeases(model, core) ??
    differenceOfReferences(model, core) ??
    differenceOfFleet(model, core)
  );
}

/** Whatever a point may go on from is referred to, and nothing else is. */
function differenceOfReferences(model: Model, core: Core): string | null {
  const references = new Map<string, number>();
  for (const task of model.tasks.values())
    for (const { checkpoints } of task.points.values())
      for (const sha256 of checkpoints) references.set(sha256, (references.get(sha256) ?? 0) + 1);
  for (const sha256 of new Set([...references.keys(), ...core.blobs.keys()])) {
    const [is, should] = [core.blobs.get(sha256) ?? 0, references.get(sha256) ?? 0];
    if (is !== should) return `blob ${sha256} has ${is} references, not ${should}`;
  }
  return null;
}

function differenceOfLeases(model: Model, core: Core): string | null {
  for (const [pilotId, leases] of model.held) {
    const count = core.leasesByPilot.get(pilotId)?.size ?? 0;
    if (count !== leases.size) return `${pilotId} holds ${count} leases, not ${leases.size}`;
  }
  for (const [pilotId, leases] of core.leasesByPilot)
    if (leases.size > 0 && !model.held.has(pilotId))
      return `${pilotId} holds leases, and holds none`;
  const shares = new Map<string, number>();
  for (const task of model.tasks.values())
    shares.set(task.owner, (shares.get(task.owner) ?? 0) + task.counts.leased);
  for (const [owner, count] of shares) {
    const counted = core.leasedByOwner.get(owner) ?? 0;
    if (counted !== count) return `${owner} has ${counted} leased points, not ${count}`;
  }
  return null;
}

function differenceOfFleet(model: Model, core: Core): string | null {
  if (core.submissions.size !== model.submissions.size)
    return `there are ${core.submissions.size} submissions, not ${model.submissions.size}`;
  for (const [id, submission] of model.submissions) {
    const real = core.submissions.get(id);
    if (real?.pilotId !== submission.pilotId || real.exchanges !== submission.exchanges)
      return `submission ${id} belongs to ${real?.pilotId ?? "nobody"}, not ${submission.pilotId ?? "nobody"}`;
  }
  for (const [key, node] of model.nodes) {
    if ((core.nodes.get(key)?.drained ?? false) !== node.isDrained)
      return `node ${key} is ${node.isDrained ? "not " : ""}drained`;
  }
  if (core.queues.size !== model.queues.size) return `there are ${core.queues.size} queues`;
  for (const [name, queue] of model.queues) {
    const real = core.queues.get(name);
    if (real?.state !== queue.state) return `queue ${name} is ${real?.state}, not ${queue.state}`;
  }
  return null;
}

/** A text that is equal for equal states. */
export function textOf(core: Core): string {
  return JSON.stringify([...sectionsOf(core)]);
}
