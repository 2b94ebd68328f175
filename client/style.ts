/** What a stream can show: colour, Unicode, width. Decided once per stream, from the terminal and the environment. */

export type Environment = Readonly<Record<string, string | undefined>>;

export type Tone = "good" | "bad" | "busy" | "faint" | "strong";

export interface Style {
  readonly isTty: boolean;
  readonly hasColour: boolean;
  readonly hasUnicode: boolean;
  /** Whether the cursor can be moved: a terminal that is not dumb. */
  readonly canRedraw: boolean;
  readonly columns: number;
  readonly rows: number;
}

export interface StyleRequest {
  readonly isTty: boolean;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  readonly environment: Environment;
  readonly noColour: boolean;
}

/** NO_COLOR beats FORCE_COLOR; a pipe gets colour only by FORCE_COLOR. */
export function styleOf(request: StyleRequest): Style {
  const { environment, isTty } = request;
  const isDumb = environment["TERM"] === "dumb";
  const off = request.noColour || (environment["NO_COLOR"] ?? "") !== "";
  const forced = !["", "0", "false"].includes(environment["FORCE_COLOR"] ?? "");
  return {
    isTty,
    hasColour: !off && (forced || (isTty && !isDumb)),
    // What is piped goes to programs, which read UTF-8.
    hasUnicode: !isTty || isUtf8(environment),
    canRedraw: isTty && !isDumb,
    columns: Math.max(20, request.columns ?? 80),
    rows: Math.max(5, request.rows ?? 24),
  };
}

function isUtf8(environment: Environment): boolean {
  const first = [environment["LC_ALL"], environment["LC_CTYPE"], environment["LANG"]].find(
    (value) => value !== undefined && value !== "",
  );
  return /utf-?8/i.test(first ?? "");
}

const CODES: Readonly<Record<Tone, string>> = {
  good: "32",
  bad: "31",
  busy: "36",
  faint: "2",
  strong: "1",
};

export function paint(style: Style, tone: Tone, text: string): string {
  return style.hasColour && text !== "" ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text;
}
