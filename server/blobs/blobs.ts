/** The Blobs port: immutable byte sequences by sha256. Streams only. */
import type { Readable } from "node:stream";

export interface BlobInfo {
  /** Hex. */
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Blobs {
  /**
   * Stores the bytes and resolves when they are durable under their checksum. Putting a blob that is there is a success.
   * Errors: E_CHECKSUM (bytes do not have `expected.sha256` or size), E_TOO_LARGE (over `maxBytes`), E_STORAGE_FULL. Nothing is left behind.
   */
  put(source: Readable, expected: BlobInfo, maxBytes: number): Promise<BlobInfo>;
  /** The bytes from `startByte` on, or null when there is no such blob. */
  get(
    sha256: string,
    startByte?: number,
  ): Promise<{ readonly info: BlobInfo; readonly stream: Readable } | null>;
  /** Resolves whether or not it was there. */
  delete(sha256: string): Promise<void>;
  /** Checksums in ascending order after `cursor` (exclusive), at most `limit`. */
  list(cursor: string, limit: number): Promise<readonly string[]>;
}
