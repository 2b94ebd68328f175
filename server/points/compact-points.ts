/** Points are by far the most of what the server holds: one form of object, and one copy of values that many have in common. */
import type { Epoch } from "../../protocol/ids.ts";
import { POINT_STATES, type PointState } from "../../protocol/states.ts";
import type { Point } from "../core.ts";

const STATES = new Map<string, PointState>(POINT_STATES.map((state) => [state, state]));

/** Grants of one point up to which epochs are shared; points seldom have more. */
const GRANTS_SHARED = 64;
const epochs = new Map<number, Epoch[]>();

/** The state as the one string that all points share. Throws on a text that is no state. */
export function sharedPointState(text: string): PointState {
  const state = STATES.get(text);
  if (state === undefined) throw new Error(`${JSON.stringify(text)} is no state of a point`);
  return state;
}

/** An equal epoch that all points share. */
export function sharedEpoch(epoch: Epoch): Epoch {
  const [incarnation, n] = epoch;
  if (n >= GRANTS_SHARED) return epoch;
  let ofIncarnation = epochs.get(incarnation);
  if (ofIncarnation === undefined) epochs.set(incarnation, (ofIncarnation = []));
  return (ofIncarnation[n] ??= [incarnation, n]);
}

/**
 * The text as a string of its own: one that was cut out of a longer one, such as a record of the journal, keeps all of that in
 * memory. Only the string is copied, through its literal; what it says is not looked at.
 */
export function ownText(text: string): string {
  return JSON.parse(JSON.stringify(text)) as string;
}

/** The point as a literal, whose fields lie in the object itself; one that was filled field by field keeps them apart. */
export function compactPoint(point: Point): Point {
  return {
    id: point.id,
    text: ownText(point.text),
    segment: point.segment,
    run: point.run,
    retryOf: point.retryOf,
    state: sharedPointState(point.state),
    epoch: sharedEpoch(point.epoch),
    lastSeq: point.lastSeq,
    lease: point.lease,
    jobId: point.jobId,
    node: point.node,
    attempts: point.attempts,
    interruptions: point.interruptions,
    interruptionsInRow: point.interruptionsInRow,
    loss: point.loss,
    historySeq: point.historySeq,
    files: point.files,
    retried: point.retried,
  };
}
