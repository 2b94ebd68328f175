/** Segments of a task as REST shows them. Pure. */
import type { SegmentDetail, SegmentView } from "../../protocol/rest.ts";
import type { SegmentState, Task } from "../core.ts";
import { isSegmented, segmentName } from "../tasks/segments.ts";
import { pageLimit, pageOf, type Page, type PageRequest } from "./page.ts";

/** All segments, without the parameters of their best points; none of a task that is one search. */
export function segmentViews(task: Task): SegmentView[] {
  return isSegmented(task) ? task.segments.map((segment) => segmentView(task, segment)) : [];
}

function segmentView(task: Task, segment: SegmentState): SegmentView {
  const { index, counts, generated, best, askingEnded } = segment;
  return {
    segment: index,
    name: segmentName(task, index),
    points: { ...counts },
    generated,
    best: best?.loss == null ? null : { pointId: best.id, loss: best.loss },
    askingEnded: askingEnded ?? task.askingEnded,
  };
}

/** The cursor is the index of the last segment shown. */
export function segmentPage(task: Task, request: PageRequest): Page<SegmentDetail> {
  const first = request.cursor === undefined ? 0 : Number(request.cursor) + 1;
  const following = isSegmented(task) ? task.segments.slice(first) : [];
  return pageOf(following, pageLimit(request), {
    view: (segment) => segmentDetail(task, segment),
    cursorOf: (segment) => String(segment.index),
  });
}

function segmentDetail(task: Task, segment: SegmentState): SegmentDetail {
  const { files = [], datasets = [] } = task.spec.segments[segment.index] ?? {};
  const view = segmentView(task, segment);
  const best = view.best === null ? null : { ...view.best, text: segment.best?.text ?? "" };
  return { ...view, best, files: [...files], datasets: [...datasets] };
}
