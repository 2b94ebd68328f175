/** What the server must make of nodes: who stays away from which, who waits for one, and which searches no node can run. */
import type { InterruptionReason, Outcome } from "../../protocol/pilot-messages.ts";
import { combinationsOf } from "../../protocol/search-space.ts";
import type { EventOf } from "../../server/events.ts";
import { spaceOf } from "../../server/tasks/segments.ts";
import type { NodeRef } from "./cooldowns.ts";
import { mayDraw, mayStart, type Model, type TaskModel } from "./model.ts";
import type { SessionBook, SessionNote } from "./session-book.ts";
import type { Case } from "./tally.ts";
import type { Expected, Turn } from "./turn-checks.ts";

/** The batch system's or the operator's will, which says nothing of the node. */
const EVICTIONS: readonly InterruptionReason[] = ["eviction", "drain", "pilotStop"];
const FAILURES_MAX = 5;
const NODES_MAX = 2;
const IMAGE_FAILURES_MAX = 2;

/** Notes what the item of a turn says of nodes, before its events are taken. */
export function noteNodes(
  { item, model, sessions, effects }: Turn,
  { answer }: Expected,
  reached: (one: Case) => void,
): void {
  if (item.type === "tick") model.cooldowns.looked();
  if (item.type === "command" && item.command.type === "controlTask") {
    const isDone = effects.some((one) => one.type === "reply" && one.requestId === item.requestId);
    if (isDone && item.command.action === "resume") model.cooldowns.resumed(item.command.taskId);
  }
  if (item.type !== "pilot" || item.message.type !== "result" || answer !== "accepted") return;
  const note = sessions.bySession.get(item.session);
  const where = note === undefined ? null : whereIs(model, note);
  if (where === null) return;
  const { outcome } = item.message;
  const { taskId } = item.message.item;
  const failures = model.cooldowns.failuresOf(taskId, where);
  if (outcome.type !== "interrupted") {
    if (failures > 0) reached("node works again");
    model.cooldowns.worked(taskId, where);
  } else if (!EVICTIONS.includes(outcome.reason)) {
    reached(failures > 0 ? "node avoided again" : "node avoided");
    model.cooldowns.failed(taskId, where);
  }
}

function whereIs(model: Model, { pilotId, node }: SessionNote): NodeRef | null {
  const submission = model.submissions.get(model.submissionOfPilot.get(pilotId) ?? "");
  return submission === undefined ? null : { queue: submission.queue, node };
}

/** Whether the end of a lease is the node's fault; `sent` is what the pilot said of it, null when it said nothing. */
export function isNodesFault(
  task: TaskModel,
  event: EventOf<"leaseEnded">,
  sent: Outcome | null,
): boolean {
  if (event.pointId === null) return false;
  if (event.reason === "expired") return true;
  if (sent?.type !== "interrupted" || !event.interruption) return false;
  // Without any loss it may be the image's own fault.
  const isImages = sent.imageCause !== undefined && task.losses === 0;
  return !EVICTIONS.includes(sent.reason) && !isImages;
}

/** Checks a turn whose events the model has taken. */
export function checkNodes(turn: Turn): void {
  checkPauses(turn);
  checkDraws(turn);
  checkOffers(turn);
}

/** What is drawn at random goes to a slot at once: for that it was drawn. */
function checkDraws({ events, model }: Turn): void {
  for (const [index, event] of events.entries()) {
    if (event.type !== "pointGenerated" || event.run !== null || event.retryOf !== null) continue;
    const granted = events[index + 2];
    model.must(
      granted?.type === "leaseGranted" && granted.pointId === event.pointId,
      "steering",
      () => `point ${event.taskId}/${event.pointId} is drawn and no slot gets it`,
    );
  }
}

/** The server pauses the searches that no node can run, and no others. */
function checkPauses({ events, model, sessions }: Turn): void {
  for (const event of events) {
    if (event.type !== "taskStateChanged" || event.state !== "paused" || event.by !== "server")
      continue;
    const task = model.tasks.get(event.taskId);
    model.must(
      task !== undefined && hopelessness(model, sessions, task) !== null,
      "gaveUp",
      () => `task ${event.taskId} is paused without a reason (${event.reason})`,
    );
  }
  for (const task of model.touchedTasks) {
    const why = task.state === "running" ? hopelessness(model, sessions, task) : null;
    model.must(why === null, "gaveUp", () => `task ${task.id} goes on after ${why}`);
  }
}

/** Why no node can run the task, or null. */
function hopelessness(model: Model, sessions: SessionBook, task: TaskModel): string | null {
  const isOnly = nodesUpTo(model, sessions, NODES_MAX) < NODES_MAX;
  for (const [node, count] of task.imageFailures)
    if (task.imageFailures.size >= NODES_MAX || (count >= IMAGE_FAILURES_MAX && isOnly))
      return `${count} images that could not be had on node ${node}`;
  if (!task.spec.failFast || task.losses > 0) return null;
  for (const [cause, { count, nodes }] of task.failures)
    if (count >= FAILURES_MAX && (nodes.size >= NODES_MAX || isOnly))
      return `${count} failures (${cause}) on ${nodes.size} nodes`;
  return null;
}

/** Nodes for evaluations whose pilots have a session. */
function nodesUpTo(model: Model, sessions: SessionBook, most: number): number {
  const nodes = new Set<string>();
  for (const note of sessions.bySession.values()) {
    const where = whereIs(model, note);
    if (where === null || model.queues.get(where.queue)?.role !== "evaluation") continue;
    nodes.add(where.node);
    if (nodes.size >= most) break;
  }
  return nodes.size;
}

/** Work and slots that wait for each other have been brought together. */
function checkOffers({ live, model, sessions }: Turn): void {
  for (const refs of live.waiting.values()) {
    const seen = new Set<string>();
    for (const { pilot, slot } of refs) {
      const queue = model.queues.get(pilot.queue);
      if (queue === undefined || queue.state === "offline" || queue.state === "drain") break;
      const who = `slot ${slot.index} of ${pilot.id}`;
      const note = sessions.bySession.get(pilot.session ?? "");
      if (!model.must(note !== undefined, "leak", () => `${who} waits without a session`)) break;
      const { node } = note!;
      if (seen.has(node) || pilot.walltimeEndMs !== null) continue;
      seen.add(node);
      const where = { queue: pilot.queue, node };
      const found = queue.role === "central" ? waitingRun(model) : waitingPoint(model, where);
      model.must(found === null, "offered", () => `${who} waits beside ${found}`);
    }
  }
}

function waitingPoint(model: Model, where: NodeRef): string | null {
  for (const task of model.tasks.values())
    if ((mayStart(task) || mayDrawAnyTime(task)) && !model.cooldowns.mayWait(task.id, where))
      return `a point of task ${task.id}`;
  return null;
}

/** A finite space may have no new point left. */
function mayDrawAnyTime(task: TaskModel): boolean {
  return mayDraw(task) && combinationsOf(spaceOf(task.spec, 0)) === Number.POSITIVE_INFINITY;
}

function waitingRun(model: Model): string | null {
  for (const task of model.tasks.values())
    if (task.state === "running" && task.run?.lease === null && !("method" in task.spec.steering))
      return `run ${task.run.run} of task ${task.id}`;
  return null;
}
