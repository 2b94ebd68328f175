/** One `up` per data directory. The server's own lock keeps the data safe; this one is there to say it early and clearly. */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";

const LockFile = z.object({ pid: z.number().int().positive(), startTicks: z.string() });

/** Returns what removes the lock. Errors: E_CONFLICT when another `up` runs on the directory. */
export function lockDataDirectory(dataDirectory: string): () => void {
  const file = join(dataDirectory, "up.lock");
  const content = JSON.stringify({ pid: process.pid, startTicks: startTicksOf(process.pid) });
  for (let tries = 0; tries < 2; tries += 1) {
    try {
      writeFileSync(file, content, { flag: "wx", mode: 0o600 });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (systemErrorCode(error) !== "EEXIST") throw error;
    }
    const holder = holderOf(file);
    if (holder !== null) throw alreadyUp(dataDirectory, holder);
    // Left by an `up` that was killed.
    rmSync(file, { force: true });
  }
  throw alreadyUp(dataDirectory, null);
}

/** Process id of a living holder; null when it is gone. */
function holderOf(file: string): number | null {
  try {
    const parsed = LockFile.safeParse(JSON.parse(readFileSync(file, "utf8")));
    if (!parsed.success) return null;
    const { pid, startTicks } = parsed.data;
    // The number may belong to another process by now.
    return startTicks !== "" && startTicksOf(pid) === startTicks ? pid : null;
  } catch (error) {
    if (error instanceof SyntaxError || systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** When a process was started, in the kernel's ticks; empty when there is no such process. */
function startTicksOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ESRCH") return "";
    throw error;
  }
}

function alreadyUp(dataDirectory: string, pid: number | null): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `Hyperpilot is up already with the data directory ${dataDirectory}.`,
    why: pid === null ? "Another start was faster." : `Process ${pid} runs it.`,
    remedy:
      "Use it as it is, end it with Ctrl-C, or name another directory and port with --data and --port.",
  });
}
