/** How an error reaches a person: what happened (with its code), why, what to do, where there is more. */
import { EXIT, ERROR_KINDS, HyperpilotError, errorText } from "../protocol/errors.ts";
import type { ErrorCode, ExitCode } from "../protocol/errors.ts";
import { neutralise, neutraliseLines, toAscii } from "./format.ts";
import { wrappedTalk } from "./wrap.ts";
import { paint, type Style } from "./style.ts";

/** An error that the server answered; `requestId` is found again in its log. */
export class AnsweredError extends HyperpilotError {
  readonly requestId: string;

  constructor(parts: ConstructorParameters<typeof HyperpilotError>[0], requestId: string) {
    super(parts);
    this.name = "AnsweredError";
    this.requestId = requestId;
  }
}

export function usageError(message: string, remedy: string, why?: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_USAGE",
    message,
    remedy,
    ...(why === undefined ? {} : { why }),
  });
}

export interface ShownError {
  readonly code: ErrorCode;
  readonly exit: ExitCode;
  readonly message: string;
  readonly why?: string;
  readonly remedy: string;
  readonly more: string;
  readonly requestId?: string;
}

/** The parts of any thrown value. What is no operating error is a fault of ours and says so. */
export function shownError(error: unknown): ShownError {
  if (!(error instanceof HyperpilotError)) {
    return {
      code: "E_INTERNAL",
      exit: EXIT.failed,
      message: `Something that should not happen: ${errorText(error)}`,
      remedy: "Report it, with the output of HYPERPILOT_DEBUG=1 and the same command.",
      more: "hyperpilot help exit-codes",
    };
  }
  const { code, message, why } = error;
  return {
    code,
    exit: ERROR_KINDS[code].exit,
    message,
    ...(why === undefined ? {} : { why }),
    remedy: error.remedy ?? "Run the command again with --help to see what it takes.",
    more: "hyperpilot help exit-codes",
    ...(error instanceof AnsweredError ? { requestId: error.requestId } : {}),
  };
}

/** Lines for a terminal or a log. */
export function errorLines(error: unknown, style: Style): string {
  const shown = shownError(error);
  const fit = (part: string): string => (style.isTty ? wrappedTalk(part, style.columns) : part);
  const line = (label: string, text: string): string =>
    fit(
      neutraliseLines(text)
        .trimEnd()
        .split("\n")
        .map((part, index) => `  ${(index === 0 ? label : "").padEnd(6)}${part}`)
        .join("\n"),
    );
  const request = shown.requestId === undefined ? "" : `     request ${shown.requestId}`;
  const head = `✗ ${shown.code}`;
  const lines = [
    paint(style, "bad", head) + fit(`${head} ${neutralise(shown.message)}`).slice(head.length),
    ...(shown.why === undefined ? [] : [line("Why", shown.why)]),
    line("Do", shown.remedy),
    line("More", `${shown.more}${request}`),
  ];
  const text = lines.join("\n");
  return style.hasUnicode ? text : toAscii(text);
}

export function errorDocument(error: unknown): string {
  const { code, exit, message, why, remedy, requestId } = shownError(error);
  return JSON.stringify({ error: { code, exit, message, why, remedy, requestId } });
}
