/** Blobs as files named by their checksum: complete or absent. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, open, readdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Transform, type Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";
import { blobMismatch, blobTooLarge } from "./blob-errors.ts";
import type { BlobInfo, Blobs } from "./blobs.ts";

const NAME = /^[0-9a-f]{64}$/;

/** Opens the store below `directory`; what a crash left half-written is removed. */
export async function openDiskBlobs(directory: string): Promise<Blobs> {
  const incoming = join(directory, "incoming");
  await rm(incoming, { recursive: true, force: true });
  await mkdir(incoming, { recursive: true, mode: 0o700 });
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
        const info = await receive(source, temporary, maxBytes);
        if (info.sha256 !== expected.sha256 || info.sizeBytes !== expected.sizeBytes)
          throw blobMismatch(expected, info);
        await publish(temporary, fileOf(info.sha256), directory);
        return info;
      } catch (error) {
        throw translated(error);
      } finally {
        await rm(temporary, { force: true });
      }
    },
    async get(sha256, startByte = 0) {
      const file = fileOf(sha256);
      const stats = await stat(file).catch(absent);
      if (stats === null) return null;
      return {
        info: { sha256, sizeBytes: stats.size },
        stream: createReadStream(file, { start: startByte }),
      };
    },
    async delete(sha256) {
      await rm(fileOf(sha256), { force: true });
    },
    list: (cursor, limit) => list(directory, cursor, limit),
  };
}

async function receive(source: Readable, file: string, maxBytes: number): Promise<BlobInfo> {
  const hash = createHash("sha256");
  let sizeBytes = 0;
  const meter = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length;
      hash.update(chunk);
      if (sizeBytes > maxBytes) done(blobTooLarge(maxBytes));
      else done(null, chunk);
    },
  });
  // Opened first: a stream that is still opening when the upload fails would make the file after it was removed.
  const handle = await open(file, "wx", 0o600);
  await pipeline(source, meter, handle.createWriteStream({ flush: true }));
  return { sha256: hash.digest("hex"), sizeBytes };
}

async function publish(temporary: string, file: string, root: string): Promise<void> {
  const folder = join(file, "..");
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await rename(temporary, file);
  await syncDirectory(folder);
  await syncDirectory(root);
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function list(directory: string, cursor: string, limit: number): Promise<string[]> {
  const found: string[] = [];
  const folders = (await readdir(directory))
    .filter((name) => name.length === 2 && name >= cursor.slice(0, 2))
    .sort();
  for (const folder of folders) {
    const names = (await readdir(join(directory, folder))).map((name) => folder + name).sort();
    for (const name of names) {
      if (!NAME.test(name) || name <= cursor) continue;
      found.push(name);
      if (found.length >= limit) return found;
    }
  }
  return found;
}

function absent(error: unknown): null {
  if (systemErrorCode(error) === "ENOENT") return null;
  throw error;
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
