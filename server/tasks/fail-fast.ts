/** Stops a search early that cannot work: the same failure again and again, and no loss yet; or an image that no node has. */
import { TASK } from "../../protocol/limits.ts";
import type { Core, Task } from "../core.ts";
import type { Live } from "../live.ts";
import { queueLacks } from "../points/jobs.ts";

/** Why the task should pause, or null. Causes are error code and exit code, never text; time-outs never count. */
export function failFastReason(core: Core, live: Live, task: Task): string | null {
  const image = imageReason(core, live, task);
  if (image !== null) return image;
  if (!task.spec.failFast || task.lossCount > 0) return null;
  for (const [cause, failure] of task.failures) {
    if (failure.count < TASK.failFastAttempts) continue;
    if (failure.nodes.size < TASK.failFastNodes && nodesFor(core, live, task) > 1) continue;
    const where = failure.nodes.size === 1 ? "the only node" : `${failure.nodes.size} nodes`;
    return `${failure.count} attempts failed alike on ${where} (${cause}) and none gave a loss; see 'hyperpilot task logs ${task.id}', then resume`;
  }
  return null;
}

/** The image could not be used on two nodes, or again and again on the only one. */
function imageReason(core: Core, live: Live, task: Task): string | null {
  const failures = [...task.imageFailures.values()];
  const [first] = failures;
  if (first === undefined) return null;
  const isEnough =
    failures.length >= TASK.failFastNodes ||
    (first.count >= TASK.imageFailuresOnOnlyNode && nodesFor(core, live, task) <= 1);
  if (!isEnough) return null;
  const where = failures.length === 1 ? "the only node" : `${failures.length} nodes`;
  return `on ${where}, ${first.detail}. Once that is done: 'hyperpilot task resume ${task.id}'; with another image: kill it and submit again`;
}

/** Connected nodes that the task may use, as far as they matter: more than one is 2. */
function nodesFor(core: Core, live: Live, task: Task): number {
  const nodes = new Set<string>();
  for (const pilot of live.pilots.values()) {
    const queue = core.queues.get(pilot.queue);
    if (pilot.session === null || queue === undefined || queueLacks(task, queue).length > 0)
      continue;
    nodes.add(pilot.capacity.node);
    if (nodes.size > 1) break;
  }
  return nodes.size;
}
