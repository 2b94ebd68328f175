/** The files that travel with a task: found, shown, checked, packed. */
import { lstatSync, mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { PILOT, TASK } from "../../protocol/limits.ts";
import { formatBytes } from "../../protocol/resources.ts";

export interface FoundFile {
  /** Relative to the directory, with `/`. */
  readonly path: string;
  readonly sizeBytes: number;
}

const TAKEN = /\.(json|sh|py|yaml)$/;
/** Hidden folders stay out as well. */
const LEFT_OUT = new Set(["venv", "node_modules", "__pycache__"]);
/** Entries that are looked at: a home directory is no place to submit from. */
const ENTRIES_MAX = 100_000;

const SECRET_NAMES = [
  /(^|[._-])(secrets?|credentials?|passwords?|passwd|private[_-]?key|service[_-]?account|kubeconfig|id_(rsa|dsa|ecdsa|ed25519))([._-]|$)/i,
  // tokens.json, not tokenizer.json or special_tokens_map.json.
  /^\.?((access|api|auth|refresh)[_-]?)?(tokens?|keys?)\.(json|yaml)$/i,
];

/**
 * Every *.json, *.sh, *.py and *.yaml below the directory and the further ones that are named, relative to it, sorted. Links are
 * not followed. Errors: E_FILE, E_LIMIT.
 */
export function findFiles(
  directory: string,
  furtherFiles: readonly string[] = [],
): readonly FoundFile[] {
  const files: FoundFile[] = [];
  let entriesLeft = ENTRIES_MAX;
  const look = (relative: string): void => {
    for (const entry of entriesOf(join(directory, relative), relative === "")) {
      entriesLeft -= 1;
      if (entriesLeft < 0) throw tooMany(directory, `more than ${ENTRIES_MAX} entries`);
      const path = relative === "" ? entry.name : `${relative}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!entry.name.startsWith(".") && !LEFT_OUT.has(entry.name)) look(path);
      } else if (entry.isFile() && TAKEN.test(entry.name)) {
        files.push({ path, sizeBytes: lstatSync(join(directory, path)).size });
      }
    }
  };
  look("");
  for (const path of furtherFiles) {
    if (!files.some((file) => file.path === path)) files.push(namedFile(directory, path));
  }
  if (files.length > PILOT.extractedSandboxFilesMax) {
    throw tooMany(
      directory,
      `${files.length} files, at most ${PILOT.extractedSandboxFilesMax} are taken`,
    );
  }
  return files.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function namedFile(directory: string, path: string): FoundFile {
  const entry = lstatSync(join(directory, path), { throwIfNoEntry: false });
  if (entry?.isFile() === true) return { path, sizeBytes: entry.size };
  throw new HyperpilotError({
    code: "E_FILE",
    message: `The file ${path} cannot be sent.`,
    why: entry === undefined ? `${directory} has none of this name.` : "It is no plain file.",
    remedy: "Name a file below the task's directory, relative to it.",
  });
}

function entriesOf(directory: string, isRoot: boolean) {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `The directory ${directory} cannot be read.`,
        why: errorText(error),
        remedy: isRoot
          ? "Name the task's directory with --files DIR."
          : "Correct its mode, or name another one with --files DIR.",
      },
      error,
    );
  }
}

function tooMany(directory: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_LIMIT",
    message: `${directory} holds too much to send with a task.`,
    why,
    remedy: "Put the task's files into a directory of their own and name it with --files DIR.",
  });
}

/** Errors: E_FILE when a name looks like that of a secret. */
export function refuseSecretNames(files: readonly FoundFile[]): void {
  const secrets = files.filter(({ path }) => {
    const name = path.slice(path.lastIndexOf("/") + 1);
    return SECRET_NAMES.some((pattern) => pattern.test(name));
  });
  if (secrets.length === 0) return;
  throw new HyperpilotError({
    code: "E_FILE",
    message: `Not sent: ${secrets
      .slice(0, 5)
      .map(({ path }) => path)
      .join(", ")} looks like a secret.`,
    why: "The files of a task go to the server and to every node that evaluates it.",
    remedy:
      "Move it out of the directory, rename it if it is none, or name another directory with --files DIR.",
  });
}

/** "3 files, 12.4 kB: a.py, b.json, c.sh"; long lists are cut. */
export function describeFiles(files: readonly FoundFile[]): string {
  if (files.length === 0) return "no files";
  const bytes = files.reduce((sum, file) => sum + file.sizeBytes, 0);
  const shown = files.slice(0, 20).map(({ path }) => path);
  const more = files.length > 20 ? `, and ${files.length - 20} more` : "";
  const count = files.length === 1 ? "1 file" : `${files.length} files`;
  return `${count}, ${formatBytes(bytes)}: ${shown.join(", ")}${more}`;
}

export interface PackedFiles {
  readonly sha256: string;
  readonly bytes: Uint8Array;
}

/** Errors: E_SANDBOX_SIZE, with the largest files. */
export async function packForTask(
  directory: string,
  files: readonly FoundFile[],
): Promise<PackedFiles> {
  refuseIfLarger(
    files,
    files.reduce((sum, file) => sum + file.sizeBytes, 0),
    PILOT.extractedSandboxBytesMax,
  );
  const { packFiles } = await import("../../common/archive.ts");
  const temporary = mkdtempSync(join(tmpdir(), "hyperpilot-submit-"));
  try {
    const target = join(temporary, "files.tar.gz");
    const { sha256, sizeBytes } = await packFiles(
      directory,
      files.map(({ path }) => path),
      target,
    );
    refuseIfLarger(files, sizeBytes, TASK.sandboxBytesMax);
    return { sha256, bytes: readFileSync(target) };
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}

function refuseIfLarger(files: readonly FoundFile[], bytes: number, bytesMax: number): void {
  if (bytes <= bytesMax) return;
  const largest = [...files].sort((a, b) => b.sizeBytes - a.sizeBytes).slice(0, 5);
  throw new HyperpilotError({
    code: "E_SANDBOX_SIZE",
    message: `The task's files are ${formatBytes(bytes)}; at most ${formatBytes(bytesMax)} are taken. Nothing was sent.`,
    why: `The largest: ${largest.map((file) => `${file.path} ${formatBytes(file.sizeBytes)}`).join(", ")}.`,
    remedy:
      "Leave out what the evaluation does not need: move it into a hidden directory (such as .data/), or put what is needed into a directory of its own and name that with --files DIR. Evaluations can fetch large files themselves.",
  });
}
