import type { LogFields, Logger } from "../../common/log.ts";

export interface CollectedLog extends Logger {
  /** Names of what was logged, in order. */
  readonly lines: string[];
  readonly entries: { readonly event: string; readonly fields: LogFields }[];
}

/** A log that a test can look at. */
export function createLogger(): CollectedLog {
  const lines: string[] = [];
  const entries: CollectedLog["entries"] = [];
  const add = (event: string, fields: LogFields = {}): void => {
    lines.push(event);
    entries.push({ event, fields });
  };
  return { lines, entries, info: add, warn: add, error: add };
}
