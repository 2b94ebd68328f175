/** Tarballs of files: packed in one fixed form, extracted with suspicion. The only importer of `tar`. */
import { createHash } from "node:crypto";
import { createReadStream, lstatSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import * as tar from "tar";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";

const NAME_BYTES_MAX = 255;
/** gzip of text shrinks to a tenth, of zeros to a thousandth. */
const DECOMPRESSION_RATIO_MAX = 100;
const READ_BYTES = 64 * 1024;

export interface ArchiveBounds {
  readonly filesMax: number;
  /** Sum of the extracted sizes. */
  readonly bytesMax: number;
  readonly depthMax: number;
}

export interface ArchiveEntry {
  readonly path: string;
  readonly type: "file" | "directory";
  readonly sizeBytes: number;
}

export interface PackedArchive {
  readonly sha256: string;
  readonly sizeBytes: number;
}

/**
 * Packs regular files into a .tar.gz that depends on names, contents and executable bits only: sorted, without times and
 * owners. Errors: E_FILE for what is no regular file or has a name that would not be extracted.
 */
export async function packFiles(
  root: string,
  relativePaths: readonly string[],
  targetFile: string,
): Promise<PackedArchive> {
  const paths = [...relativePaths].sort();
  const names = new NameCheck(PILOT.extractedSandboxDepthMax);
  for (const path of paths) {
    const entry = lstatSync(join(root, path), { throwIfNoEntry: false });
    const problem = entry?.isFile() === true ? names.problem(path) : "it is not a regular file";
    if (problem !== null)
      throw new HyperpilotError({
        code: "E_FILE",
        message: `${JSON.stringify(path)} cannot be sent with the task`,
        why: problem,
        remedy: "rename it, replace a link by the file itself, or leave it out",
      });
  }
  await tar.create(
    {
      cwd: root,
      file: targetFile,
      gzip: { level: 1 },
      portable: true,
      mtime: new Date(0),
      noDirRecurse: true,
      strict: true,
      maxReadSize: READ_BYTES,
    },
    // "./" keeps a name that begins with "@" from being taken for an archive to include.
    paths.map((path) => `./${path}`),
  );
  return { sha256: await sha256OfFile(targetFile), sizeBytes: lstatSync(targetFile).size };
}

/**
 * The entries of an archive, all within the bounds and all plain files and directories with harmless names. Extracts
 * nothing. Errors: E_FILE with the first thing that was refused.
 */
export async function listArchive(
  file: string,
  bounds: ArchiveBounds,
): Promise<readonly ArchiveEntry[]> {
  const entries: ArchiveEntry[] = [];
  const names = new NameCheck(bounds.depthMax);
  let refusal: string | null = null;
  let sumBytes = 0;
  const look = (entry: tar.ReadEntry) => {
    if (refusal !== null) return;
    const type = entryType(entry.type);
    sumBytes += entry.size;
    if (type === null) refusal = `${JSON.stringify(entry.path)} is a ${entry.type}`;
    else if (entries.length >= bounds.filesMax) refusal = `more than ${bounds.filesMax} entries`;
    else if (sumBytes > bounds.bytesMax) refusal = `more than ${bounds.bytesMax} bytes of files`;
    else {
      const problem = names.problem(entry.path);
      if (problem !== null) refusal = `${JSON.stringify(entry.path.slice(0, 300))}: ${problem}`;
      else entries.push({ path: entry.path, type, sizeBytes: entry.size });
    }
  };
  await reading(file, () =>
    tar.list({
      file,
      strict: true,
      maxReadSize: READ_BYTES,
      maxDecompressionRatio: DECOMPRESSION_RATIO_MAX,
      onReadEntry: look,
      onwarn: (_code, message) => {
        refusal ??= message;
      },
    }),
  );
  // Assigned in the callbacks, which the compiler does not see.
  const refused = refusal as string | null;
  if (refused !== null) throw refusedArchive(file, refused);
  return entries;
}

/**
 * Extracts an archive into a directory that does not exist yet; after an error it does not exist either. The archive is
 * listed first, so one with anything unfit leaves no file at all. Modes are cut to rwx of the owner. Errors: E_FILE.
 */
export async function extractArchive(
  file: string,
  directory: string,
  bounds: ArchiveBounds,
): Promise<readonly ArchiveEntry[]> {
  const entries = await listArchive(file, bounds);
  const problems: string[] = [];
  mkdirSync(directory, { mode: 0o700 });
  try {
    await reading(file, () =>
      tar.extract({
        file,
        cwd: directory,
        preservePaths: false,
        preserveOwner: false,
        noMtime: true,
        maxDepth: bounds.depthMax + 1,
        maxReadSize: READ_BYTES,
        maxDecompressionRatio: DECOMPRESSION_RATIO_MAX,
        umask: 0o077,
        // A filter that throws would end the process: refusals are collected and thrown afterwards.
        filter: (path, entry) => {
          if (!("type" in entry) || entryType(entry.type) === null) {
            problems.push(`${JSON.stringify(path)} is neither file nor directory`);
            return false;
          }
          entry.mode = entry.type === "Directory" ? 0o700 : ((entry.mode ?? 0) & 0o100) | 0o600;
          return true;
        },
        onwarn: (_code, message) => problems.push(message),
      }),
    );
    const problem = problems[0];
    if (problem !== undefined) throw refusedArchive(file, problem);
    return entries;
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** sha256 of a file, hex. */
export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
}

function entryType(type: string): ArchiveEntry["type"] | null {
  if (type === "File" || type === "OldFile" || type === "ContiguousFile") return "file";
  return type === "Directory" || type === "GNUDumpDir" ? "directory" : null;
}

/** Says what is wrong with the names of one archive; remembers them, as a name may come once only. */
class NameCheck {
  readonly #depthMax: number;
  readonly #seen = new Set<string>();

  constructor(depthMax: number) {
    this.#depthMax = depthMax;
  }

  problem(path: string): string | null {
    if (/[\u0000-\u001f\u007f\\]/.test(path))
      return "the name holds a control character or a backslash";
    if (path.startsWith("/") || /^[a-z]:/i.test(path)) return "the name is absolute";
    const parts = path.split("/").filter((part) => part !== "" && part !== ".");
    if (parts.includes("..")) return 'the name holds ".."';
    if (parts.length > this.#depthMax) return `deeper than ${this.#depthMax} directories`;
    if (parts.some((part) => Buffer.byteLength(part) > NAME_BYTES_MAX))
      return `a name of more than ${NAME_BYTES_MAX} bytes`;
    // Names that differ in case or form only are one file on some file systems: the second would overwrite the first.
    const key = parts.join("/").normalize("NFC").toLowerCase();
    if (key !== "" && this.#seen.has(key)) return "the same name comes twice";
    this.#seen.add(key);
    return null;
  }
}

async function reading(file: string, read: () => Promise<unknown>): Promise<void> {
  try {
    await read();
  } catch (error) {
    const code = systemErrorCode(error);
    // A full disk or a missing file is no fault of the archive.
    if (error instanceof HyperpilotError || (code !== undefined && /^E[A-Z]+$/.test(code)))
      throw error;
    throw refusedArchive(file, errorText(error), error);
  }
}

function refusedArchive(file: string, why: string, cause?: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_FILE",
      message: `archive ${file} is refused`,
      why,
      remedy: "pack regular files and directories with relative names",
    },
    cause,
  );
}
