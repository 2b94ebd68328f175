/** Memory and CPU time of a running payload. */
import { cpuTicksOf, readProc } from "./process-tree.ts";

const KIB = 1024;
/** Linux tells user space 100 ticks per second, whatever the kernel's own rate is (USER_HZ). */
const TICKS_PER_SECOND = 100;

/**
 * Bytes of memory that the processes use. Cheap as long as they are far from `limitBytes`: then anonymous
 * memory is summed, which counts pages shared by forked workers once per worker. Only when that sum is above the limit the
 * kernel is asked for the exact proportional share, which walks all page tables.
 */
export function payloadMemoryBytes(pids: readonly number[], limitBytes: number): number {
  const upperBound = sum(pids, (pid) => kibField(`/proc/${pid}/status`, "RssAnon") ?? 0);
  if (upperBound <= limitBytes) return upperBound;
  return sum(
    pids,
    (pid) =>
      kibField(`/proc/${pid}/smaps_rollup`, "Pss_Anon") ??
      kibField(`/proc/${pid}/status`, "RssAnon") ??
      0,
  );
}

/** CPU time that the processes have used. */
export function payloadCpuSeconds(pids: readonly number[]): number {
  return sum(pids, cpuTicksOf) / TICKS_PER_SECOND;
}

function sum(pids: readonly number[], bytesOf: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + bytesOf(pid), 0);
}

/** A line such as "RssAnon:  1234 kB" in bytes; null when the file or the line is missing. */
function kibField(path: string, name: string): number | null {
  const value = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(readProc(path))?.[1];
  return value === undefined ? null : Number(value) * KIB;
}
