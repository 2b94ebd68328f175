/** Files that people name on a command line. */
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { didYouMean } from "../protocol/did-you-mean.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { neutralise } from "./format.ts";

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
        remedy: nearFile(path) ?? "Correct the name or the file.",
      },
      error,
    );
  }
}

/** A question after a file beside it whose name is near; null where the file is there, or none is near. */
function nearFile(path: string): string | null {
  if (existsSync(path)) return null;
  try {
    const near = didYouMean(basename(path), readdirSync(dirname(path)));
    return near === null ? null : `Did you mean ${neutralise(near)}?`;
  } catch {
    // There is no such directory either.
    return null;
  }
}
