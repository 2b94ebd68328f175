/** Points and their attempts as REST shows them. Pure. */
import { TASK } from "../../protocol/limits.ts";
import { INTERRUPTION_REASONS, type InterruptionReason } from "../../protocol/pilot-messages.ts";
import type { AttemptView, PointDetail, PointView } from "../../protocol/rest.ts";
import type { PointState } from "../../protocol/states.ts";
import { isBetter, type Point, type Task } from "../core.ts";
import type { EventOf, HyperpilotEvent } from "../events.ts";
import { isSegmented } from "../tasks/segments.ts";
import { firstOf, pageLimit, pageOf, type Page, type PageRequest } from "./page.ts";
import { isoTime } from "./tasks.ts";

export function pointView(task: Task, point: Point): PointView {
  return {
    pointId: point.id,
    state: point.state,
    loss: point.loss,
    text: point.text,
    segment: isSegmented(task) ? point.segment : null,
    origin: originOf(point),
    run: point.run,
    retryOf: point.retryOf,
    attempts: point.attempts,
    interruptions: point.interruptions,
    node: point.node === "" ? null : point.node,
    metadata: point.files?.metadata ?? null,
    metrics: point.files?.metrics ?? null,
    checkpoints: [...(point.files?.checkpoints ?? [])],
  };
}

function originOf({ run, retryOf }: Point): PointView["origin"] {
  if (retryOf !== null) return "retry";
  return run === null ? "random" : "steering";
}

export interface PointFilter extends PageRequest {
  readonly state?: PointState | undefined;
  readonly segment?: number | undefined;
  /** By id as generated, or best loss first and those without a loss last. */
  readonly sort: "id" | "loss";
}

/** The cursor is the id of the last point shown. */
export function pointPage(task: Task, filter: PointFilter): Page<PointView> {
  const limit = pageLimit(filter);
  const shape = {
    view: (point: Point) => pointView(task, point),
    cursorOf: (point: Point) => point.id,
  };
  if (filter.sort === "id") return pageOf(matching(task, filter, fromCursor(filter)), limit, shape);
  const compare = byLoss(task);
  const last = filter.cursor === undefined ? undefined : task.points.get(filter.cursor);
  const following = function* (): Iterable<Point> {
    for (const point of matching(task, filter, 0))
      if (last === undefined || compare(point, last) > 0) yield point;
  };
  return pageOf(firstOf(following(), limit + 1, compare), limit, shape);
}

/** Ids are the numbers from 0 on, without gaps. */
function fromCursor(filter: PointFilter): number {
  return filter.cursor === undefined ? 0 : Number(filter.cursor) + 1;
}

function* matching(task: Task, filter: PointFilter, first: number): Iterable<Point> {
  if (!Number.isSafeInteger(first)) return;
  for (let id = first; id < task.points.size; id += 1) {
    const point = task.points.get(String(id));
    if (point !== undefined && passes(point, filter)) yield point;
  }
}

function passes(point: Point, { state, segment }: PointFilter): boolean {
  return (
    (state === undefined || point.state === state) &&
    (segment === undefined || point.segment === segment)
  );
}

function byLoss(task: Task): (a: Point, b: Point) => number {
  return (a, b) => {
    if (a.loss !== b.loss) {
      if (a.loss === null) return 1;
      if (b.loss === null) return -1;
      return isBetter(task, a.loss, b.loss) ? -1 : 1;
    }
    return Number(a.id) - Number(b.id);
  };
}

/** What a point's history is made of. */
export type HistoryEvent = EventOf<"attemptEnded" | "leaseEnded" | "checkpointDropped">;

export function isHistory(event: HyperpilotEvent): event is HistoryEvent {
  const { type } = event;
  return type === "attemptEnded" || type === "leaseEnded" || type === "checkpointDropped";
}

/** Entries of a history that are no evaluations. */
export function noticeViews(newestFirst: readonly HistoryEvent[]): PointDetail["notices"] {
  return newestFirst
    .flatMap((event) =>
      event.type === "checkpointDropped"
        ? [{ at: isoTime(event.atMs), text: `${event.reason}; it is not used any more` }]
        : [],
    )
    .reverse();
}

/** The entries of a history that was read backwards, newest first; shown oldest first. */
export function attemptViews(
  attempts: number,
  newestFirst: readonly HistoryEvent[],
): AttemptView[] {
  let attempt = Math.min(attempts + 1, TASK.attemptsMax);
  const views: AttemptView[] = [];
  for (const event of newestFirst) {
    if (event.type === "checkpointDropped") continue;
    if (event.type === "attemptEnded") attempt = event.attempt;
    views.push({
      attempt,
      epoch: event.epoch,
      node: event.node,
      endedAt: isoTime(event.atMs),
      durationSeconds: event.type === "attemptEnded" ? event.durationSeconds : 0,
      outcome: event.type === "attemptEnded" ? event.outcome : interruptionOf(event),
      warnings: [...(event.warnings ?? [])],
      restored: event.restored ?? null,
    });
  }
  return views.reverse();
}

/** A lease that ended without a result, as an interruption: of the reason its pilot gave, or of the pilot's absence. */
function interruptionOf(event: EventOf<"leaseEnded">): AttemptView["outcome"] {
  const [given = "", ...rest] = event.detail.split(": ");
  const reason = INTERRUPTION_REASONS.find((known) => known === given);
  if (event.reason === "interrupted" && reason !== undefined)
    return { type: "interrupted", reason, message: rest.join(": ") };
  const lost: InterruptionReason = "pilotStop";
  return { type: "interrupted", reason: lost, message: `${event.reason}: ${event.detail}` };
}
