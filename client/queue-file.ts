/** A queue's file: TOML, or JSON where its name ends in .json. */
import { HyperpilotError } from "../protocol/errors.ts";
import { parseJsonText, toValue } from "../protocol/json-text.ts";
import { QueueConfig } from "../protocol/queue.ts";
import { didYouMean } from "../protocol/did-you-mean.ts";
import { parseTomlText } from "./toml-text.ts";
import { readUserFile } from "./user-file.ts";

const FILE_BYTES_MAX = 1_048_576;

/** Errors: E_FILE, E_JSON, E_QUEUE_CONFIG with line and column. */
export function readQueueFile(file: string, workingDirectory: string): QueueConfig {
  const text = readUserFile(file, workingDirectory, FILE_BYTES_MAX);
  const value = file.endsWith(".json")
    ? toValue(parseJsonText(text, { name: file }))
    : parseTomlText(text, { name: file, code: "E_QUEUE_CONFIG" });
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

function wrong(message: string, remedy: string): HyperpilotError {
  return new HyperpilotError({ code: "E_QUEUE_CONFIG", message, remedy });
}
