/** What a local pilot writes to its standard output and error. */
import {
  appendFileSync,
  closeSync,
  fstatSync,
  openSync,
  readSync,
  statSync,
  truncateSync,
} from "node:fs";
import { systemErrorCode } from "../../protocol/errors.ts";
import { HARVESTER } from "../../protocol/limits.ts";

const LAST_LINE_BYTES = 4_096;

/**
 * Cuts the file to its end when it has grown too long. The pilot appends to it all the while, so it is shortened in place; lines
 * written in that moment may stand before older ones.
 */
export function capLog(file: string): void {
  try {
    if (statSync(file).size <= HARVESTER.pilotLogBytesMax) return;
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return;
    throw error;
  }
  const end = endOf(file, HARVESTER.pilotLogKeptBytes);
  truncateSync(file, 0);
  appendFileSync(file, end);
}

/** The last line, which says why a pilot ended. */
export function lastLine(file: string): string {
  try {
    const lines = endOf(file, LAST_LINE_BYTES).toString("utf8").trimEnd().split("\n");
    return lines.at(-1) || "ended without output";
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "ended without output";
    throw error;
  }
}

/** The last bytes of a file. Errors: those of the system. */
export function endOf(file: string, bytesMax: number): Buffer {
  const descriptor = openSync(file, "r");
  try {
    const { size } = fstatSync(descriptor);
    const end = Buffer.alloc(Math.min(size, bytesMax));
    return end.subarray(0, readSync(descriptor, end, 0, end.length, size - end.length));
  } finally {
    closeSync(descriptor);
  }
}
