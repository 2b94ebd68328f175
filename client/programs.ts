/** The programs that this command can start. They are handed in, so that no command imports them. */
import type { QueueConfig } from "../protocol/queue.ts";
import type { TaskSpecification } from "../protocol/task.ts";

export interface ServerOptions {
  /** Absolute. */
  readonly data: string;
  readonly host?: string;
  readonly port?: number;
  readonly certificateFile?: string;
  readonly keyFile?: string;
  readonly behindProxy?: string[];
  readonly localQueue?: { readOnlyPaths?: string[] };
}

export interface HarvesterOptions {
  readonly server: string;
  readonly tokenFile: string;
  readonly directory: string;
  readonly name: string;
  readonly sites: readonly string[];
  readonly caFingerprint: string | null;
  readonly pilotCommand: readonly [string, ...string[]];
  readonly stopPilots: boolean;
}

export interface PilotOptions {
  readonly bootFile: string;
}

/** One point with everything that its evaluation had, for a shell on this machine. */
export interface ShellOptions {
  readonly taskId: number;
  readonly pointId: string;
  /** The point's JSON text. */
  readonly pointText: string;
  /** Value of HYPERPILOT_SEED. */
  readonly seed: number;
  readonly spec: TaskSpecification;
  /** Verified tarball of the task's files; null when it has none. */
  readonly sandbox: Uint8Array | null;
  readonly queue: Pick<QueueConfig, "runtime" | "readOnlyPaths" | "environment">;
  /** Leaves the directory of the evaluation when the shell has ended. */
  readonly keep: boolean;
  /** Whether standard input is a terminal; otherwise commands are read from it. */
  readonly isInteractive: boolean;
  /** Called before the shell is started. */
  readonly onReady: (ready: ShellReady) => void;
}

export interface ShellReady {
  readonly runtime: string;
  /** Of the evaluation, on this machine. */
  readonly workDirectory: string;
  /** What the evaluation would run. */
  readonly command: string;
}

/** Each runs until the program has ended and resolves with its exit code. */
export interface Programs {
  server(options: ServerOptions): Promise<number>;
  harvester(options: HarvesterOptions): Promise<number>;
  pilot(options: PilotOptions): Promise<number>;
  /** Resolves with the exit code of the shell. Errors: E_IMAGE, E_RUNTIME_MISSING, E_FILE. */
  shell(options: ShellOptions): Promise<number>;
}
