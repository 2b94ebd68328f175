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
  readonly pilotPackage: string | null;
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
  /** Of a point of a segmented search. */
  readonly segment: { readonly id: number; readonly name: string } | null;
  readonly queue: Pick<QueueConfig, "runtime" | "readOnlyPaths" | "environment" | "images">;
  /** Leaves the directory of the evaluation when the shell has ended. */
  readonly keep: boolean;
  /** Whether standard input is a terminal; otherwise commands are read from it. */
  readonly isInteractive: boolean;
  /** Takes lines about an image that comes from a registry. */
  readonly onImage: (line: string) => void;
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

export interface FsckReport {
  readonly data: string;
  readonly ok: boolean;
  readonly events: number;
  readonly tasks: number;
  readonly points: number;
  readonly checks: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly detail: string;
    /** Empty when it is good. */
    readonly remedy: string;
  }[];
}

export interface BackupProgress {
  readonly events: number;
  readonly eventsAbout: number;
  readonly files: number;
  readonly filesAbout: number;
  readonly bytes: number;
}

export interface BackupReport {
  readonly file: string;
  readonly sizeBytes: number;
  readonly events: number;
  readonly files: number;
  /** Blobs that were deleted while the backup was made. */
  readonly gone: number;
}

export interface RestoreReport {
  readonly data: string;
  readonly events: number;
  readonly files: number;
  readonly tasks: number;
  readonly leasesEnded: number;
  readonly incarnation: number;
  readonly nextTaskId: number;
  readonly backupAtMs: number;
}

/** Work on the data directory of a server, by the server's own code. */
export interface Maintenance {
  fsck(options: {
    readonly data: string;
    readonly onProgress: (text: string) => void;
  }): Promise<FsckReport>;
  /** `stream`: what a running server answers; null: the server is stopped. */
  backup(options: {
    readonly data: string;
    readonly to: string;
    readonly stream: AsyncIterable<Uint8Array> | null;
    readonly onProgress: (progress: BackupProgress) => void;
  }): Promise<BackupReport>;
  restore(options: {
    readonly from: string;
    readonly data: string;
    readonly onProgress: (progress: BackupProgress) => void;
  }): Promise<RestoreReport>;
}

/** Programs run until they have ended and resolve with their exit code. */
export interface Programs extends Maintenance {
  server(options: ServerOptions): Promise<number>;
  harvester(options: HarvesterOptions): Promise<number>;
  pilot(options: PilotOptions): Promise<number>;
  /** Resolves with the exit code of the shell. Errors: E_IMAGE, E_RUNTIME_MISSING, E_FILE. */
  shell(options: ShellOptions): Promise<number>;
}
