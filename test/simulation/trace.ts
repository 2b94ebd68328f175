/** What happened in a simulation, line by line; kept only when somebody will read it. */
import type { LogFields, Logger } from "../../common/log.ts";

export class Trace {
  readonly lines: string[] = [];
  readonly #isKept: boolean;
  readonly #nowMs: () => number;

  constructor(isKept: boolean, nowMs: () => number) {
    this.#isKept = isKept;
    this.#nowMs = nowMs;
  }

  /** Adds a line; `what` is asked only when traces are kept. */
  note(who: string, what: () => string): void {
    if (!this.#isKept) return;
    const seconds = (this.#nowMs() / 1_000).toFixed(3).padStart(9);
    this.lines.push(`${seconds} ${who.padEnd(14)} ${what()}`);
  }

  /** A log whose lines go here. */
  logger(who: string): Logger {
    const write = (event: string, fields: LogFields = {}): void =>
      this.note(who, () => `${event} ${JSON.stringify(fields)}`);
    return { info: write, warn: write, error: write };
  }
}
