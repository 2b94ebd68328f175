/**
 * A node that cannot run a task would take its points faster than good nodes can, one after another, and use up their
 * interruptions. So the task stays away from such a node for a while, longer after each failure in a row.
 */
import { TASK } from "../../protocol/limits.ts";
import { nodeKey, type Task } from "../core.ts";
import type { Live, LivePilot } from "../live.ts";

function cooldownKey(task: Task, queue: string, node: string): string {
  return `${task.id}@${nodeKey(queue, node)}`;
}

/** The node failed the task: an image, a runtime, a disk. */
export function noteNodeFailed(live: Live, task: Task, pilot: LivePilot, nowMs: number): void {
  const key = cooldownKey(task, pilot.queue, pilot.capacity.node);
  const failuresInRow = (live.cooldowns.get(key)?.failuresInRow ?? 0) + 1;
  const ms = TASK.nodeCooldownMs * 2 ** Math.min(failuresInRow - 1, DOUBLINGS_MAX);
  live.cooldowns.delete(key);
  live.cooldowns.set(key, {
    failuresInRow,
    untilMs: nowMs + Math.min(TASK.nodeCooldownMsMax, ms),
  });
  const [oldest] = live.cooldowns.keys();
  if (live.cooldowns.size > TASK.nodeCooldownsMax && oldest !== undefined)
    live.cooldowns.delete(oldest);
}

/** An attempt of the task ended there, well or not: the node is good. */
export function noteNodeWorked(live: Live, task: Task, pilot: LivePilot): void {
  if (live.cooldowns.size > 0)
    live.cooldowns.delete(cooldownKey(task, pilot.queue, pilot.capacity.node));
}

/** Whether the task stays away from the pilot's node now. */
export function isCoolingDown(live: Live, task: Task, pilot: LivePilot, nowMs: number): boolean {
  if (live.cooldowns.size === 0) return false;
  const cooldown = live.cooldowns.get(cooldownKey(task, pilot.queue, pilot.capacity.node));
  return cooldown !== undefined && nowMs < cooldown.untilMs;
}

/** Someone says that the cause is mended. */
export function forgetCooldowns(live: Live, task: Task): void {
  const own = `${task.id}@`;
  for (const key of live.cooldowns.keys()) if (key.startsWith(own)) live.cooldowns.delete(key);
}

/** Lets slots be served again when a cooldown has passed since the last look. */
export function wakeAfterCooldowns(live: Live, nowMs: number): void {
  for (const { untilMs } of live.cooldowns.values()) {
    if (untilMs > live.cooldownsSeenMs && untilMs <= nowMs) live.mayDispatch = true;
  }
  live.cooldownsSeenMs = nowMs;
}

/** Enough to reach the bound from the first pause. */
const DOUBLINGS_MAX = 20;
