/** Blobs in memory: for tests and the simulator. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { blobMismatch, blobTooLarge } from "./blob-errors.ts";
import type { Blobs } from "./blobs.ts";

export function createMemoryBlobs(): Blobs {
  const blobs = new Map<string, Buffer>();
  return {
    async put(source, expected, maxBytes) {
      const chunks: Buffer[] = [];
      let sizeBytes = 0;
      for await (const chunk of source) {
        const bytes = Buffer.from(chunk as Uint8Array);
        sizeBytes += bytes.length;
        if (sizeBytes > maxBytes) throw blobTooLarge(maxBytes);
        chunks.push(bytes);
      }
      const bytes = Buffer.concat(chunks);
      const info = { sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes };
      if (info.sha256 !== expected.sha256 || info.sizeBytes !== expected.sizeBytes)
        throw blobMismatch(expected, info);
      blobs.set(info.sha256, bytes);
      return info;
    },
    get(sha256, startByte = 0) {
      const bytes = blobs.get(sha256);
      if (bytes === undefined) return Promise.resolve(null);
      const stream = Readable.from([bytes.subarray(startByte)], { objectMode: false });
      return Promise.resolve({ info: { sha256, sizeBytes: bytes.length }, stream });
    },
    delete(sha256) {
      blobs.delete(sha256);
      return Promise.resolve();
    },
    list: (cursor, limit) =>
      Promise.resolve(
        [...blobs.keys()]
          .filter((name) => name > cursor)
          .sort()
          .slice(0, limit),
      ),
  };
}
