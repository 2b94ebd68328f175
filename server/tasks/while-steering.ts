/**
 * Points drawn at random for slots that would stay idle while a run of steering is open. A run leaves at least half of the
 * points that it was opened for to the steering.
 */
import { combinationsOf, type Parameter } from "../../protocol/search-space.ts";
import type { AskedSegment, OpenRun, SegmentState, Task } from "../core.ts";
import { fromText, toText } from "../samplers/coordinates.ts";
import { drawOnce } from "../samplers/random.ts";
import { randomStream } from "../samplers/random-stream.ts";
import type { Turn } from "../turn.ts";
import { generatePoint } from "./proposals.ts";
import { parametersOf, proposalText, roomIn, segmentOf, spaceOf } from "./segments.ts";

/** Makes one ready point, in the segment whose turn it is; false when no segment has a new one. */
export function drawPoint(turn: Turn, task: Task): boolean {
  const { run } = task;
  if (run === null) return false;
  for (const asked of inTurn(run)) {
    const segment = segmentOf(task, asked.segment);
    if (asked.draws < 1 || roomIn(task, segment) < 1) continue;
    const parameters = draw(task, segment);
    if (parameters === null) continue;
    const text = proposalText(task, segment.index, parameters);
    generatePoint(turn, task, { segment: segment.index, text, run: null });
    return true;
  }
  return false;
}

function inTurn({ asked, nextDraw }: OpenRun): AskedSegment[] {
  const all = [...asked.values()];
  return [...all.slice(nextDraw), ...all.slice(0, nextDraw)];
}

/** Seeded by the task's seed and the number of the point that it becomes. In an endless space no two draws are alike. */
function draw(task: Task, segment: SegmentState): string | null {
  const space = spaceOf(task.spec, segment.index);
  const combinations = combinationsOf(space);
  const known = combinations === Number.POSITIVE_INFINITY ? NOTHING : look(task, segment, space);
  const { texts } = known;
  if (texts.size >= combinations || texts.size === known.triedAt) return null;
  const random = randomStream(`${task.spec.seed}:random:${task.points.size}`);
  const drawn = drawOnce(space, random, texts);
  if (drawn === null) known.triedAt = texts.size;
  return drawn;
}

/** What is known of a finite space, so that no point is drawn twice. */
interface Known {
  readonly texts: Set<string>;
  /** Points that were looked at. */
  seen: number;
  /** Size of `texts` when nothing new was found; it is not tried again before more is known. */
  triedAt: number;
}

const NOTHING: Known = { texts: new Set(), seen: 0, triedAt: -1 };
const knownOf = new WeakMap<SegmentState, Known>();

/** Forgets what is known of the points of a search that has ended; it is found out again when it goes on. */
export function forgetDrawn(task: Task): void {
  for (const segment of task.segments) knownOf.delete(segment);
}

/** Looks at the points that came since the last time. Steering programs may write numbers and blanks in their own way. */
function look(task: Task, segment: SegmentState, space: readonly Parameter[]): Known {
  const known = knownOf.get(segment) ?? { texts: new Set<string>(), seen: 0, triedAt: -1 };
  knownOf.set(segment, known);
  const points = task.points.ofSegment(segment.index);
  for (; known.seen < (points?.length ?? task.points.size); known.seen += 1) {
    const point = points === null ? task.points.get(String(known.seen)) : points[known.seen];
    if (point === undefined) continue;
    const text = parametersOf(task, point);
    const coordinates = fromText(space, text);
    known.texts.add(coordinates === null ? text : toText(space, coordinates));
  }
  return known;
}
