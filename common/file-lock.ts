/** Locks between processes of one user: flock(2), which the kernel lets go when its holder dies, however it dies. */
import { type ChildProcess, spawn } from "node:child_process";
import { Socket } from "node:net";
import { HyperpilotError, errorText } from "../protocol/errors.ts";

export interface FileLock {
  release(): void;
}

export interface LockRequest {
  /** Any number hold it shared, one alone exclusively. */
  readonly mode: "shared" | "exclusive";
  /** Ends the waiting. Without it, nobody waits: null is the answer when somebody else holds the lock. */
  readonly waitUntil?: AbortSignal;
}

const HELD = "held";
/** Tells that it holds the lock, then waits for its input to end, which it does with this process. */
const HOLDER = `echo ${HELD}; read -r none`;

/**
 * Locks a file, which is made when it is missing. Node has no flock: the program of util-linux holds it.
 * Errors: E_RUNTIME when there is no such program or the file cannot be locked; the signal's reason.
 */
export function lockFile(path: string, request: LockRequest): Promise<FileLock | null> {
  const { mode, waitUntil } = request;
  const mayWait = waitUntil !== undefined;
  const options = [mode === "shared" ? "-s" : "-x", ...(mayWait ? [] : ["-n"])];
  return new Promise((resolve, reject) => {
    if (waitUntil?.aborted === true) return reject(reasonOf(waitUntil));
    const child = spawn("flock", [...options, path, "/bin/sh", "-c", HOLDER], {
      // A session of its own: what ends this process's group must not let the lock go before this process ends.
      detached: true,
      stdio: ["pipe", "pipe", "pipe"],
    });
    const abort = (): void => {
      letGo(child);
      reject(waitUntil === undefined ? new Error("aborted") : reasonOf(waitUntil));
    };
    const settled = (): void => waitUntil?.removeEventListener("abort", abort);
    let words = "";
    child.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
    child.stdin.on("error", () => undefined);
    child.once("error", (error) => {
      settled();
      reject(unlockable(path, errorText(error)));
    });
    child.once("close", (code) => {
      settled();
      if (!mayWait && code === 1 && words === "") resolve(null);
      else reject(unlockable(path, words === "" ? `flock ended with ${code}` : words.trim()));
    });
    child.stdout.once("data", () => {
      settled();
      keepsNobodyAlive(child);
      resolve({ release: () => letGo(child) });
    });
    waitUntil?.addEventListener("abort", abort, { once: true });
  });
}

/** A lock that is held must not keep this process from ending. */
function keepsNobodyAlive(child: ChildProcess): void {
  child.unref();
  for (const pipe of [child.stdin, child.stdout, child.stderr])
    if (pipe instanceof Socket) pipe.unref();
}

/** One that waits for the lock does not read its input. */
function letGo(child: ChildProcess): void {
  child.stdin?.end();
  if (child.pid !== undefined) {
    try {
      process.kill(-child.pid, "SIGKILL");
    } catch {
      // It has ended.
    }
  }
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}

function unlockable(path: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_RUNTIME",
    message: `${path} cannot be locked`,
    why,
    remedy: "install util-linux (the program flock), and look at the directory",
  });
}
