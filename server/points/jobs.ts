/** Jobs: the stay of a task on a slot. When one may begin, go on, and end. */
import { lackingFor, lackingForForm, type SlotOffer } from "../../protocol/resources.ts";
import { TASK } from "../../protocol/limits.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { unchargedActiveJobs, type Core, type Job, type Task } from "../core.ts";
import type { JobEndReason } from "../events.ts";
import type { LivePilot, LiveSlot } from "../live.ts";
import { emit, type Turn } from "../turn.ts";
import { isCoolingDown } from "./cooldowns.ts";

/** Whether points of the task may be granted at all in its present state. */
export function mayGrant(task: Task): boolean {
  return task.state === "running" || (task.state === "finishing" && !task.drains);
}

/** Whether a limit forbids any further job; active ones go on. */
export function jobLimitReached(task: Task): boolean {
  const { maxEvaluationJobs } = task.effective;
  return (
    task.jobsCharged + unchargedActiveJobs(task) >= maxEvaluationJobs ||
    task.interruptedJobs.size >= TASK.interruptedJobsFactor * maxEvaluationJobs
  );
}

/** Whether a slot that fits could begin a job of the task now. */
export function mayStartJob(task: Task): boolean {
  return (
    mayGrant(task) &&
    task.counts.ready > 0 &&
    task.jobs.size < task.effective.nParallelEvaluation &&
    !jobLimitReached(task)
  );
}

/** Whether a slot that would stay idle may draw a point at random for the task: it waits for its steering. */
export function mayDrawPoint(task: Task): boolean {
  return (
    task.run !== null &&
    task.run.draws > 0 &&
    task.state === "running" &&
    task.counts.ready === 0 &&
    task.jobs.size < task.effective.nParallelEvaluation &&
    !jobLimitReached(task)
  );
}

/** What keeps the task out of a queue as configured; empty when nothing does. */
export function queueLacks(task: Task, queue: QueueConfig): string[] {
  const lacks: string[] = [];
  if (queue.role !== "evaluation") lacks.push("is a central queue, for steering only");
  if (task.spec.queues.length > 0 && !task.spec.queues.includes(queue.name)) {
    lacks.push(`is not among the queues that the task names (${task.spec.queues.join(", ")})`);
  }
  if (task.spec.needs.internet && !queue.internet)
    lacks.push("does not reach the internet, which the task asks for");
  const { walltimeSeconds } = queue.slot;
  const neededSeconds = walltimeNeededSeconds(task);
  if (walltimeSeconds !== null && neededSeconds >= walltimeSeconds) {
    const { timeoutSeconds } = task.spec.evaluation;
    const takes = timeoutSeconds === null ? "takes" : "may take";
    const seconds = Math.round(neededSeconds - TASK.walltimeReserveSeconds);
    lacks.push(
      `has ${walltimeSeconds} s as walltime of its pilots, and an evaluation ${takes} ${seconds} s; checkpoints (--checkPointToSave) would let it go on in the next pilot`,
    );
  }
  return lacks;
}

/** Whether points and runs may be granted in the queue at all. */
export function takesPoints(queue: QueueConfig): boolean {
  return queue.state !== "offline" && queue.state !== "drain";
}

/** A slot of the queue as configured: which models of GPU it has is not known. */
export function slotOffer({ slot }: QueueConfig): SlotOffer {
  return { cpus: slot.cpus, memoryBytes: slot.memoryMiB * 1_048_576, gpus: slot.gpus };
}

/** Whether a slot of a queue fits the task in the form that the task states first. */
export function slotFitsFirst(task: Task, queue: QueueConfig, slot: LiveSlot): boolean {
  return (
    queueLacks(task, queue).length === 0 &&
    lackingForForm(task.spec.needs, slot.resources).length === 0
  );
}

/** Whether a slot of a queue fits the task in any of its forms. */
export function slotFits(task: Task, queue: QueueConfig, slot: LiveSlot): boolean {
  return (
    queueLacks(task, queue).length === 0 && lackingFor(task.spec.needs, slot.resources).length === 0
  );
}

/**
 * Whether one evaluation fits into the walltime that the pilot has left. One that saves checkpoints need not: it comes further
 * with each save.
 */
export function walltimeSuffices(task: Task, pilot: LivePilot, monotonicMs: number): boolean {
  if (pilot.walltimeEndMs === null) return true;
  return pilot.walltimeEndMs - monotonicMs > walltimeNeededSeconds(task) * 1_000;
}

/** Walltime that a pilot must have left to begin an evaluation of the task. */
export function walltimeNeededSeconds(task: Task): number {
  const { evaluation, checkpoint } = task.spec;
  const whole = evaluation.timeoutSeconds ?? medianSeconds(task) ?? 0;
  const needed =
    checkpoint.save.length === 0 ? whole : Math.min(whole, checkpoint.intervalMinutes * 60);
  return needed + TASK.walltimeReserveSeconds;
}

/** Whether nothing about the pilot's node keeps the task off it now: the walltime left, failures just seen there. */
export function mayUseNode({ live, now }: Turn, task: Task, pilot: LivePilot): boolean {
  return (
    walltimeSuffices(task, pilot, now.monotonicMs) &&
    !isCoolingDown(live, task, pilot, now.monotonicMs)
  );
}

/** Median duration of the last evaluations that gave a loss; null before the first. */
export function medianSeconds(task: Task): number | null {
  if (task.durations.length === 0) return null;
  const sorted = [...task.durations].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? null;
}

/** Order of tasks for free slots: leased points of the task's user, then of the task, then lower id. */
export function compareShares(core: Core, a: Task, b: Task): number {
  return (
    (core.leasedByOwner.get(a.owner) ?? 0) - (core.leasedByOwner.get(b.owner) ?? 0) ||
    a.counts.leased - b.counts.leased ||
    a.id - b.id
  );
}

/** Why the job must not take another point now, or null when it may go on. */
export function reasonToEndJob(
  turn: Turn,
  task: Task,
  job: Job,
  pilot: LivePilot,
): JobEndReason | null {
  if (!mayGrant(task)) return "taskStopped";
  if (task.counts.ready === 0) return "noWork";
  if (pilot.draining) return "pilotGone";
  if (job.points >= task.effective.maxPointsPerEvaluationJob) return "pointsCap";
  if (task.jobs.size > task.effective.nParallelEvaluation) return "limit";
  if (!walltimeSuffices(task, pilot, turn.now.monotonicMs)) return "walltime";
  const slot = pilot.slots[job.slot];
  const queue = turn.core.queues.get(pilot.queue);
  if (slot === undefined || queue === undefined || !takesPoints(queue)) return "pilotGone";
  for (const other of turn.core.activeTasks) {
    if (other === task || !mayStartJob(other)) continue;
    if (compareShares(turn.core, other, task) > 0 || !slotFits(other, queue, slot)) continue;
    if (mayUseNode(turn, other, pilot)) return "fairShare";
  }
  return null;
}

/** Ends the job if it is still there. */
export function endJob(turn: Turn, task: Task, jobId: number, reason: JobEndReason): void {
  if (!task.jobs.has(jobId)) return;
  emit(turn, { type: "jobEnded", taskId: task.id, jobId, reason });
  turn.live.mayDispatch = true;
}
