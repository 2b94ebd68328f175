/** Files that people name on a command line. */
import { readFileSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { HyperpilotError, errorText } from "../protocol/errors.ts";

/** Text of a file that a user named. Errors: E_FILE. */
export function readUserFile(file: string, workingDirectory: string, bytesMax: number): string {
  const path = resolve(workingDirectory, file);
  try {
    const { size } = statSync(path);
    if (size > bytesMax) throw new Error(`it has ${size} bytes, at most ${bytesMax} are taken`);
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `${file} cannot be read.`,
        why: errorText(error),
        remedy: "Correct the name or the file.",
      },
      error,
    );
  }
}
