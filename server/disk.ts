/**
 * The Disk port: the few operations of a file system that everything is made of which must survive a crash. Tests put a simulated
 * disk in its place and let each operation fail.
 */
import { dirname } from "node:path";
import type { Readable } from "node:stream";

/** A file that is being written, from its beginning on. */
export interface NewFile {
  /** Appends; without `sync` a crash may take it back, whole or in part. */
  write(bytes: Uint8Array): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** Errors are those of the system, with their codes (ENOSPC, EIO, ...). What is not there is no error, unless it is said. */
export interface Disk {
  /** With its parents; only the owner may look inside. */
  makeDirectory(path: string): Promise<void>;
  /** Names in the directory, sorted; empty when it is not there. */
  list(path: string): Promise<readonly string[]>;
  /** null: not there. */
  sizeBytes(path: string): Promise<number | null>;
  /** The whole content; null: not there. */
  read(path: string): Promise<Uint8Array | null>;
  /** From `startByte` on; a file that is not there is an error of the stream. */
  stream(path: string, startByte: number): Readable;
  /** An empty file that only the owner may read; one that is there is emptied. */
  create(path: string): Promise<NewFile>;
  /** Atomic; durable after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  /** A file, or a directory with all that is in it. */
  remove(path: string): Promise<void>;
  syncDirectory(path: string): Promise<void>;
}

/** Writes a file so that after a crash the old or the new content is there, complete: temp, fsync, rename, fsync of the directory. */
export async function replaceFile(disk: Disk, path: string, content: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  const file = await disk.create(temporary);
  try {
    await file.write(content);
    await file.sync();
  } finally {
    await file.close();
  }
  await disk.rename(temporary, path);
  await disk.syncDirectory(dirname(path));
}
