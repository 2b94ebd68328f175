/** What must be true of every core, whatever led to it. */
import { isEnded } from "../../protocol/states.ts";
import type { Core, Task } from "../core.ts";

/** Sentences about what contradicts itself; none in a good state. */
export function contradictions(core: Core): string[] {
  const found: string[] = [];
  let leased = 0;
  for (const task of core.tasks.values()) {
    found.push(...ofTask(task));
    leased += task.counts.leased + (task.run !== null && task.run.lease !== null ? 1 : 0);
    if (isEnded(task.state) === core.activeTasks.has(task) && task.state !== "defined")
      found.push(
        `task ${task.id} is ${task.state} and ${isEnded(task.state) ? "" : "not "}among the active ones`,
      );
  }
  let held = 0;
  for (const leases of core.leasesByPilot.values()) held += leases.size;
  if (held !== leased) found.push(`pilots hold ${held} leases, but ${leased} items are leased`);
  return found;
}

function ofTask(task: Task): string[] {
  const found: string[] = [];
  const counted: Record<string, number> = {};
  let losses = 0;
  for (const point of task.points.values()) {
    counted[point.state] = (counted[point.state] ?? 0) + 1;
    if ((point.loss !== null) !== (point.state === "done"))
      found.push(`point ${task.id}/${point.id} is ${point.state} with loss ${String(point.loss)}`);
    if ((point.lease !== null) !== (point.state === "leased"))
      found.push(
        `point ${task.id}/${point.id} is ${point.state} ${point.lease === null ? "without" : "with"} a lease`,
      );
    if (point.loss !== null) losses += 1;
  }
  for (const [state, count] of Object.entries(task.counts))
    if (count !== (counted[state] ?? 0))
      found.push(
        `task ${task.id} counts ${count} ${state} points, there are ${counted[state] ?? 0}`,
      );
  if (losses !== task.lossCount)
    found.push(`task ${task.id} counts ${task.lossCount} losses, there are ${losses}`);
  return found;
}
