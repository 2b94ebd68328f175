/** Lists: aligned columns on a terminal, tab-separated values without ornaments in a pipe. */
import { cutTo, displayWidth, neutralise, toAscii } from "./format.ts";
import type { Output } from "./output.ts";
import { paint, type Style, type Tone } from "./style.ts";

export interface Column<T> {
  readonly title: string;
  readonly align?: "right";
  /** Is cut where the terminal is too narrow. */
  readonly shrinks?: boolean;
  /** Shown to programs alone, or to people alone; absent: to both. */
  readonly only?: "programs" | "people";
  readonly tone?: (row: T) => Tone | null;
  /** For people. */
  readonly text: (row: T) => string;
  /** For programs, where it differs: full precision, ISO times. */
  readonly plain?: (row: T) => string;
}

/** Writes rows to stdout; an empty list says so to stderr. */
export function writeTable<T>(
  output: Output,
  columns: readonly Column<T>[],
  rows: readonly T[],
  whenEmpty: string,
): void {
  if (rows.length === 0) {
    output.talk(whenEmpty);
    return;
  }
  const lines = output.stdout.isTty
    ? alignedLines(output.stdout, columns, rows)
    : rows.map((row) => separated(columns, row));
  output.data(lines.join("\n"));
}

function separated<T>(columns: readonly Column<T>[], row: T): string {
  return columns
    .filter(({ only }) => only !== "people")
    .map((column) => neutralise((column.plain ?? column.text)(row)))
    .join("\t");
}

const GAP = 2;
const COLUMNS_MIN = 8;

/** Lines of a table that is no wider than the terminal. */
export function alignedLines<T>(
  style: Style,
  all: readonly Column<T>[],
  rows: readonly T[],
): string[] {
  const columns = all.filter(({ only }) => only !== "programs");
  const cells = rows.map((row) =>
    columns.map((column) => {
      const text = neutralise(column.text(row));
      return style.hasUnicode ? text : toAscii(text);
    }),
  );
  const widths = columns.map((column, index) =>
    Math.max(displayWidth(column.title), ...cells.map((line) => displayWidth(line[index] ?? ""))),
  );
  shrink(columns, widths, style.columns - GAP * (columns.length - 1));
  const pad = (text: string, index: number): string => {
    const cut = cutTo(text, widths[index] ?? 0);
    const space = " ".repeat(Math.max(0, (widths[index] ?? 0) - displayWidth(cut)));
    if (columns[index]?.align === "right") return space + cut;
    return index === columns.length - 1 ? cut : cut + space;
  };
  const gap = " ".repeat(GAP);
  const title = cutTo(
    columns.map((column, index) => pad(column.title, index)).join(gap),
    style.columns,
  );
  const body = rows.map((row, rowIndex) => {
    const parts = columns.map((column, index) => {
      const tone = column.tone?.(row) ?? null;
      const text = pad(cells[rowIndex]?.[index] ?? "", index);
      return tone === null ? text : paint(style, tone, text);
    });
    return parts.join(gap).trimEnd();
  });
  return [paint(style, "faint", title.trimEnd()), ...body];
}

/** Takes from the widest column that may shrink, then from any, until the table fits. */
function shrink<T>(columns: readonly Column<T>[], widths: number[], available: number): void {
  const mayShrink = (index: number): boolean => columns[index]?.shrinks === true;
  for (const may of [mayShrink, () => true]) {
    for (let excess = sum(widths) - available; excess > 0; excess = sum(widths) - available) {
      const candidates = widths.map((width, index) =>
        may(index) && width > COLUMNS_MIN ? width : 0,
      );
      const widest = Math.max(...candidates);
      if (widest === 0) break;
      widths[candidates.indexOf(widest)] = Math.max(COLUMNS_MIN, widest - excess);
    }
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
