/** Files of the kernel that a payload of root could write without any capability: they belong to root. */
import { type Dirent, lstatSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface KernelPaths {
  /** Below /proc; to be bound over themselves, read-only, as /sys is where a container has it. */
  readonly settings: readonly string[];
  /** File systems below /sys, which such a bind leaves writable: to be hidden. */
  readonly belowSys: readonly string[];
}

const NONE: KernelPaths = { settings: [], belowSys: [] };
let known: KernelPaths | null = null;

/** What the process sees of itself; everything else below /proc is the node's. */
const OF_PROCESSES = /^(\d+|self|thread-self|net|mounts)$/;
const WRITE_BITS = 0o222;

/**
 * Settings of the kernel below /proc and all of /sys. A container's own mounts of both are as writable as the node's, and
 * only engines with the OCI's masked paths take care of that. Nothing when this process is not root: then its payload may
 * not write them anyway. The node is looked at once.
 */
export function kernelPaths(): KernelPaths {
  if (process.getuid?.() !== 0) return NONE;
  known ??= readKernelPaths();
  return known;
}

function readKernelPaths(): KernelPaths {
  const settings = readdirSync("/proc", { withFileTypes: true })
    .filter((entry) => !OF_PROCESSES.test(entry.name) && isWritable(entry))
    .map(({ name }) => join("/proc", name));
  const mounted = mountPoints().filter((path) => path.startsWith("/sys/"));
  const hidden = mounted.filter(
    (path) => !mounted.some((other) => other !== path && path.startsWith(`${other}/`)),
  );
  return { settings, belowSys: [...new Set(hidden)] };
}

function isWritable(entry: Dirent): boolean {
  if (entry.isDirectory()) return true;
  const found = lstatSync(join("/proc", entry.name), { throwIfNoEntry: false });
  return found?.isFile() === true && (found.mode & WRITE_BITS) !== 0;
}

/** The fifth field of each line, where a space is written as \040. */
function mountPoints(): readonly string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .map((path) =>
      path.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(parseInt(octal, 8))),
    );
}
