/** Stops a search early that cannot work: the same failure again and again, and no loss yet. */
import { TASK } from "../../protocol/limits.ts";
import type { Task } from "../core.ts";
import type { Live } from "../live.ts";

/** Why the task should pause, or null. Causes are error code and exit code, never text; time-outs never count. */
export function failFastReason(task: Task, live: Live): string | null {
  if (!task.spec.failFast || task.lossCount > 0) return null;
  for (const [cause, failure] of task.failures) {
    if (failure.count < TASK.failFastAttempts) continue;
    if (failure.nodes.size < TASK.failFastNodes && connectedNodes(live) > 1) continue;
    const where = failure.nodes.size === 1 ? "the only node" : `${failure.nodes.size} nodes`;
    return `paused: ${failure.count} attempts failed alike on ${where} (${cause}) and none gave a loss; see 'hyperpilot task logs ${task.id}', then resume`;
  }
  return null;
}

function connectedNodes(live: Live): number {
  const nodes = new Set<string>();
  for (const pilot of live.pilots.values()) {
    if (pilot.session !== null) nodes.add(`${pilot.queue}/${pilot.capacity.node}`);
    if (nodes.size > 1) break;
  }
  return nodes.size;
}
