import { readFileSync, readdirSync } from "node:fs";

/** Living processes that have a text in their command line: those that were started with a directory of the test's. */
export function processesWith(text: string): { readonly pid: number; readonly line: string }[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .flatMap((name) => {
      try {
        const line = readFileSync(`/proc/${name}/cmdline`, "utf8").replaceAll("\0", " ");
        return line.includes(text) ? [{ pid: Number(name), line }] : [];
      } catch {
        // It ended meanwhile.
        return [];
      }
    });
}
