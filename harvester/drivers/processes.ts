/** Processes of this machine as /proc tells them (proc(5)). */
import { readFileSync, readdirSync } from "node:fs";
import { systemErrorCode } from "../../protocol/errors.ts";

/** A process id alone may be used again by another process: the start time makes it an identity. */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from the machine's start to the process's. */
  readonly startTicks: string;
}

/** When the process started; null when there is none or only its zombie. Throws when that could not be found out. */
export function startTicksOf(pid: number): string | null {
  const fields = statOf(pid);
  return fields === null || fields[0] === "Z" ? null : (fields[19] ?? null);
}

/** The leader of a session that was started with this argument; null when there is none. Reads the whole process table. */
export function sessionLeaderWith(argument: string): ProcessIdentity | null {
  for (const name of readdirSync("/proc")) {
    const pid = /^\d+$/.test(name) ? Number(name) : 0;
    if (pid === 0 || !argumentsOf(pid).includes(argument)) continue;
    const fields = statOf(pid);
    const startTicks = fields?.[19];
    if (fields?.[3] === name && startTicks !== undefined) return { pid, startTicks };
  }
  return null;
}

/** Sends a signal to a process, or to a group when `pid` is negative; one that is gone is no error. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}

/** Fields of /proc/PID/stat from the third on, which is what follows the name: 0 state, 3 session, 19 start time. */
function statOf(pid: number): string[] | null {
  const text = readOf(pid, "stat");
  return text === null ? null : text.slice(text.lastIndexOf(")") + 2).split(" ");
}

function argumentsOf(pid: number): string[] {
  return (readOf(pid, "cmdline") ?? "").split("\0");
}

/** null when there is no such process (any more). */
function readOf(pid: number, file: "stat" | "cmdline"): string | null {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ESRCH") return null;
    throw error;
  }
}
