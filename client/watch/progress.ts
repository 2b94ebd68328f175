/** Progress where there is no terminal: a line for every tenth of the points, for every change of state, or once a minute. */
import type { TaskDetail } from "../../protocol/rest.ts";
import { formatDuration, neutralise } from "../format.ts";
import { bestText, endedPoints } from "../words.ts";

const INTERVAL_MS = 60_000;

export class Progress {
  private lastTenth = -1;
  private lastState = "";
  private readonly told = new Set<string>();
  private lastMs = Number.NEGATIVE_INFINITY;

  /** Warnings that were not told before; those that differ in their numbers only are one. */
  newWarnings(detail: TaskDetail): string[] {
    const kinds = detail.warnings.map((warning) => ({
      warning,
      kind: warning.replace(/\d+/g, ""),
    }));
    const fresh = kinds.filter(({ kind }) => !this.told.has(kind));
    for (const { kind } of fresh) this.told.add(kind);
    return fresh.map(({ warning }) => `Warning: ${neutralise(warning)}`);
  }

  /** The line to write now, or null. */
  next(detail: TaskDetail, nowMs: number): string | null {
    const ended = endedPoints(detail.points);
    const tenth = Math.floor((ended / Math.max(1, detail.maxPoints)) * 10);
    const isDue = nowMs - this.lastMs >= INTERVAL_MS;
    if (tenth === this.lastTenth && detail.state === this.lastState && !isDue) return null;
    this.lastTenth = tenth;
    this.lastState = detail.state;
    this.lastMs = nowMs;
    const eta =
      detail.etaSeconds === null ? "" : `, about ${formatDuration(detail.etaSeconds)} left`;
    const running = detail.points.leased > 0 ? `, ${detail.points.leased} running` : "";
    return neutralise(
      `Task ${detail.taskId} ${detail.state}: ${ended} of ${detail.maxPoints} points${running}, ${bestText(detail.best)}${eta}`,
    );
  }
}
