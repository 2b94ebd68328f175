import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemErrorCode } from "../../protocol/errors.ts";

const ENTRIES_MAX = 10_000;

/**
 * Bytes of layers that have arrived in the private directory of a pull: Apptainer's and Singularity's layout, podman's
 * temporary files. What is unpacked from them does not count.
 */
export function arrivedBytes(directory: string): number {
  let bytes = 0;
  let entriesLeft = ENTRIES_MAX;
  const waiting = [directory];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    for (const entry of entriesOf(path)) {
      entriesLeft -= 1;
      if (entriesLeft < 0) return bytes;
      const child = join(path, entry.name);
      if (entry.isDirectory() && !/^(rootfs|build-temp.*)$/.test(entry.name)) waiting.push(child);
      else if (entry.isFile() && entry.name !== "image.sif")
        bytes += statSync(child, { throwIfNoEntry: false })?.size ?? 0;
    }
  }
  return bytes;
}

function entriesOf(path: string) {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    // The program that fetches has just removed it.
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}
