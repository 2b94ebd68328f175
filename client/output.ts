/** Where the client writes: data to stdout, talk to stderr, each in the style of its stream. */
import { API_VERSION } from "../protocol/version.ts";
import { toAscii } from "./format.ts";
import { wrappedTalk } from "./wrap.ts";
import { paint, styleOf, type Environment, type Style, type Tone } from "./style.ts";

/** The part of a Node stream that is needed. */
export interface OutStream {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

export interface Output {
  readonly json: boolean;
  readonly stdout: Style;
  readonly stderr: Style;
  /** Data: lines for a person or a program. */
  data(text: string): void;
  /** One --json document of several items, or of one. */
  items(kind: string, items: readonly unknown[], more?: Readonly<Record<string, unknown>>): void;
  item(kind: string, item: unknown): void;
  /** Progress, hints, warnings. */
  talk(text: string): void;
  /** To stdout as it is, for cursor movements. */
  raw(text: string): void;
  paint(tone: Tone, text: string): string;
}

export interface OutputRequest {
  readonly stdout: OutStream;
  readonly stderr: OutStream;
  readonly environment: Environment;
  readonly json: boolean;
  readonly noColour: boolean;
}

export function createOutput(request: OutputRequest): Output {
  const { environment, noColour, json } = request;
  const style = (stream: OutStream): Style =>
    styleOf({
      isTty: stream.isTTY === true,
      columns: stream.columns,
      rows: stream.rows,
      environment,
      noColour,
    });
  const stdout = style(request.stdout);
  const stderr = style(request.stderr);
  const fit = (text: string, of: Style): string => (of.hasUnicode ? text : toAscii(text));
  const document = (kind: string, content: Readonly<Record<string, unknown>>): void => {
    request.stdout.write(`${JSON.stringify({ apiVersion: API_VERSION, kind, ...content })}\n`);
  };
  return {
    json,
    stdout,
    stderr,
    data: (text) => void request.stdout.write(`${fit(text, stdout)}\n`),
    items: (kind, items, more = {}) => document(kind, { items, ...more }),
    item: (kind, item) => document(kind, { item }),
    talk: (text) => {
      const fitting = stderr.isTty ? wrappedTalk(text, stderr.columns) : text;
      request.stderr.write(`${fit(fitting, stderr)}\n`);
    },
    raw: (text) => void request.stdout.write(fit(text, stdout)),
    paint: (tone, text) => paint(stdout, tone, text),
  };
}
