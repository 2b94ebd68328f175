/** Searches as REST shows them. Pure. */
import type { BestPoint, TaskDetail, TaskSummary } from "../../protocol/rest.ts";
import { isEnded, type TaskState } from "../../protocol/states.ts";
import { mayTouch } from "../auth/access.ts";
import { pendingCount, type Core, type SegmentState, type Task } from "../core.ts";
import type { Principal } from "../inbox.ts";
import { steeringWarnings } from "../tasks/steering.ts";
import { cadenceWarnings } from "../tasks/submission.ts";
import { askingOverReason, maxPointsOf } from "../tasks/segments.ts";
import { pageLimit, pageOf, type Page, type PageRequest } from "./page.ts";
import { segmentViews } from "./segments.ts";

/** Values of {@link TaskDetail.bestSoFar} at most. */
const BEST_VALUES_MAX = 200;

export function taskSummary(task: Task): TaskSummary {
  return {
    taskId: task.id,
    name: task.spec.name,
    owner: task.owner,
    state: task.state,
    reason: task.reason,
    createdAt: isoTime(task.createdAtMs),
    endedAt: task.endedAtMs === null ? null : isoTime(task.endedAtMs),
    maxPoints: maxPointsOf(task),
    points: { ...task.counts },
    generated: task.generated,
    best: bestPoint(task),
    direction: task.spec.direction,
  };
}

export function taskDetail(task: Task): TaskDetail {
  const medianSeconds = median(task.durations);
  return {
    ...taskSummary(task),
    round: task.round,
    spec: task.spec,
    limits: { ...task.effective },
    jobs: {
      active: task.jobs.size,
      charged: task.jobsCharged,
      interrupted: task.interruptedJobs.size,
    },
    attemptsFailed: task.attemptsFailed,
    interruptions: task.interruptions,
    runs: { finished: task.runsFinished, openRun: task.run?.run ?? null },
    segments: segmentViews(task),
    askingEnded: task.askingEnded ?? usedUp(task),
    medianEvaluationSeconds: medianSeconds,
    etaSeconds: medianSeconds === null ? null : etaSeconds(task, medianSeconds),
    bestSoFar: bestSoFar(task),
    warnings: [...(isEnded(task.state) ? [] : cadenceWarnings(task)), ...steeringWarnings(task)],
  };
}

export interface TaskFilter extends PageRequest {
  readonly state?: TaskState | undefined;
  /** Everybody's, not only the principal's own; what may not be seen stays out all the same. */
  readonly all: boolean;
}

/** Newest first; the cursor is the id of the last one shown. */
export function taskPage(core: Core, principal: Principal, filter: TaskFilter): Page<TaskSummary> {
  return pageOf(matching(core, principal, filter), pageLimit(filter), {
    view: taskSummary,
    cursorOf: (task) => String(task.id),
  });
}

function* matching(core: Core, principal: Principal, filter: TaskFilter): Iterable<Task> {
  const before = filter.cursor === undefined ? Infinity : Number(filter.cursor);
  for (const task of [...core.tasks.values()].reverse()) {
    if (task.id >= before || (filter.state !== undefined && task.state !== filter.state)) continue;
    if (filter.all ? mayTouch(principal, task.owner) : task.owner === principal.user) yield task;
  }
}

/** Every segment has ended of itself. */
function usedUp(task: Task): string | null {
  const hasEnded = task.segments.every((segment) => segment.askingEnded !== null);
  return hasEnded ? askingOverReason(task) : null;
}

function bestPoint(task: Task): BestPoint | null {
  const { best } = task;
  if (best?.loss === null || best === null) return null;
  return { pointId: best.id, loss: best.loss, text: best.text };
}

function median(values: readonly number[]): number | null {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? null;
}

/** Points still to be evaluated, by as many as run now, at the median speed; null when nothing runs towards an end. */
function etaSeconds(task: Task, medianSeconds: number): number | null {
  if (isEnded(task.state) || task.state === "paused") return null;
  const { maxPoints, nParallelEvaluation } = task.effective;
  const mayAsk = task.askingEnded === null && task.state !== "finishing";
  const left = (segment: SegmentState): number =>
    segment.askingEnded === null ? Math.max(0, maxPoints - segment.generated) : 0;
  const coming = mayAsk ? task.segments.reduce((sum, segment) => sum + left(segment), 0) : 0;
  const remaining = pendingCount(task) + coming;
  const parallel = Math.max(1, task.counts.leased, Math.min(nParallelEvaluation, task.jobs.size));
  return Math.ceil((remaining / parallel) * medianSeconds);
}

/** The best loss after each finished evaluation, evenly thinned; the last value is always there. */
function bestSoFar(task: Task): number[] {
  const values = Math.min(BEST_VALUES_MAX, task.lossCount);
  const curve: number[] = [];
  let improvement = 0;
  for (let index = 1; index <= values; index += 1) {
    const finished = Math.round((index * task.lossCount) / values);
    while ((task.bestSoFar[improvement + 1]?.[0] ?? Infinity) <= finished) improvement += 1;
    const loss = task.bestSoFar[improvement]?.[1];
    if (loss !== undefined) curve.push(loss);
  }
  return curve;
}

export function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
