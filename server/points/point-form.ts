/** A point as a row of plain values, and back. */
import type { Point } from "../core.ts";
import { asIs, rowOf, type FieldForms } from "../plain-form.ts";
import { compactPoint } from "./compact-points.ts";

export const POINT: FieldForms<Point> = {
  id: asIs(),
  text: asIs(),
  segment: asIs(),
  run: asIs(),
  retryOf: asIs(),
  state: asIs(),
  epoch: asIs(),
  lastSeq: asIs(),
  lease: asIs(),
  jobId: asIs(),
  node: asIs(),
  attempts: asIs(),
  interruptions: asIs(),
  interruptionsInRow: asIs(),
  loss: asIs(),
  historySeq: asIs(),
  files: asIs(),
  retried: asIs(),
};

const ROW = rowOf(POINT);

export function rowOfPoint(point: Point): unknown {
  return ROW.toPlain(point);
}

/** Of a row that was written by {@link rowOfPoint}. */
export function pointOfRow(row: unknown): Point {
  return compactPoint(ROW.fromPlain(row));
}
