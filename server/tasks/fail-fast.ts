/** Stops a search early that cannot work: the same failure again and again, and no loss yet. */
import { TASK } from "../../protocol/limits.ts";
import type { FailureCause, Task } from "../core.ts";
import type { Live } from "../live.ts";

/** Why the task should pause, or null. Causes are error code and exit code, never text; time-outs never count. */
export function failFastReason(task: Task, live: Live): string | null {
  if (!task.spec.failFast) return null;
  const noImage = imageReason(task, live);
  if (noImage !== null) return noImage;
  if (task.lossCount > 0) return null;
  for (const [cause, failure] of task.failures) {
    if (failure.count < TASK.failFastAttempts) continue;
    const where = enoughNodes(failure, live);
    if (where === null) continue;
    return `paused: ${failure.count} attempts failed alike on ${where} (${cause}) and none gave a loss; see 'hyperpilot task logs ${task.id}', then resume`;
  }
  return null;
}

/** An image that is not found, or denied, is so everywhere: two nodes say it, or the only one twice. */
function imageReason({ imageFailure, id }: Task, live: Live): string | null {
  if (imageFailure === null || imageFailure.count < TASK.failFastNodes) return null;
  const where = enoughNodes(imageFailure, live);
  if (where === null) return null;
  return `paused: the image cannot be had on ${where}: ${imageFailure.detail}; then 'hyperpilot task resume ${id}'`;
}

/** On how many nodes it failed, in words; null while more of them have to be asked. */
function enoughNodes({ nodes }: FailureCause, live: Live): string | null {
  if (nodes.size >= TASK.failFastNodes) return `${nodes.size} nodes`;
  return connectedNodes(live) > 1 ? null : "the only node";
}

function connectedNodes(live: Live): number {
  const nodes = new Set<string>();
  for (const pilot of live.pilots.values()) {
    if (pilot.session !== null) nodes.add(`${pilot.queue}/${pilot.capacity.node}`);
    if (nodes.size > 1) break;
  }
  return nodes.size;
}
