/** What a batch job has printed, as it may be shown to people elsewhere: its end only, and no secrets. */
import { join } from "node:path";
import { redact } from "../common/log.ts";
import { systemErrorCode } from "../protocol/errors.ts";
import { endOf } from "./drivers/pilot-log.ts";

/** Where jobs print to: all systems into the first, HTCondor's errors into the second. */
const FILES = ["pilot.log", "pilot.err"];

/** Words after which scripts of sites print credentials. */
const ASSIGNED = /\b(pass(?:word|wd)?|secret|token|api[_-]?key|credential)s?(\s*[=:]\s*)\S+/gi;

/** The text without secrets. */
export function withoutSecrets(text: string): string {
  return redact(text).replace(ASSIGNED, "$1$2[secret]");
}

/** End of what the job of this directory printed, whole lines; null when there is nothing. */
export function jobOutput(directory: string, bytesMax: number): string | null {
  const parts = FILES.flatMap((name) => {
    const text = endOfFile(join(directory, name), bytesMax);
    return text === null || text.trim() === "" ? [] : [text.trimEnd()];
  });
  if (parts.length === 0) return null;
  return lastLines(withoutSecrets(parts.join("\n")), bytesMax);
}

function endOfFile(file: string, bytesMax: number): string | null {
  try {
    return endOf(file, bytesMax).toString("utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** The last characters, from the beginning of a line on where there is one. */
function lastLines(text: string, charactersMax: number): string {
  if (text.length <= charactersMax) return text;
  const end = text.slice(-charactersMax);
  const lineEnd = end.indexOf("\n");
  return lineEnd < 0 ? end : end.slice(lineEnd + 1);
}
