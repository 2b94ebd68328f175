/** Routes of points: lists, attempts, output. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import { sha256Hex } from "../auth/tokens.ts";
import { pointSeedText, seedOf } from "../points/seed.ts";
import {
  attemptViews,
  isHistory,
  noticeViews,
  pointPage,
  pointView,
  type HistoryEvent,
} from "../views/points.ts";
import { pointWarnings } from "../views/warnings.ts";
import type { Handlers } from "./call.ts";
import { pointIn, visibleTask, type RestDeps } from "./context.ts";

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
      const seen = await engine.read((core, live) => {
        const task = visibleTask(core, caller.principal, params.taskId);
        const point = pointIn(task, params.pointId);
        const warnings = pointWarnings(core, live, params.taskId).get(point) ?? [];
        const seed = seedOf(sha256Hex, pointSeedText(task.spec.seed, point.id));
        const { historySeq, attempts } = point;
        return { view: { ...pointView(task, point), seed }, historySeq, attempts, warnings };
      });
      const events = await readHistory(deps, seen.historySeq);
      return {
        ...seen.view,
        history: attemptViews(seen.attempts, events),
        notices: noticeViews(events),
        warnings: seen.warnings,
      };
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

/** Walks the chain of a point's history events back from the newest, newest first. */
async function readHistory(deps: RestDeps, newestSeq: number): Promise<HistoryEvent[]> {
  const events: HistoryEvent[] = [];
  let seq = newestSeq;
  while (seq > 0 && events.length < SERVER.historyEntriesMax) {
    const event = await deps.journal.event(seq);
    if (event === undefined || !isHistory(event)) {
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
