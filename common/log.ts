/** Logs: one event, one line of JSON, with fixed names; secrets never get through. */
import type { Writable } from "node:stream";

export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** What looks like a secret wherever it stands: bearer tokens, our tokens, JWTs, credentials in addresses, PEM keys. */
const SECRETS =
  /Bearer\s+[^\s"']+|\bhp_[A-Za-z0-9_-]{8,}|\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*|\/\/[^/\s:@"]+:[^/\s@"]+@|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*/g;

/** The text without secrets. */
export function redact(text: string): string {
  return text.replace(SECRETS, "[secret]");
}

export function jsonLineLogger(stream: Writable, base: LogFields, wallMs: () => number): Logger {
  const write = (level: string, event: string, fields: LogFields = {}): void => {
    const line = JSON.stringify({
      time: new Date(wallMs()).toISOString(),
      level,
      event,
      ...base,
      ...fields,
    });
    stream.write(`${redact(line)}\n`);
  };
  return {
    info: (event, fields) => write("info", event, fields),
    warn: (event, fields) => write("warn", event, fields),
    error: (event, fields) => write("error", event, fields),
  };
}

export const silentLogger: Logger = {
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
