/** A queue's file: TOML, or JSON where its name ends in .json. */
import { HyperpilotError } from "../protocol/errors.ts";
import { parseJsonText, toValue } from "../protocol/json-text.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { checkQueue, type QueueFault } from "./queue-check.ts";
import { jsonLines, lineOf, tomlLines } from "./queue-places.ts";
import { parseTomlText } from "./toml-text.ts";
import { readUserFile } from "./user-file.ts";

const FILE_BYTES_MAX = 1_048_576;
const FAULTS_SHOWN = 10;

export interface QueueFile {
  readonly config: QueueConfig;
  /** Without the defaults. */
  readonly written: Readonly<Record<string, unknown>>;
}

/** Errors: E_FILE, E_JSON, E_QUEUE_CONFIG, each with file and line. */
export function readQueueFile(file: string, workingDirectory: string): QueueFile {
  const text = readUserFile(file, workingDirectory, FILE_BYTES_MAX);
  const { value, lines } = file.endsWith(".json") ? readJson(text, file) : readToml(text, file);
  const checked = checkQueue(value);
  if (!checked.ok) throw faultsError(file, lines, checked.faults);
  return { config: checked.config, written: value as Record<string, unknown> };
}

interface Read {
  readonly value: unknown;
  readonly lines: ReadonlyMap<string, number>;
}

function readJson(text: string, file: string): Read {
  const node = parseJsonText(text, { name: file });
  return { value: toValue(node), lines: jsonLines(text, node) };
}

function readToml(text: string, file: string): Read {
  const value = parseTomlText(text, { name: file, code: "E_QUEUE_CONFIG" });
  return { value, lines: tomlLines(text) };
}

/** The first fault in full, the others below it. */
function faultsError(
  file: string,
  lines: Read["lines"],
  faults: readonly [QueueFault, ...QueueFault[]],
): HyperpilotError {
  const place = ({ path }: QueueFault): string => {
    const line = lineOf(lines, path);
    return line === null ? file : `${file}:${line}`;
  };
  const [first, ...others] = faults;
  const more = others
    .slice(0, FAULTS_SHOWN)
    .map((fault) => `${place(fault)}: ${fault.message}. ${fault.remedy}`);
  return new HyperpilotError({
    code: "E_QUEUE_CONFIG",
    message: `${place(first)}: ${first.message}.`,
    ...(more.length === 0 ? {} : { why: `Also:\n${more.join("\n")}` }),
    remedy: first.remedy,
  });
}
