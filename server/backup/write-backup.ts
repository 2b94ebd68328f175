/** Takes the stream of a backup into a file: checked as it comes, complete or not there at all. */
import { dirname } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Disk, NewFile } from "../disk.ts";
import { readChunks } from "../journal/chunks.ts";
import { backupNotWritten, notEmpty } from "./backup-errors.ts";
import { BackupChunk } from "./backup-stream.ts";

export interface BackupProgress {
  readonly events: number;
  readonly eventsAbout: number;
  readonly files: number;
  readonly filesAbout: number;
  readonly bytes: number;
}

export type OnProgress = (progress: BackupProgress) => void;

export interface BackupReport {
  readonly file: string;
  readonly sizeBytes: number;
  readonly events: number;
  readonly files: number;
  /** Blobs that were deleted while the backup was made. */
  readonly gone: number;
}

/** Errors: E_CONFLICT (the file is there), E_STORAGE_FULL, E_BACKUP; then no file is left. */
export async function writeBackup(
  disk: Disk,
  stream: AsyncIterable<Uint8Array>,
  { to, onProgress }: { readonly to: string; readonly onProgress: OnProgress },
): Promise<BackupReport> {
  if ((await disk.sizeBytes(to)) !== null) throw notEmpty(to, "is there already.");
  const temporary = `${to}.partial`;
  try {
    const report = await receive(disk, stream, { temporary, onProgress });
    await disk.rename(temporary, to);
    await disk.syncDirectory(dirname(to));
    return { file: to, ...report };
  } catch (error) {
    await disk.remove(temporary).catch(() => undefined);
    throw error instanceof HyperpilotError ? error : backupNotWritten(to, error);
  }
}

async function receive(
  disk: Disk,
  stream: AsyncIterable<Uint8Array>,
  { temporary, onProgress }: { readonly temporary: string; readonly onProgress: OnProgress },
): Promise<Omit<BackupReport, "file">> {
  const file = await disk.create(temporary);
  try {
    const sizes = { bytes: 0 };
    const counted = countedBackup(readChunks(copied(stream, file, sizes)), () =>
      onProgress({ ...counted.progress, bytes: sizes.bytes }),
    );
    const summary = await counted.summary;
    await file.sync();
    const { events, files, gone } = summary;
    return { sizeBytes: sizes.bytes, events, files, gone };
  } finally {
    await file.close();
  }
}

/** Passes the bytes on after they were written. */
async function* copied(
  stream: AsyncIterable<Uint8Array>,
  file: NewFile,
  sizes: { bytes: number },
): AsyncGenerator<Uint8Array> {
  for await (const bytes of stream) {
    await file.write(bytes);
    sizes.bytes += bytes.length;
    yield bytes;
  }
}

interface Counted {
  readonly progress: Omit<BackupProgress, "bytes">;
  readonly summary: Promise<Extract<BackupChunk, { type: "summary" }>>;
}

function countedBackup(chunks: AsyncIterable<unknown>, onCount: () => void): Counted {
  const progress = { events: 0, eventsAbout: 0, files: 0, filesAbout: 0 };
  const count = async (): Promise<Extract<BackupChunk, { type: "summary" }>> => {
    let summary: Extract<BackupChunk, { type: "summary" }> | null = null;
    for await (const value of chunks) {
      const chunk = BackupChunk.parse(value);
      if (chunk.type === "begin") {
        progress.eventsAbout = chunk.eventsAbout;
        progress.filesAbout = chunk.filesAbout;
      }
      if (chunk.type === "records")
        progress.events = Number.parseInt(chunk.records.at(-1)?.[0] ?? "0", 16);
      if (chunk.type === "file") progress.files += 1;
      if (chunk.type === "summary") summary = chunk;
      onCount();
    }
    if (summary === null) throw new Error("the stream has no summary");
    return summary;
  };
  return { progress, summary: count() };
}
