/** Routes of points: lists, attempts, output. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import { sha256Hex } from "../auth/tokens.ts";
import type { Point, Task } from "../core.ts";
import { pointSeedText, seedOf } from "../points/seed.ts";
import { attemptViews, pointPage, pointView, type HistoryEvent } from "../views/points.ts";
import type { Handlers } from "./call.ts";
import { visibleTask, type RestDeps } from "./context.ts";

export function pointHandlers(
  deps: RestDeps,
): Pick<Handlers, "listPoints" | "showPoint" | "pointLog"> {
  const { engine } = deps;
  return {
    listPoints: ({ caller, params, query }) =>
      engine.read((core) =>
        pointPage(visibleTask(core, caller.principal, params.taskId), {
          ...query,
          sort: query.sort ?? "id",
        }),
      ),
    showPoint: async ({ caller, params }) => {
      const seen = await engine.read((core) => {
        const task = visibleTask(core, caller.principal, params.taskId);
        const point = pointIn(task, params.pointId);
        const seed = seedOf(sha256Hex, pointSeedText(task.spec.seed, point.id));
        const { historySeq, attempts } = point;
        return { view: { ...pointView(point), seed }, historySeq, attempts };
      });
      const history = attemptViews(seen.attempts, await readHistory(deps, seen.historySeq));
      return { ...seen.view, history };
    },
    pointLog: async ({ caller, params, reply }) => {
      const { taskId, pointId } = params;
      await engine.read((core) => {
        const task = visibleTask(core, caller.principal, taskId);
        // "run-3" names the output of a steering container.
        return /^run-\d{1,9}$/.test(pointId) ? pointId : pointIn(task, pointId).id;
      });
      const text = await deps.logs.read(taskId, pointId);
      // Output is whatever the payload wrote: never shown by a browser as a page of ours.
      reply
        .type("text/plain; charset=utf-8")
        .header("content-disposition", `attachment; filename="${taskId}-${pointId}.log"`);
      return text;
    },
  };
}

function pointIn(task: Task, pointId: string): Point {
  const point = task.points.get(pointId);
  if (point !== undefined) return point;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `Task ${task.id} has no point ${pointId}.`,
    remedy: `hyperpilot task points ${task.id}`,
  });
}

/** Walks the chain of a point's history events back from the newest, newest first. */
async function readHistory(deps: RestDeps, newestSeq: number): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let seq = newestSeq;
  while (seq > 0 && events.length < SERVER.historyEntriesMax) {
    const event = await deps.journal.event(seq);
    if (event?.type !== "attemptEnded" && event?.type !== "leaseEnded") {
      throw new HyperpilotError({
        code: "E_JOURNAL_BROKEN",
        message: `Event ${seq} of the journal should belong to a point's history.`,
        why: event === undefined ? "It is not there." : `It is ${event.type}.`,
      });
    }
    events.push(event);
    seq = event.previousSeq;
  }
  return events;
}
