/** A log that never grows without bound: at 10 MB it becomes FILE.1, which replaces the former one. */
import { closeSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";

const FILE_BYTES_MAX = 10_000_000;
const LAST_BYTES = 2_000;
const LAST_LINES = 8;

export interface LogFile {
  write(chunk: Uint8Array): void;
  /** The newest lines written here. */
  lastLines(): string;
  close(): void;
}

export function openLogFile(path: string, bytesMax = FILE_BYTES_MAX): LogFile {
  let file = openSync(path, "a", 0o600);
  let bytes = fstatSync(file).size;
  let last = Buffer.alloc(0);
  return {
    write(chunk) {
      if (bytes + chunk.length > bytesMax) {
        closeSync(file);
        renameSync(path, `${path}.1`);
        file = openSync(path, "a", 0o600);
        bytes = 0;
      }
      writeSync(file, chunk);
      bytes += chunk.length;
      last = Buffer.concat([last, chunk]).subarray(-LAST_BYTES);
    },
    lastLines: () => last.toString("utf8").trimEnd().split("\n").slice(-LAST_LINES).join("\n"),
    close: () => closeSync(file),
  };
}
