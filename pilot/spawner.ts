/** The Spawner port and its one implementation: starts payloads from a small shell instead of the pilot's own process. */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import type { Clock } from "../common/clock.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import { type SpawnCommand, commandScript } from "./command-script.ts";
import {
  askableToEnd,
  descendants,
  inNestedNamespace,
  isRunning,
  sessionMembers,
} from "./process-tree.ts";
import type { Container } from "./runtime/runtime.ts";

export interface SpawnEnd {
  /** As a shell sees it: 128 + n for death by signal n, and nobody can tell that from an exit with the same number. */
  readonly exitCode: number;
  /** Name of the signal that `exitCode` stands for, or null. */
  readonly signal: string | null;
  readonly startedAtMs: number;
}

/** Starts the commands of one slot, one at a time. */
export interface Spawner {
  /** Process whose descendants are the command's processes; null while there is none. */
  readonly pid: number | null;
  /** All processes of the command that runs, those in a container of their own as well. */
  processes(): Promise<readonly number[]>;
  /** Resolves when the command has ended, and after a failure when its processes are gone. Errors: E_RUNTIME. */
  start(command: SpawnCommand): Promise<SpawnEnd>;
  /** SIGTERM asks the payload's own processes to end; SIGKILL ends every process of the slot, and resolves when they are gone. */
  kill(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  close(): Promise<void>;
}

export interface SpawnerOptions {
  /** Private directory for the scripts; made when missing. */
  readonly directory: string;
  readonly clock: Clock;
}

/**
 * The reader: a number and the path of a script in, a number and an exit code out. It never expands anything a user
 * wrote. The trap keeps it alive when it ends what a command has left behind in its process group. The background shell
 * waits for descriptor 3 to close, which happens when the pilot dies, and then removes the container that runs, if one
 * does, and ends the whole group, as no one else would.
 */
const READER = `
trap : TERM
(trap '' TERM; read -r none <&3; [ -f "$1" ] && /bin/sh "$1"; kill -KILL 0) </dev/null >/dev/null 2>&1 &
exec 3<&-
while IFS=' ' read -r id script; do
  (. "$script")
  status=$?
  kill -TERM 0
  echo "$id $status"
done
`;

interface Reader {
  readonly pid: number;
  readonly input: Writable;
  readonly gone: Promise<void>;
}

interface Running {
  readonly id: number;
  readonly startedAtMs: number;
  readonly resolve: (end: SpawnEnd) => void;
  readonly reject: (error: HyperpilotError) => void;
}

/** A spawner with a reader of its own. */
export function createSpawner(options: SpawnerOptions): Spawner {
  return new ShellSpawner(options);
}

class ShellSpawner implements Spawner {
  readonly #directory: string;
  readonly #clock: Clock;
  #reader: Reader | null = null;
  #running: Running | null = null;
  #container: Container | null = null;
  #removalFailure: HyperpilotError | null = null;
  #killing: Promise<void> | null = null;
  #killed = false;
  #busy = false;
  #lastId = 0;

  constructor(options: SpawnerOptions) {
    this.#directory = options.directory;
    this.#clock = options.clock;
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
  }

  get pid(): number | null {
    return this.#reader?.pid ?? null;
  }

