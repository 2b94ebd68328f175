/** Blobs as files named by their checksum: complete or absent. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";
import type { Disk } from "../disk.ts";
import { systemDisk } from "../system-disk.ts";
import { blobMismatch, blobTooLarge } from "./blob-errors.ts";
import type { BlobInfo, Blobs } from "./blobs.ts";

const NAME = /^[0-9a-f]{64}$/;

/** Opens the store below `directory`; what a crash left half-written is removed. */
export async function openDiskBlobs(directory: string, disk: Disk = systemDisk): Promise<Blobs> {
  const incoming = join(directory, "incoming");
  await disk.remove(incoming);
  await disk.makeDirectory(incoming);
  // A new directory's own name must not be lost with a crash.
  await disk.syncDirectory(join(directory, ".."));
  return diskBlobs(directory, disk);
}

/** The store as it lies there, of a server that may be stopped; nothing is changed until something is put. */
export function diskBlobs(directory: string, disk: Disk): Blobs {
  const incoming = join(directory, "incoming");
  let uploads = 0;
  const fileOf = (sha256: string): string => {
    if (!NAME.test(sha256)) throw new Error("not a checksum");
    return join(directory, sha256.slice(0, 2), sha256.slice(2));
  };
  return {
    async put(source, expected, maxBytes) {
      uploads += 1;
      const temporary = join(incoming, String(uploads));
      try {
        const info = await receive(disk, source, { file: temporary, maxBytes });
        if (info.sha256 !== expected.sha256 || info.sizeBytes !== expected.sizeBytes)
          throw blobMismatch(expected, info);
        await publish(disk, temporary, { file: fileOf(info.sha256), root: directory });
        return info;
      } catch (error) {
        throw translated(error);
      } finally {
        await disk.remove(temporary);
      }
    },
    async get(sha256, startByte = 0) {
      const file = fileOf(sha256);
      const sizeBytes = await disk.sizeBytes(file);
      if (sizeBytes === null) return null;
      return { info: { sha256, sizeBytes }, stream: disk.stream(file, startByte) };
    },
    delete: (sha256) => disk.remove(fileOf(sha256)),
    list: (cursor, limit) => list(disk, directory, { cursor, limit }),
  };
}

async function receive(
  disk: Disk,
  source: Readable,
  { file, maxBytes }: { readonly file: string; readonly maxBytes: number },
): Promise<BlobInfo> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const target = await disk.create(file);
  try {
    await pipeline(source, async (chunks: AsyncIterable<Uint8Array>) => {
      for await (const chunk of chunks) {
        sizeBytes += chunk.length;
        if (sizeBytes > maxBytes) throw blobTooLarge(maxBytes);
        hash.update(chunk);
        await target.write(chunk);
      }
    });
    await target.sync();
  } finally {
    await target.close();
  }
  return { sha256: hash.digest("hex"), sizeBytes };
}

async function publish(
  disk: Disk,
  temporary: string,
  { file, root }: { readonly file: string; readonly root: string },
): Promise<void> {
  const folder = join(file, "..");
  await disk.makeDirectory(folder);
  await disk.rename(temporary, file);
  await disk.syncDirectory(folder);
  await disk.syncDirectory(root);
}

async function list(
  disk: Disk,
  directory: string,
  { cursor, limit }: { readonly cursor: string; readonly limit: number },
): Promise<string[]> {
  const found: string[] = [];
  const folders = (await disk.list(directory)).filter(
    (name) => name.length === 2 && name >= cursor.slice(0, 2),
  );
  for (const folder of folders) {
    for (const rest of await disk.list(join(directory, folder))) {
      const name = folder + rest;
      if (!NAME.test(name) || name <= cursor) continue;
      found.push(name);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

function translated(error: unknown): unknown {
  const code = systemErrorCode(error);
  if (code !== "ENOSPC" && code !== "EDQUOT") return error;
  return new HyperpilotError(
    {
      code: "E_STORAGE_FULL",
      message: "The server has no room for this upload.",
      why: "The disk under its data directory is full.",
      remedy: "Keep the file and try again later; the administrator must free space.",
    },
    error,
  );
}
