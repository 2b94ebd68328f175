/** Brings ready points to waiting slots: first come first served among equal slots, fair shares among tasks. */
import type { GrantedItem } from "../../protocol/pilot-messages.ts";
import type { Item } from "../../protocol/ids.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { isBuiltin } from "../../protocol/task.ts";
import type { Core, Job, OpenRun, Point, Task } from "../core.ts";
import { setWaiting, type LivePilot, type LiveSlot, type SlotRef } from "../live.ts";
import { isSegmented, maxPointsOf, segmentName } from "../tasks/segments.ts";
import { drawPoint } from "../tasks/while-steering.ts";
import { effect, emit, type Turn } from "../turn.ts";
import {
  compareShares,
  endJob,
  mayDrawPoint,
  mayStartJob,
  mayUseNode,
  reasonToEndJob,
  slotFits,
  slotFitsFirst,
  takesPoints,
} from "./jobs.ts";
import { pointSeedText, seedOf } from "./seed.ts";

/** Starts jobs on waiting slots while there are points that fit; slots still idle then draw points for tasks that want it. */
export function dispatch(turn: Turn): void {
  turn.live.mayDispatch = false;
  if (turn.live.waiting.size === 0) return;
  grantRuns(turn);
  handOut(turn, mayStartJob);
  handOut(turn, mayDrawPoint);
}

/** CPU tasks prefer slots without GPUs; a task with several forms of slot prefers slots of the first. */
function handOut(turn: Turn, mayTake: (task: Task) => boolean): void {
  const candidates = [...turn.core.activeTasks].filter(mayTake);
  if (candidates.length === 0) return;
  const classes = [...turn.live.waiting.values()].sort((a, b) => gpusOf(a) - gpusOf(b));
  for (const refs of classes) {
    const fits = (task: Task, queue: QueueConfig, slot: LiveSlot): boolean =>
      slotFitsFirst(task, queue, slot) ||
      (task.spec.needs.alternatives.length > 0 &&
        slotFits(task, queue, slot) &&
        !findsFirstForm(turn, task));
    serveClass(turn, refs, candidates, { mayTake, fits });
  }
  const flexible = candidates.filter((task) => task.spec.needs.alternatives.length > 0);
  if (!flexible.some(mayTake)) return;
  for (const refs of classes) serveClass(turn, refs, flexible, { mayTake, fits: slotFits });
}

/** Whether a slot of the task's first form is waiting. */
function findsFirstForm(turn: Turn, task: Task): boolean {
  for (const refs of turn.live.waiting.values()) {
    for (const { pilot, slot } of refs) {
      const queue = openQueue(turn, pilot);
      if (queue !== null && slotFitsFirst(task, queue, slot)) return true;
      break;
    }
  }
  return false;
}

/** The queue of a pilot, unless it takes no work. */
function openQueue(turn: Turn, pilot: LivePilot): QueueConfig | null {
  const queue = turn.core.queues.get(pilot.queue);
  return queue === undefined || queue.state === "offline" || queue.state === "drain" ? null : queue;
}

/** Brings open runs of container steering to slots of central queues, the longest open first. */
function grantRuns(turn: Turn): void {
  const open: { task: Task; run: OpenRun }[] = [];
  for (const task of turn.core.activeTasks) {
    const { run, state, spec } = task;
    if (run === null || run.lease !== null || state !== "running" || isBuiltin(spec.steering))
      continue;
    open.push({ task, run });
  }
  if (open.length === 0) return;
  open.sort((a, b) => a.run.openedSeq - b.run.openedSeq);
  for (const refs of turn.live.waiting.values()) {
    for (const { pilot, slot } of refs) {
      const queue = turn.core.queues.get(pilot.queue);
      if (queue?.role !== "central" || !takesPoints(queue)) break;
      const next = open.shift();
      if (next === undefined) return;
      grantRun(turn, next.task, pilot, slot);
    }
  }
}

function grantRun(turn: Turn, task: Task, pilot: LivePilot, slot: LiveSlot): void {
  const { run } = task;
  if (run === null) return;
  emit(turn, {
    type: "leaseGranted",
    taskId: task.id,
    pointId: null,
    epoch: [turn.core.incarnation, run.epoch[1] + 1],
    jobId: null,
    pilotId: pilot.id,
    slot: slot.index,
    node: pilot.capacity.node,
  });
  setWaiting(turn.live, pilot, slot, false);
  const item = { type: "steering", taskId: task.id, run: run.run } as const;
  const { nPointsPerIteration } = task.effective;
  const granted: GrantedItem = {
    item,
    epoch: run.epoch,
    slot: slot.index,
    attempt: run.try,
    pointText: "",
    seed: seedOf(turn.ports.sha256, `${task.spec.seed}:run:${run.run}`),
    token: turn.ports.leaseToken(item, run.epoch),
    // Unreduced: steering programs subtract the pending points themselves, in each segment (iDDS's contract).
    steering: { numPoints: nPointsPerIteration, maxPoints: maxPointsOf(task) },
  };
  sendGrant(turn, pilot, slot, [granted]);
}

function gpusOf(refs: ReadonlySet<SlotRef>): number {
  for (const { slot } of refs) return slot.resources.gpus.length;
  return 0;
}

