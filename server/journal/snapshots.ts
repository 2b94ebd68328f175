/**
 * Snapshots of the core beside the journal: a start reads the newest good one and only the records after it. They are a cache:
 * whatever is wrong with one, the one before it is taken, and without any the journal tells all.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { z } from "zod";
import { errorText } from "../../protocol/errors.ts";
import { VERSION } from "../../protocol/version.ts";
import { CORE_FIELDS, createCoreReader, sectionsOf } from "../core-form.ts";
import type { Core } from "../core.ts";
import type { Disk, NewFile } from "../disk.ts";
import { createChunkWriter, readChunks, type ChunkWriter } from "./chunks.ts";
import { recordKey } from "./record.ts";

/** Raised when events mean something else than before, although no field has changed. */
const SNAPSHOT_VERSION = 1;

/** What must be equal for a snapshot to be read: the program, and the fields of what it wrote. */
const FORM = createHash("sha256")
  .update(JSON.stringify([SNAPSHOT_VERSION, VERSION, CORE_FIELDS]))
  .digest("hex");

const KEPT = 2;
const NAME = /^snapshot-([0-9a-f]{14})$/;
const WRITE_BYTES = 1_048_576;

const Header = z.strictObject({
  form: z.string(),
  program: z.string(),
  seq: z.number().int().nonnegative(),
  /** Hash of the record that ends at `seq`. */
  hash: z.string().length(64),
});

export interface Snapshot {
  readonly core: Core;
  /** Hash of the record after which it was taken. */
  readonly hash: string;
}

export interface SnapshotFile {
  readonly path: string;
  readonly seq: number;
}

/** What became of one file when the newest good snapshot was looked for. */
export interface SkippedSnapshot extends SnapshotFile {
  readonly why: string;
}

/** Snapshot files, newest first. */
export async function listSnapshots(disk: Disk, directory: string): Promise<SnapshotFile[]> {
  const names = await disk.list(directory);
  return names
    .flatMap((name) => {
      const [, key] = NAME.exec(name) ?? [];
      return key === undefined
        ? []
        : [{ path: join(directory, name), seq: Number.parseInt(key, 16) }];
    })
    .reverse();
}

/** The newest snapshot that can be read, or null; and those that were passed over, with the reason. */
export async function newestSnapshot(
  disk: Disk,
  directory: string,
): Promise<{ readonly snapshot: Snapshot | null; readonly skipped: readonly SkippedSnapshot[] }> {
  const skipped: SkippedSnapshot[] = [];
  for (const file of await listSnapshots(disk, directory)) {
    try {
      const { snapshot } = await readSnapshot(disk, file.path);
      return { snapshot, skipped };
    } catch (error) {
      skipped.push({ ...file, why: errorText(error) });
    }
  }
  return { snapshot: null, skipped };
}

/** Reads one snapshot; `contentHash` is equal for equal cores. Throws with the reason why it cannot be used. */
export async function readSnapshot(
  disk: Disk,
  path: string,
): Promise<{ readonly snapshot: Snapshot; readonly contentHash: string }> {
  const content = createChunkWriter();
  const reader = createCoreReader();
  let header: z.infer<typeof Header> | null = null;
  for await (const value of readChunks(disk.stream(path, 0) as AsyncIterable<Uint8Array>)) {
    if (header === null) {
      header = Header.parse(value);
      if (header.form !== FORM)
        throw new Error(`it was made by another program (${header.program}, this is ${VERSION})`);
    } else {
      reader.add(value);
    }
    content.chunk(value);
  }
  if (header === null) throw new Error("it is empty");
  const core = reader.finish();
  if (core.seq !== header.seq) throw new Error(`its state is that of event ${core.seq}`);
  return { snapshot: { core, hash: header.hash }, contentHash: content.hash() };
}

/** Hash by which two states at the same place of the journal are compared. */
export function contentHashOf(snapshot: Snapshot): string {
  const writer = createChunkWriter();
  for (const _chunk of chunksOf(writer, snapshot)) continue;
  return writer.hash();
}

/** Writes a snapshot, complete or not at all, and removes all but the newest two. */
export async function writeSnapshot(
  disk: Disk,
  directory: string,
  snapshot: Snapshot,
): Promise<SnapshotFile & { readonly sizeBytes: number }> {
  await disk.makeDirectory(directory);
  const path = join(directory, `snapshot-${recordKey(snapshot.core.seq)}`);
  const temporary = `${path}.new`;
  const file = await disk.create(temporary);
  let sizeBytes: number;
  try {
    sizeBytes = await writeChunks(file, snapshot);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(directory);
  await removeOld(disk, directory, path);
  return { path, seq: snapshot.core.seq, sizeBytes };
}

function* chunksOf(writer: ChunkWriter, { core, hash }: Snapshot): Generator<Uint8Array> {
  yield writer.chunk({ form: FORM, program: VERSION, seq: core.seq, hash });
  for (const section of sectionsOf(core)) yield writer.chunk(section);
}

async function writeChunks(file: NewFile, snapshot: Snapshot): Promise<number> {
  const writer = createChunkWriter();
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  let sizeBytes = 0;
  const flush = async (): Promise<void> => {
    await file.write(Buffer.concat(gathered));
    sizeBytes += bytes;
    gathered = [];
    bytes = 0;
  };
  for (const chunk of chunksOf(writer, snapshot)) {
    gathered.push(chunk);
    bytes += chunk.length;
    if (bytes >= WRITE_BYTES) await flush();
  }
  const end = writer.end();
  gathered.push(end);
  bytes += end.length;
  await flush();
  return sizeBytes;
}

/** Two are kept, so that a damaged one has another before it; what a crash left half-written goes too. */
async function removeOld(disk: Disk, directory: string, written: string): Promise<void> {
  const kept = (await listSnapshots(disk, directory)).slice(0, KEPT).map(({ path }) => path);
  for (const name of await disk.list(directory)) {
    const path = join(directory, name);
    if (path !== written && !kept.includes(path)) await disk.remove(path);
  }
}
