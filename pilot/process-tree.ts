/** Processes of a payload, read from /proc. */
import { readFileSync, readdirSync } from "node:fs";
import { PILOT } from "../protocol/limits.ts";

/**
 * All descendants of a process, parents before children, without itself. Reads only the tree, not all of /proc, so that a
 * sample costs little on a node with thousands of processes. Processes that come and go meanwhile may be missed, and those
 * beyond `processesMax` are: a fork bomb must not stop the pilot.
 */
export function descendants(
  rootPid: number,
  processesMax: number = PILOT.processesPerPayloadMax,
): readonly number[] {
  const found: number[] = [];
  const waiting = [rootPid];
  for (let pid = waiting.shift(); pid !== undefined; pid = waiting.shift()) {
    for (const child of children(pid)) {
      if (found.length >= processesMax) return found;
      found.push(child);
      waiting.push(child);
    }
  }
  return found;
}

function children(pid: number): readonly number[] {
  const all: number[] = [];
  for (const thread of listProc(`/proc/${pid}/task`)) {
    const text = readProc(`/proc/${pid}/task/${thread}/children`);
    for (const word of text.split(" ")) if (word !== "") all.push(Number(word));
  }
  return all;
}

/** Processes of a session, whoever their parent is: finds those that were orphaned outside a PID namespace. */
export function sessionMembers(session: number): readonly number[] {
  return listProc("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => statFields(pid)[3] === String(session))
    .map(Number);
}

/**
 * Processes among `pids` that live in a PID namespace below the pilot's own: those inside a container. Not the first one
 * of the namespace: that is the runtime's own, and hands some signals on, so that others would get them twice.
 */
export function inNestedNamespace(pids: readonly number[]): readonly number[] {
  const depth = namespacePids("self").length;
  return pids.filter((pid) => {
    const inside = namespacePids(String(pid));
    return inside.length > depth && inside.at(-1) !== "1";
  });
}

/** Numbers of a process in the PID namespaces from the pilot's own down to its own. */
function namespacePids(pid: string): readonly string[] {
  const line = /^NSpid:(.*)$/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? "";
  return line.trim().split(/\s+/);
}

/**
 * Of processes that are asked to end, those that should be. Not one that the signal would end, as it ends a shell, above one that
 * catches it and still has something to save, which the end of a container's first process would cut short; and not the init of
 * a container above others, which passes the signal on to whatever it has started.
 */
export function askableToEnd(pids: readonly number[], signal: number): readonly number[] {
  const parents = new Map(pids.map((pid) => [pid, parentOf(pid)]));
  const spared = new Set(pids.length > 1 ? pids.filter(isContainerInit) : []);
  for (const pid of pids) {
    if (spared.has(pid)) continue;
    if (!catches(pid, signal)) continue;
    for (let above = parents.get(pid); above !== undefined; above = parents.get(above))
      if (parents.has(above) && !catches(above, signal)) spared.add(above);
  }
  return pids.filter((pid) => !spared.has(pid));
}

/** The first process of a PID namespace below the pilot's own. */
function isContainerInit(pid: number): boolean {
  const numbers = namespacePids(String(pid));
  return numbers.length > 1 && numbers.at(-1) === "1";
}

function parentOf(pid: number): number {
  return Number(statFields(String(pid))[1] ?? 0);
}

/** Whether the process has a handler for the signal. */
function catches(pid: number, signal: number): boolean {
  const mask = /^SigCgt:\s*([0-9a-f]+)$/m.exec(readProc(`/proc/${pid}/status`))?.[1] ?? "0";
  return ((BigInt(`0x${mask}`) >> BigInt(signal - 1)) & 1n) === 1n;
}

/** Whether a process runs; one that has ended and is not yet reaped does not. */
export function isRunning(pid: number): boolean {
  const state = statFields(String(pid))[0];
  return state !== undefined && state !== "Z" && state !== "X";
}

/** When the process started, in clock ticks since the boot; with the pid it names one process. null when it is gone. */
export function startTicksOf(pid: number | "self"): string | null {
  return statFields(String(pid))[19] ?? null;
}

/** CPU time of a process and of the children it has waited for, in clock ticks; 0 when it is gone. */
export function cpuTicksOf(pid: number): number {
  const own = statFields(String(pid)).slice(11, 15);
  return own.reduce((sum, ticks) => sum + Number(ticks), 0);
}

/** Processes whose command line holds `text`. */
export function processesNaming(text: string): readonly number[] {
  return listProc("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => readProc(`/proc/${pid}/cmdline`).includes(text))
    .map(Number);
}

/** Fields of /proc/PID/stat from the third (state) on: the second, the name, may hold spaces and parentheses. */
function statFields(pid: string): readonly string[] {
  const text = readProc(`/proc/${pid}/stat`);
  if (text === "") return [];
  return text
    .slice(text.lastIndexOf(")") + 2)
    .trim()
    .split(" ");
}

/** Text of a /proc file; empty when the process is gone, which is no error, or may not be read. */
export function readProc(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function listProc(path: string): readonly string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
