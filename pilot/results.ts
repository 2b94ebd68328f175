/** What a payload left behind: its output file, read with suspicion. */
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync } from "node:fs";
import { dirname, relative } from "node:path";
import { HyperpilotError, systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { Outcome } from "../protocol/pilot-messages.ts";
import { formatBytes } from "../protocol/resources.ts";
import { DEFAULT_OUTPUT, printedLossName } from "../protocol/task.ts";
import { type PayloadExit, badOutput, interpretOutput, missingOutput } from "./output-json.ts";
import { interpretPrinted } from "./printed-loss.ts";
import { pathWithin } from "./workdir.ts";

/**
 * The outcome of an evaluation that ended by itself. The file belongs to this lease: its directory was fresh, and an earlier
 * result was removed. All processes of the payload must be gone, as the path is looked at part by part. `outputEnd` gives the
 * end of what the payload printed.
 */
export function readOutput(
  work: string,
  output: string,
  exit: PayloadExit,
  outputEnd: (bytesMax: number) => string,
): Outcome {
  if (output === "none") return outcomeOfExit(exit);
  const lossName = printedLossName(output);
  const name = lossName === null ? output : DEFAULT_OUTPUT;
  const found = readBounded(work, name, PILOT.outputJsonBytesMax);
  if (lossName !== null && found.type === "missing")
    return interpretPrinted(outputEnd(PILOT.printedLossBytesMax), lossName, exit);
  switch (found.type) {
    case "text":
      return interpretOutput(found.text, name, exit);
    case "missing":
      return missingOutput(name, exit);
    case "unfit":
      return badOutput(`${name} ${found.problem}; write {"loss": <number>} to it`, exit);
  }
}

/** `--evaluationOutput none`: exit status 0 is loss 0. */
function outcomeOfExit(exit: PayloadExit): Outcome {
  if (exit.exitCode === 0) return { type: "loss", loss: 0, exitCode: 0, message: "" };
  return missingOutput(null, exit);
}

/** Text of a file that a payload was to write, or what is wrong with it. */
export function readTextFile(
  work: string,
  name: string,
  bytesMax: number = PILOT.outputJsonBytesMax,
): { readonly text: string } | { readonly problem: string; readonly isMissing: boolean } {
  const found = readBounded(work, name, bytesMax);
  if (found.type === "text") return { text: found.text };
  if (found.type === "missing") return { problem: "was not written", isMissing: true };
  return { problem: found.problem, isMissing: false };
}

type Found =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "missing" }
  | { readonly type: "unfit"; readonly problem: string };

/**
 * Never follows a link and never waits: the payload may have made the name anything. A link would read the pilot's files,
 * a FIFO would block the pilot.
 */
function readBounded(work: string, name: string, bytesMax: number): Found {
  let file: number;
  try {
    const path = pathWithin(work, name);
    const link = linkAbove(work, path);
    if (link !== null)
      return { type: "unfit", problem: `lies in ${link}, which is no plain directory` };
    const flags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
    file = openSync(path, flags);
  } catch (error) {
    return foundInstead(error);
  }
  try {
    const entry = fstatSync(file);
    if (!entry.isFile()) return { type: "unfit", problem: `is ${kindOf(entry)}, not a file` };
    if (entry.size > bytesMax) return tooLarge(entry.size, bytesMax);
    const buffer = Buffer.alloc(bytesMax + 1);
    const readBytes = readSync(file, buffer, 0, buffer.length, 0);
    if (readBytes > bytesMax) return tooLarge(readBytes, bytesMax);
    return decoded(buffer.subarray(0, readBytes));
  } finally {
    closeSync(file);
  }
}

function tooLarge(sizeBytes: number, bytesMax: number): Found {
  return {
    type: "unfit",
    problem: `has ${sizeBytes} bytes (${formatBytes(sizeBytes)}), at most ${bytesMax} are read`,
  };
}

function decoded(bytes: Buffer): Found {
  try {
    return { type: "text", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return { type: "unfit", problem: "is not UTF-8 text" };
  }
}

/** Errors that the payload can cause become findings; others are the node's and are passed on. */
function foundInstead(error: unknown): Found {
  if (error instanceof HyperpilotError)
    return { type: "unfit", problem: `cannot be read: ${error.message}` };
  switch (systemErrorCode(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return { type: "missing" };
    case "ELOOP":
      return { type: "unfit", problem: "is a symbolic link, not a file" };
    case "ENXIO":
      return { type: "unfit", problem: "is a socket or device, not a file" };
    case "EACCES":
    case "EPERM":
      return { type: "unfit", problem: "may not be read (see its permissions)" };
    default:
      throw error;
  }
}

/** The first directory between the work directory and the file that is not a plain one. */
function linkAbove(work: string, path: string): string | null {
  for (let above = dirname(path); above.length > work.length; above = dirname(above))
    if (lstatSync(above, { throwIfNoEntry: false })?.isSymbolicLink() === true)
      return relative(work, above);
  return null;
}

function kindOf(entry: ReturnType<typeof fstatSync>): string {
  if (entry.isDirectory()) return "a directory";
  if (entry.isFIFO()) return "a FIFO";
  return "a special file";
}
