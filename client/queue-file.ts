/** A queue's file: TOML, or JSON where its name ends in .json. */
import { parse as parseToml, TomlError } from "smol-toml";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { parseJsonText, toValue } from "../protocol/json-text.ts";
import { QueueConfig } from "../protocol/queue.ts";
import { didYouMean } from "../protocol/did-you-mean.ts";
import { readUserFile } from "./submit/user-file.ts";

const FILE_BYTES_MAX = 1_048_576;

/** Errors: E_FILE, E_JSON, E_QUEUE_CONFIG with line and column. */
export function readQueueFile(file: string, workingDirectory: string): QueueConfig {
  const text = readUserFile(file, workingDirectory, FILE_BYTES_MAX);
  const value = file.endsWith(".json")
    ? toValue(parseJsonText(text, { name: file }))
    : tomlValue(text, file);
  const parsed = QueueConfig.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = (issue?.path ?? []).map(String).join(".");
  if (issue?.code === "unrecognized_keys") {
    const key = issue.keys[0] ?? "";
    const known = path === "" ? Object.keys(QueueConfig.shape) : [];
    const near = didYouMean(key, known);
    throw wrong(
      `${file} has an unknown field "${path === "" ? key : `${path}.${key}`}".`,
      near === null ? "Remove it." : `Did you mean "${near}"?`,
    );
  }
  throw wrong(
    `${file}: ${path === "" ? "the queue" : path} is wrong: ${issue?.message ?? ""}.`,
    "Correct the file; nothing was sent.",
  );
}

function tomlValue(text: string, file: string): unknown {
  try {
    return parseToml(text);
  } catch (error) {
    const place = error instanceof TomlError ? `${file}:${error.line}:${error.column}` : file;
    const what = errorText(error).split("\n", 1)[0] ?? "";
    throw wrong(`${place} ${what}`, "Correct the file at that place and try again.");
  }
}

function wrong(message: string, remedy: string): HyperpilotError {
  return new HyperpilotError({ code: "E_QUEUE_CONFIG", message, remedy });
}
