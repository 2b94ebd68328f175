/** Keeps one program running as a process of its own: starts it again when it ends, with growing pauses. */
import { spawn, type ChildProcess } from "node:child_process";
import { createBackoff } from "../../common/backoff.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { openLogFile, type LogFile } from "./log-file.ts";

const DELAY_MS_MIN = 500;
const DELAY_MS_MAX = 30_000;
/** A program that lived so long has started well. */
const WELL_MS = 10_000;
/** Ends in a row, each before it was well, after which it is given up: the cause will not go away by itself. */
const QUICK_ENDS_MAX = 5;

export interface ProgramToSupervise {
  readonly name: string;
  readonly argv: readonly string[];
  /** Added to this process's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly logFile: string;
  /** Time from SIGTERM to SIGKILL. */
  readonly endMs: number;
  readonly clock: Clock;
  readonly onRestart: (why: string, delayMs: number) => void;
}

export interface Supervised {
  /** Rejects when the program is given up; never resolves. */
  readonly failed: Promise<never>;
  /** The program works: from now on it is started again when it ends. Before, its end means that it cannot work. */
  noteStarted(): void;
  /** Words for the next start. */
  setArgs(argv: readonly string[]): void;
  /** Ends the program and waits for it. */
  end(): Promise<void>;
}

export function superviseProgram(program: ProgramToSupervise): Supervised {
  return new Supervisor(program);
}

class Supervisor implements Supervised {
  readonly failed: Promise<never>;
  private readonly program: ProgramToSupervise;
  private readonly log: LogFile;
  private readonly backoff = createBackoff(DELAY_MS_MIN, DELAY_MS_MAX, Math.random);
  private argv: readonly string[];
  private fail: (error: unknown) => void = () => undefined;
  private child: ChildProcess | null = null;
  private restart: Timer | null = null;
  private quickEnds = 0;
  private hasStarted = false;
  private isEnding = false;

  constructor(program: ProgramToSupervise) {
    this.program = program;
    this.argv = program.argv;
    this.log = openLogFile(program.logFile);
    this.failed = new Promise((_resolve, reject) => {
      this.fail = reject;
    });
    // Whoever waits hears of it; nobody has to.
    this.failed.catch(() => undefined);
    this.start();
  }

  noteStarted(): void {
    this.hasStarted = true;
  }

  setArgs(argv: readonly string[]): void {
    this.argv = argv;
  }

  async end(): Promise<void> {
    this.isEnding = true;
    this.restart?.cancel();
    const { child } = this;
    if (child !== null) {
      const ended = new Promise<void>((resolve) => void child.once("close", () => resolve()));
      child.kill("SIGTERM");
      const kill = this.program.clock.setTimer(
        this.program.endMs,
        () => void child.kill("SIGKILL"),
      );
      await ended;
      kill.cancel();
    }
    this.log.close();
  }

  private start(): void {
    const [file = "", ...args] = this.argv;
    const startedMs = this.program.clock.monotonicMs();
    // A session of its own: Ctrl-C reaches `up` alone, which then ends its programs in order. Their stdin ends with `up`.
    const child = spawn(file, args, {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { ...process.env, ...this.program.environment },
    });
    this.child = child;
    child.stdout.on("data", (chunk: Buffer) => this.log.write(chunk));
    child.stderr.on("data", (chunk: Buffer) => this.log.write(chunk));
    let problem: string | null = null;
    child.on("error", (error) => {
      problem = error.message;
    });
    child.stdin.on("error", () => undefined);
    child.on("close", (code, signal) => {
      this.child = null;
      this.onEnd(problem ?? (signal === null ? `exit code ${String(code)}` : signal), startedMs);
    });
  }

  private onEnd(why: string, startedMs: number): void {
    if (this.isEnding) return;
    const { clock, name, logFile } = this.program;
    if (clock.monotonicMs() - startedMs >= WELL_MS) {
      this.quickEnds = 0;
      this.backoff.reset();
    }
    this.quickEnds += 1;
    if (!this.hasStarted || this.quickEnds >= QUICK_ENDS_MAX) {
      this.fail(
        new HyperpilotError({
          code: "E_INTERNAL",
          message: `The ${name} cannot be kept running: ${why}.`,
          why: this.log.lastLines(),
          remedy: `Remove the cause, then start again: hyperpilot up\nAll of its log: ${logFile}`,
        }),
      );
      return;
    }
    const delayMs = this.backoff.next();
    this.program.onRestart(why, delayMs);
    this.restart = clock.setTimer(delayMs, () => this.start());
  }
}