  async processes(): Promise<readonly number[]> {
    const own = this.#reader === null ? [] : descendants(this.#reader.pid);
    const first = (await this.#container?.firstPid()) ?? null;
    return first === null ? own : [...own, first, ...descendants(first)];
  }

  async start(command: SpawnCommand): Promise<SpawnEnd> {
    if (this.#busy) throw new Error("a slot runs one command at a time");
    this.#busy = true;
    this.#killed = false;
    this.#lastId += 1;
    const script = join(this.#directory, `command-${this.#lastId}.sh`);
    this.#container = command.container ?? null;
    this.#removalFailure = null;
    try {
      writeFileSync(script, commandScript(command), { mode: 0o600 });
      if (this.#container !== null)
        writeFileSync(this.#removalScript, removalScript(this.#container), { mode: 0o600 });
      const end = await this.#run(this.#lastId, script);
      // What a failed command leaves behind may ignore SIGTERM.
      if (end.exitCode !== 0) await this.kill("SIGKILL");
      else await this.#killing;
      this.#throwRemovalFailure();
      return end;
    } finally {
      this.#busy = false;
      this.#container = null;
      rmSync(script, { force: true });
      rmSync(this.#removalScript, { force: true });
    }
  }

  /** Two payloads must not share the slot. */
  #throwRemovalFailure(): void {
    if (this.#removalFailure !== null) throw this.#removalFailure;
  }

  /** What the reader's background shell runs when the pilot is gone. */
  get #removalScript(): string {
    return join(this.#directory, "remove-container.sh");
  }

  async #run(id: number, script: string): Promise<SpawnEnd> {
    if (this.#killing !== null) await this.#killing;
    const startedAtMs = this.#clock.monotonicMs();
    // Ended before it began.
    if (this.#killed) return { ...KILLED, startedAtMs };
    const reader = this.#reader ?? this.#startReader();
    this.#reader = reader;
    return new Promise<SpawnEnd>((resolve, reject) => {
      this.#running = { id, startedAtMs, resolve, reject };
      reader.input.write(`${id} ${script}\n`);
    });
  }

  kill(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const reader = this.#reader;
    const container = this.#container;
    if (signal === "SIGTERM") {
      if (container !== null) return container.terminate();
      if (reader !== null) signalPayload(reader.pid);
      return Promise.resolve();
    }
    this.#killed = true;
    if (reader === null) return this.#killing ?? Promise.resolve();
    this.#reader = null;
    const killing = this.#killAll(reader, container).finally(() => {
      if (this.#killing === killing) this.#killing = null;
    });
    this.#killing = killing;
    return killing;
  }

  close(): Promise<void> {
    return this.kill("SIGKILL");
  }

  /**
   * The tree is read before the first kill: a container's first process loses its parent with it. Killing that process,
   * the init of its PID namespace, makes the kernel end all of the namespace, whatever it has done to hide. A container that
   * others hold is removed by its runtime: once while the program that started it can still see that and end, and once more
   * for one that was in the making until the program was killed.
   */
  async #killAll(reader: Reader, container: Container | null): Promise<void> {
    await removalOf(container);
    const victims = new Set([...descendants(reader.pid), ...sessionMembers(reader.pid)]);
    sendSignal(-reader.pid, "SIGKILL");
    const deadlineMs = this.#clock.monotonicMs() + PILOT.killedGoneMs;
    for (const pid of victims) sendSignal(pid, "SIGKILL");
    await reader.gone;
    while ([...victims].some(isRunning) && this.#clock.monotonicMs() < deadlineMs)
      await this.#clock.sleep(GONE_POLL_MS);
    this.#removalFailure = await removalOf(container);
  }

  #startReader(): Reader {
    const child = spawn("/bin/sh", ["-c", READER, "sh", this.#removalScript], {
      // A session of its own: one signal reaches all that the slot has started, and no terminal is shared.
      detached: true,
      cwd: "/",
      env: {},
      stdio: ["pipe", "pipe", "ignore", "pipe"],
    });
    const { pid, stdin, stdout } = child;
    if (pid === undefined) {
      child.on("error", () => undefined);
      throw readerLost("it could not be started");
    }
    const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    const reader = { pid, input: stdin as Writable, gone };
    child.once("exit", () => this.#lostReader(reader));
    // A write to a reader that has just ended is reported by its exit.
    stdin?.on("error", () => undefined);
    readLines(stdout as Readable, (line) => this.#ended(line));
    return reader;
  }

  #ended(line: string): void {
    const [id, status] = line.split(" ").map(Number);
    const running = this.#running;
    if (running?.id !== id || running === null || status === undefined) return;
    this.#running = null;
    const { startedAtMs, resolve } = running;
    resolve({ exitCode: status, signal: signalOf(status), startedAtMs });
  }

  #lostReader(reader: Reader): void {
    if (this.#reader === reader) this.#reader = null;
    const running = this.#running;
    if (running === null) return;
    this.#running = null;
    const { startedAtMs, resolve, reject } = running;
    if (this.#killed) resolve({ ...KILLED, startedAtMs });
    else reject(readerLost("it was ended by something else"));
  }
}

const GONE_POLL_MS = 2;
const KILLED = { exitCode: 128 + constants.signals.SIGKILL, signal: "SIGKILL" } as const;

function readerLost(why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_RUNTIME",
    message: "the shell that starts payloads is gone",
    why,
    remedy: "look for the kernel's out-of-memory killer on this node",
  });
}

/**
 * Asks the payload to end. In a container only processes inside are asked: the runtime itself would end at once and take
 * the payload's time to save its state with it.
 */
function signalPayload(readerPid: number): void {
  const all = descendants(readerPid);
  const inside = inNestedNamespace(all);
  const asked = askableToEnd(inside.length > 0 ? inside : all, constants.signals.SIGTERM);
  for (const pid of asked) sendSignal(pid, "SIGTERM");
}

/** Why the container could not be removed, or null. */
async function removalOf(container: Container | null): Promise<HyperpilotError | null> {
  try {
    await container?.remove();
    return null;
  } catch (error) {
    if (error instanceof HyperpilotError) return error;
    throw error;
  }
}

function removalScript(container: Container): string {
  const { argv, environment } = container.removal;
  return commandScript({ argv, environment, cwd: "/", outputFile: "/dev/null", statusFile: null });
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // ESRCH: it has ended by itself. EPERM cannot be helped; the wait for its end tells.
  }
}

function signalOf(exitCode: number): string | null {
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0] ?? null;
}

function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = "";
  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  });
}