interface Rules {
  readonly mayTake: (task: Task) => boolean;
  readonly fits: (task: Task, queue: QueueConfig, slot: LiveSlot) => boolean;
}

function serveClass(
  turn: Turn,
  refs: ReadonlySet<SlotRef>,
  candidates: readonly Task[],
  { mayTake, fits }: Rules,
): void {
  let fitting: readonly Task[] | null = null;
  for (const { pilot, slot } of refs) {
    const queue = turn.core.queues.get(pilot.queue);
    if (queue === undefined || !takesPoints(queue)) return;
    fitting ??= candidates.filter((task) => fits(task, queue, slot));
    const accepts = (one: Task): boolean => mayTake(one) && mayUseNode(turn, one, pilot);
    let task = smallestShare(turn.core, fitting, accepts);
    while (task !== null && task.counts.ready === 0 && !drawPoint(turn, task)) {
      const usedUp = task;
      fitting = fitting.filter((one) => one !== usedUp);
      task = smallestShare(turn.core, fitting, accepts);
    }
    if (task !== null) startJob(turn, task, pilot, slot);
    else if (!fitting.some(mayTake)) return;
  }
}

function smallestShare(
  core: Core,
  tasks: readonly Task[],
  accepts: (task: Task) => boolean,
): Task | null {
  let best: Task | null = null;
  for (const task of tasks) {
    if (!accepts(task)) continue;
    if (best === null || compareShares(core, task, best) < 0) best = task;
  }
  return best;
}

function startJob(turn: Turn, task: Task, pilot: LivePilot, slot: LiveSlot): void {
  const jobId = task.nextJobId;
  emit(turn, {
    type: "jobStarted",
    taskId: task.id,
    jobId,
    pilotId: pilot.id,
    slot: slot.index,
    node: pilot.capacity.node,
    queue: pilot.queue,
  });
  const job = task.jobs.get(jobId);
  if (job !== undefined) grantNext(turn, task, job, pilot);
}

/** After a point: the job takes the next one or ends. Returns whether the slot has work now. */
export function continueJob(turn: Turn, task: Task, jobId: number, pilot: LivePilot): boolean {
  const job = task.jobs.get(jobId);
  if (job === undefined) return false;
  const reason = reasonToEndJob(turn, task, job, pilot);
  if (reason !== null) {
    endJob(turn, task, jobId, reason);
    return false;
  }
  grantNext(turn, task, job, pilot);
  return true;
}

function grantNext(turn: Turn, task: Task, job: Job, pilot: LivePilot): void {
  const slot = pilot.slots[job.slot];
  const point = task.ready.shift((one) => one.state === "ready");
  if (slot === undefined || point === null)
    throw new Error(`task ${task.id} counts ready points that are not queued`);
  emit(turn, {
    type: "leaseGranted",
    taskId: task.id,
    pointId: point.id,
    epoch: [turn.core.incarnation, point.epoch[1] + 1],
    jobId: job.id,
    pilotId: pilot.id,
    slot: slot.index,
  });
  setWaiting(turn.live, pilot, slot, false);
  sendGrant(turn, pilot, slot, [grantedItem(turn, task, point, slot)]);
}

function grantedItem(turn: Turn, task: Task, point: Point, slot: LiveSlot): GrantedItem {
  const item = { type: "evaluation", taskId: task.id, pointId: point.id } as const;
  const checkpoints = point.files?.checkpoints ?? [];
  const granted: GrantedItem = {
    item,
    epoch: point.epoch,
    slot: slot.index,
    attempt: point.attempts + 1,
    pointText: point.text,
    seed: seedOf(turn.ports.sha256, pointSeedText(task.spec.seed, point.id)),
    token: turn.ports.leaseToken(item, point.epoch),
    ...(checkpoints.length === 0 ? {} : { checkpoints: [...checkpoints] }),
  };
  if (!isSegmented(task)) return granted;
  return { ...granted, segment: { id: point.segment, name: segmentName(task, point.segment) } };
}

/** Sends items under the next grant number, with the specifications that this session has not seen. */
export function sendGrant(
  turn: Turn,
  pilot: LivePilot,
  slot: LiveSlot,
  items: readonly GrantedItem[],
): void {
  if (pilot.session === null) return;
  pilot.grantNo += 1;
  const specs = [];
  for (const { item } of items) {
    pilot.grantOf.set(grantKey(item), pilot.grantNo);
    const task = turn.core.tasks.get(item.taskId);
    if (task === undefined || pilot.specsSent.has(task.id)) continue;
    pilot.specsSent.add(task.id);
    // A pilot needs no search space and no other segments, and the largest would not fit into a frame.
    specs.push({ taskId: task.id, spec: { ...task.spec, searchSpace: "", segments: [] } });
  }
  slot.lastGrant = { requestNo: slot.requestNo, items };
  effect(turn, {
    type: "toPilot",
    session: pilot.session,
    message: {
      type: "grant",
      grantNo: pilot.grantNo,
      requestNo: slot.requestNo,
      items: [...items],
      specs,
    },
  });
}

/** Key under which a session remembers the grant that carried an item. */
function grantKey(item: Item): string {
  return item.type === "evaluation" ? `${item.taskId}/${item.pointId}` : `${item.taskId}:run`;
}
