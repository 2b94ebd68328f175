/** Tarballs of files: packed in one fixed form, extracted with suspicion. The only importer of `tar`. */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, lstatSync, mkdirSync, rmSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { createGunzip } from "node:zlib";
import * as tar from "tar";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import { type ArchiveBounds, type ArchiveEntry, EntryCheck, entryType } from "./archive-check.ts";
import { NameCheck } from "./archive-names.ts";

const READ_BYTES = 64 * 1024;
/** Long names and the like in front of an entry; longer ones are refused. */
const META_BYTES_MAX = 8 * 1024;
/** One entry besides its data: its header, an extended header with its content, and the filling of the last block. */
const HEADERS_BYTES_MAX = META_BYTES_MAX + 4 * 512;
/** An archive is filled up to whole records, of 10 KiB by default. */
const END_BYTES_MAX = 1_048_576;
const GZIP_MAGIC = Buffer.from([0x1f, 0x8b]);
const ZSTD_MAGIC = Buffer.from([0x28, 0xb5, 0x2f, 0xfd]);

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
  const entries = relativePaths.map((path) => {
    const entry = lstatSync(join(root, path), { throwIfNoEntry: false });
    return { path, type: entry?.isFile() === true ? ("file" as const) : null };
  });
  return pack(root, entries, targetFile);
}

/**
 * Packs all that is below a directory in the same form, directories included. Nobody may change it meanwhile. Errors: E_FILE
 * as above.
 */
export async function packTree(root: string, targetFile: string): Promise<PackedArchive> {
  const found = await readdir(root, { recursive: true, withFileTypes: true });
  const entries = found.map((entry) => ({
    path: join(relative(root, entry.parentPath), entry.name),
    type: entry.isFile() ? ("file" as const) : entry.isDirectory() ? ("directory" as const) : null,
  }));
  return pack(root, entries, targetFile);
}

async function pack(
  root: string,
  entries: readonly { readonly path: string; readonly type: ArchiveEntry["type"] | null }[],
  targetFile: string,
): Promise<PackedArchive> {
  const sorted = [...entries].sort((a, b) => (a.path < b.path ? -1 : 1));
  const names = new NameCheck(PILOT.extractedSandboxDepthMax);
  for (const { path, type } of sorted) {
    const problem = type === null ? "it is not a regular file" : names.problem(path, type);
    if (problem !== null)
      throw new HyperpilotError({
        code: "E_FILE",
        message: `${JSON.stringify(path)} cannot be packed`,
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
    sorted.map(({ path }) => `./${path}`),
  );
  return { sha256: await sha256OfFile(targetFile), sizeBytes: lstatSync(targetFile).size };
}

/**
 * The entries of an archive, all within the bounds and all plain files and directories with harmless names. Extracts
 * nothing, and reads no further than the first thing that is refused. Errors: E_FILE with it.
 */
export async function listArchive(
  file: string,
  bounds: ArchiveBounds,
): Promise<readonly ArchiveEntry[]> {
  const check = new EntryCheck(bounds);
  const parser = new tar.Parser({ strict: true, maxMetaEntrySize: META_BYTES_MAX });
  parser.on("meta", (text: string) => check.meta(text));
  parser.on("ignoredEntry", (entry: tar.ReadEntry) =>
    check.refuse(`${JSON.stringify(entry.path.slice(0, 300))} is a ${entry.type}`),
  );
  parser.on("entry", (entry: tar.ReadEntry) => {
    check.entry(entry);
    entry.resume();
  });
  await feed(file, parser, { bytesMax: streamBytesMax(bounds), refusal: () => check.refusal });
  return check.entries;
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
    const target = new tar.Unpack({
      cwd: directory,
      preservePaths: false,
      preserveOwner: false,
      noMtime: true,
      maxDepth: bounds.depthMax + 1,
      maxMetaEntrySize: META_BYTES_MAX,
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
      onwarn: (_code, message: unknown) => problems.push(errorText(message)),
    });
    await feed(file, target, {
      bytesMax: streamBytesMax(bounds),
      refusal: () => problems[0] ?? null,
    });
    return entries;
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

/** Bytes of an unpacked archive within the bounds, with all its headers and the filling of its blocks. */
function streamBytesMax({ bytesMax, filesMax }: ArchiveBounds): number {
  return bytesMax + (filesMax + 1) * HEADERS_BYTES_MAX + END_BYTES_MAX;
}

interface Feeding {
  readonly bytesMax: number;
  /** Looked at all the time; what it says ends the reading. */
  readonly refusal: () => string | null;
}

/**
 * Reads an archive, compressed or not, into a parser. Decompression is done and counted here, so that no bomb unpacks to more
 * than the bound, however well it is packed. Errors: E_FILE; those of the disk as they are.
 */
async function feed(file: string, parser: tar.Parser, feeding: Feeding): Promise<void> {
  const refused = (): void => {
    const why = feeding.refusal();
    if (why !== null) throw refusedArchive(file, why);
  };
  const closed = new Promise<void>((resolve, reject) => {
    parser.on("close", resolve);
    parser.on("error", reject);
  });
  // Whoever waits for it is told; until then it must not count as unhandled.
  closed.catch(() => undefined);
  try {
    let bytes = 0;
    for await (const chunk of unpacked(file)) {
      if (bytes === 0 && isPacked(chunk)) throw refusedArchive(file, "it is compressed twice");
      bytes += chunk.length;
      if (bytes > feeding.bytesMax)
        throw refusedArchive(file, `it unpacks to more than ${feeding.bytesMax} bytes`);
      const goesOn = parser.write(chunk);
      refused();
      if (!goesOn) await Promise.race([once(parser, "drain"), closed]);
    }
    parser.end();
    await closed;
    refused();
  } catch (error) {
    refused();
    const code = systemErrorCode(error);
    // A full disk or a missing file is no fault of the archive.
    if (error instanceof HyperpilotError || (code !== undefined && /^E[A-Z]+$/.test(code)))
      throw error;
    throw refusedArchive(file, errorText(error), error);
  }
}

/** The bytes of a tarball as they are without gzip. */
async function* unpacked(file: string): AsyncIterable<Buffer> {
  const first = await firstBytes(file);
  const source = createReadStream(file, { highWaterMark: READ_BYTES });
  if (!first.subarray(0, 2).equals(GZIP_MAGIC)) {
    yield* source as AsyncIterable<Buffer>;
    return;
  }
  const gunzip = createGunzip({ chunkSize: READ_BYTES });
  const piped = pipeline(source, gunzip);
  piped.catch(() => undefined);
  yield* gunzip as AsyncIterable<Buffer>;
  await piped;
}

async function firstBytes(file: string): Promise<Buffer> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

/** The parser would unpack it once more, by its own rules. */
function isPacked(chunk: Buffer): boolean {
  return chunk.subarray(0, 2).equals(GZIP_MAGIC) || chunk.subarray(0, 4).equals(ZSTD_MAGIC);
}

/** sha256 of a file, hex. */
export async function sha256OfFile(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  return hash.digest("hex");
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
