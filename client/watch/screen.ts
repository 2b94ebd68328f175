/** The live display as lines: pure, so that every width is testable. */
import type { TaskDetail } from "../../protocol/rest.ts";
import { isEnded, type PointState } from "../../protocol/states.ts";
import {
  cutTo as cut,
  toAscii,
  formatAgo,
  formatDuration,
  formatLoss,
  neutralise,
  sparkline,
} from "../format.ts";
import { paint, type Style, type Tone } from "../style.ts";
import { parametersText, segmentText, stateText, stateTone } from "../words.ts";

export interface Shown {
  readonly detail: TaskDetail;
  /** When the detail came, milliseconds since 1970. */
  readonly changedAtMs: number;
  /** What keeps the server away; null while it is there. */
  readonly away: string | null;
}

/** The lines of one picture; none is wider than the terminal. */
export function screenLines(shown: Shown, nowMs: number, style: Style): string[] {
  const { detail } = shown;
  const cutTo = (text: string, columns: number): string =>
    cut(style.hasUnicode ? text : toAscii(text), columns);
  const line = (label: string, text: string): string =>
    `${paint(style, "faint", label.padEnd(7))} ${cutTo(text, style.columns - 8)}`;
  const title = `Task ${detail.taskId} "${neutralise(detail.name)}"`;
  const state = `${stateText(detail.state)}: ${neutralise(detail.reason)}`;
  const lines = [
    paint(style, "strong", cutTo(title, style.columns)),
    paint(style, stateTone(detail.state), cutTo(state, style.columns)),
    line("Time", timeText(detail, nowMs)),
    barLine(detail, style),
    line("Points", pointsText(detail)),
    line("Best", bestLine(detail)),
  ];
  if (detail.best !== null) lines.push(line("At", parametersText(detail.best.text)));
  if (detail.bestSoFar.length > 1) {
    lines.push(line("So far", sparkline(detail.bestSoFar, Math.min(60, style.columns - 8))));
  }
  lines.push(...segmentLines(detail, line));
  const { active, charged, interrupted } = detail.jobs;
  const runs = detail.runs.finished === 1 ? "1 run" : `${detail.runs.finished} runs`;
  const run = detail.runs.openRun === null ? "" : `, run ${detail.runs.openRun} going on`;
  lines.push(
    line("Jobs", `${active} active, ${charged} charged, ${interrupted} only interrupted`),
    line("Steer", `${runs} finished${run}`),
    ...detail.warnings.slice(0, 3).map((warning) => line("Warning", neutralise(warning))),
    shown.away === null
      ? line("Changed", formatAgo(new Date(shown.changedAtMs).toISOString(), nowMs))
      : paint(
          style,
          "bad",
          cutTo(`Server away: ${neutralise(shown.away)}; trying again`, style.columns),
        ),
  );
  return lines.slice(0, style.rows - 1);
}

/** Segments shown one by one. */
const SEGMENTS_SHOWN = 8;

function segmentLines(
  { segments, limits }: TaskDetail,
  line: (label: string, text: string) => string,
): string[] {
  const more = segments.length - SEGMENTS_SHOWN;
  return [
    ...segments
      .slice(0, SEGMENTS_SHOWN)
      .map((one) =>
        line("Segment", `${neutralise(one.name)}: ${segmentText(one, limits.maxPoints)}`),
      ),
    ...(more > 0 ? [line("", `and ${more} more segments`)] : []),
  ];
}

function timeText(detail: TaskDetail, nowMs: number): string {
  const end = detail.endedAt === null ? nowMs : Date.parse(detail.endedAt);
  const elapsed = `${formatDuration((end - Date.parse(detail.createdAt)) / 1_000)} elapsed`;
  if (isEnded(detail.state)) return elapsed;
  if (detail.etaSeconds === null) return `${elapsed}, end not known yet`;
  return `${elapsed}, about ${formatDuration(detail.etaSeconds)} left`;
}

function bestLine(detail: TaskDetail): string {
  if (detail.best === null) return "no loss yet";
  const which = detail.direction === "min" ? "lowest" : "highest";
  return `${formatLoss(detail.best.loss)} (${which} so far, point ${detail.best.pointId})`;
}

const BAR: readonly (readonly [PointState, string, Tone])[] = [
  ["done", "█", "good"],
  ["diverged", "▓", "bad"],
  ["hopeless", "▓", "bad"],
  ["cancelled", "▒", "faint"],
  ["notEvaluated", "▒", "faint"],
  ["leased", "▄", "busy"],
  ["ready", "▁", "faint"],
];

/** One cell per share of maxPoints; every state that has points has a cell, where there is room. */
function barLine(detail: TaskDetail, style: Style): string {
  const cells = Math.max(10, Math.min(60, style.columns - 8));
  const total = Math.max(detail.maxPoints, detail.generated, 1);
  let used = 0;
  let text = "";
  for (const [state, symbol, tone] of BAR) {
    const count = detail.points[state];
    if (count === 0) continue;
    const wanted = Math.max(1, Math.round((count / total) * cells));
    const width = Math.min(wanted, cells - used);
    used += width;
    text += paint(style, tone, symbol.repeat(width));
  }
  return `${" ".repeat(8)}${text}${paint(style, "faint", "░".repeat(cells - used))}`;
}

function pointsText(detail: TaskDetail): string {
  const names: readonly (readonly [PointState, string])[] = [
    ["done", "done"],
    ["leased", "running"],
    ["ready", "ready"],
    ["diverged", "diverged"],
    ["hopeless", "failed"],
    ["cancelled", "cancelled"],
    ["notEvaluated", "not evaluated"],
  ];
  const parts = names
    .filter(([state]) => detail.points[state] > 0)
    .map(([state, name]) => `${name} ${detail.points[state]}`);
  return `${parts.length === 0 ? "none yet" : parts.join(", ")} of ${detail.maxPoints}`;
}
