/** What pilots say of running evaluations, as REST shows it. Pure. */
import { compareEpochs, type TaskId } from "../../protocol/ids.ts";
import type { Core, Point, Task } from "../core.ts";
import type { Live } from "../live.ts";

const SHOWN_MAX = 5;

/** Warnings of the task's points by point; those of leases that are over are left out. */
export function pointWarnings(core: Core, live: Live, taskId: TaskId): Map<Point, string[]> {
  const found = new Map<Point, string[]>();
  const task = core.tasks.get(taskId);
  for (const pilot of live.pilots.values()) {
    for (const { item, epoch, text } of pilot.warnings) {
      if (item.type !== "evaluation" || item.taskId !== taskId) continue;
      const point = task?.points.get(item.pointId);
      if (point?.state !== "leased" || compareEpochs(point.epoch, epoch) !== 0) continue;
      found.set(point, [...(found.get(point) ?? []), text]);
    }
  }
  return found;
}

/** The same as sentences that name their point, a few of them. */
export function taskWarnings(core: Core, live: Live, task: Task): string[] {
  const all = [...pointWarnings(core, live, task.id)].flatMap(([point, texts]) =>
    texts.map((text) => `point ${point.id}: ${text}`),
  );
  const more = all.length - SHOWN_MAX;
  if (more <= 0) return all;
  return [...all.slice(0, SHOWN_MAX), `${more} more of such warnings`];
}
