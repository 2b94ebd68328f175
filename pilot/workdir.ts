/** The directories of one evaluation, fresh for each lease. */
import { execFile } from "node:child_process";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  opendirSync,
  rmSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { extractArchive } from "../common/archive.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import { DEFAULT_OUTPUT, printedLossName, type Evaluation } from "../protocol/task.ts";
import { placeTarball, restoreInto } from "./restore.ts";

/** Everything that the pilot keeps of one evaluation, in one directory that nobody else may enter. */
export interface PayloadDirectories {
  readonly root: string;
  /** Bound into the sandbox as the work directory. */
  readonly work: string;
  /** Bound as /tmp and /var/tmp. */
  readonly temporary: string;
  /** What the runtime writes about itself; outside of what the payload sees. */
  readonly statusFile: string;
}

/** Makes the directories; the work directory itself comes with `fillWorkDirectory`. Errors: those of mkdir. */
export function makePayloadDirectories(root: string): PayloadDirectories {
  mkdirSync(root, { mode: 0o700 });
  const temporary = join(root, "tmp");
  mkdirSync(temporary);
  // Programs look for the usual mode of /tmp; nobody else can enter the directory above.
  chmodSync(temporary, 0o1777);
  return { root, work: join(root, "work"), temporary, statusFile: join(root, "status.json") };
}

export interface WorkContents {
  /** Tarball with the task's files, or null when the task has none. */
  readonly sandboxFile: string | null;
  readonly evaluation: Evaluation;
  readonly pointText: string;
  /** What the evaluation goes on from; `load`: name of the tarball that it wants instead of the files. */
  readonly checkpoint?: { readonly file: string; readonly load: string | null } | null;
}

/**
 * Makes the work directory: the task's files, the checkpoint over them, none of an earlier result, the point byte for byte,
 * and the first word of the command executable. Errors: E_FILE (the tarball is refused), E_PAYLOAD (a name leads out of the directory).
 */
export async function fillWorkDirectory(work: string, contents: WorkContents): Promise<void> {
  const { evaluation, sandboxFile, checkpoint = null } = contents;
  if (sandboxFile === null) mkdirSync(work, { mode: 0o700 });
  else
    await extractArchive(sandboxFile, work, {
      filesMax: PILOT.extractedSandboxFilesMax,
      bytesMax: PILOT.extractedSandboxBytesMax,
      depthMax: PILOT.extractedSandboxDepthMax,
    });
  if (checkpoint !== null) {
    if (checkpoint.load === null) await restoreInto(work, checkpoint.file);
    else placeTarball(pathWithin(work, checkpoint.load), checkpoint.file);
  }
  const isPrinted = printedLossName(evaluation.output) !== null;
  const output = isPrinted ? DEFAULT_OUTPUT : evaluation.output;
  for (const name of [output, evaluation.metadata, evaluation.metrics])
    if (name !== null && name !== "none")
      rmSync(pathWithin(work, name), { recursive: true, force: true });
  const input = pathWithin(work, evaluation.input);
  rmSync(input, { recursive: true, force: true });
  mkdirSync(dirname(input), { recursive: true, mode: 0o700 });
  writeFileSync(input, contents.pointText, { flag: "wx", mode: 0o600 });
  makeExecutable(work, evaluation.exec);
}

/** Absolute path of a file that a task names. Errors: E_PAYLOAD when the name is absolute or holds "..". */
export function pathWithin(work: string, name: string): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== ".");
  if (name.startsWith("/") || name.includes("\0") || parts.length === 0 || parts.includes(".."))
    throw new HyperpilotError({
      code: "E_PAYLOAD",
      message: `${JSON.stringify(name)} is no file of the work directory`,
      remedy: "name input and output relative to the work directory",
    });
  return join(work, ...parts);
}

/** `train.sh --fast` works although the archive's modes, or its user, left train.sh without the right to be run. */
function makeExecutable(work: string, exec: string): void {
  const word = exec.trim().split(/\s+/, 1)[0] ?? "";
  if (word === "" || word.startsWith("/") || word.split("/").includes("..")) return;
  const path = join(work, word);
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry?.isFile() === true) chmodSync(path, entry.mode | 0o700);
}

/**
 * Removes a directory, also one with read-only directories, a million files, or deeper than a path may be long. Small
 * ones are removed at once; others by a program, so that the pilot goes on talking. Errors: E_FILE.
 */
export async function removeTree(path: string): Promise<void> {
  if (removeSmall(path)) return;
  // chmod does not follow links below its argument. Both programs cope with any depth.
  const script = 'chmod -R u+rwX -- "$1" 2>/dev/null; exec rm -rf -- "$1"';
  try {
    await promisify(execFile)("/bin/sh", ["-c", script, "sh", path], { maxBuffer: 64 * 1024 });
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `${path} cannot be removed`,
        why: errorText(error).slice(0, PILOT.messageBytesMax),
        remedy: "look at the node's scratch directory",
      },
      error,
    );
  }
}

/** Whether all was removed within the bounds on entries and depth. */
function removeSmall(path: string): boolean {
  try {
    return removeEntry(path, { entriesLeft: PILOT.removeEntriesMax }, 0);
  } catch {
    // The program that takes over tells what cannot be removed.
    return false;
  }
}

function removeEntry(path: string, budget: { entriesLeft: number }, depth: number): boolean {
  const entry = lstatSync(path, { throwIfNoEntry: false });
  if (entry === undefined) return true;
  budget.entriesLeft -= 1;
  if (budget.entriesLeft < 0 || depth > PILOT.extractedSandboxDepthMax) return false;
  if (!entry.isDirectory()) {
    unlinkSync(path);
    return true;
  }
  if ((entry.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
  const directory = opendirSync(path);
  try {
    for (let child = directory.readSync(); child !== null; child = directory.readSync())
      if (!removeEntry(join(path, child.name), budget, depth + 1)) return false;
  } finally {
    directory.closeSync();
  }
  rmdirSync(path);
  return true;
}
