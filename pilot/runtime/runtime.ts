/** The Runtime port: one way of running a payload in a sandbox. */
import type { Gpu } from "../../protocol/resources.ts";
import type { RegistryCredential } from "../../protocol/rest.ts";

/** Where every container runtime binds the work directory. */
export const WORK_DIRECTORY_INSIDE = "/srv/workDir";

/** What to run, and what it may see. All paths are absolute paths of the node. */
export interface PayloadRequest {
  /** `host:`, a SIF file, a sandbox directory, or what the runtime's image store calls an image of a registry. */
  readonly image: string;
  /** The operator chose the image, or the pilot fetched it: it may lie anywhere on the node. */
  readonly imageIsTrusted?: boolean;
  /** The payload may write to the image's root, into a layer that goes with it; steering gets one. */
  readonly writableRoot?: boolean;
  /** Host directory that is bound at /srv/workDir and becomes cwd, HOME and $PWD; the only place that lasts. */
  readonly workDirectory: string;
  /** Private host directory for /tmp and /var/tmp; removed by the caller afterwards. */
  readonly temporaryDirectory: string;
  /** Run by `/bin/sh -c` inside the sandbox. */
  readonly exec: string;
  /** The whole environment that the payload gets besides the image's own. */
  readonly environment: Environment;
  readonly readOnlyPaths: readonly string[];
  readonly gpus: readonly Gpu[];
  /** Further absolute paths inside at which the work directory is found; steering's docker-arguments form names them. */
  readonly mounts?: readonly string[];
  /**
   * What the payload reads its commands from, as a person's shell; by default nothing. With a terminal, descriptor 4 is open on a
   * terminalFilter, if there is one.
   */
  readonly standardInput?: StandardInput;
}

export type StandardInput =
  { readonly type: "pipe" } | { readonly type: "terminal"; readonly hasFilter: boolean };

/** A command line for the spawner: run as it is, without a shell, with this environment and nothing else. */
export interface PayloadCommand {
  readonly argv: readonly string[];
  readonly environment: Environment;
  /** Whether the program writes an account of its own to descriptor 3; `verdict` reads that text. */
  readonly reportsStatus: boolean;
  /** Present where the payload's processes are no descendants of the program. */
  readonly container?: Container;
}

/** A payload that a monitor or daemon of the runtime holds: signals to the started program do not reach it. */
export interface Container {
  /** The payload's first process, as this node numbers it; null while there is none. Never rejects. */
  firstPid(): Promise<number | null>;
  /** Asks all processes of the payload to end (SIGTERM). Does nothing when none runs. Never rejects. */
  terminate(): Promise<void>;
  /** Ends all processes of the payload at once and removes the container; does nothing when there is none. Errors: E_RUNTIME. */
  remove(): Promise<void>;
  /** The same as one command line, for whoever outlives a pilot that was killed. */
  readonly removal: { readonly argv: readonly string[]; readonly environment: Environment };
}

export type Environment = Readonly<Record<string, string>>;

/** How a started command ended, as `verdict` judges it. */
export interface CommandEnd {
  readonly exitCode: number;
  /** The last part of the output. */
  readonly outputTail: string;
  /** What was written to descriptor 3; empty unless `reportsStatus`. */
  readonly statusText: string;
}

/** Where the payload sees the directories of its request. */
export interface PayloadPaths {
  readonly workDirectory: string;
  readonly temporaryDirectory: string;
}

/** Exit status of a started payload, told apart from a failure of the runtime itself. */
export type RuntimeVerdict =
  { readonly type: "payload" } | { readonly type: "runtimeFailed"; readonly message: string };

export type SelfTestResult =
  | { readonly works: true; readonly version: string }
  | { readonly works: false; readonly reason: string };

/** How images of registries come onto a node, one entry of the node's image cache each. */
export interface ImageStore {
  /** Entries of this kind share a folder of the cache; runtimes of one kind share images. */
  readonly kind: string;
  /**
   * Fetches an image and writes its entry to `request.entry`: the image itself, or a note of where the runtime keeps it.
   * Errors: E_IMAGE, E_STORAGE_FULL, E_RUNTIME, all with the program's own words.
   */
  pull(request: PullRequest): Promise<void>;
  /** What `command` takes as image, and its size; null when the entry's image is gone. */
  open(entry: string): Promise<{ readonly image: string; readonly sizeBytes: number } | null>;
  /** Removes image and entry; false when something still uses it. */
  remove(entry: string): Promise<boolean>;
  /** What `command` takes for an image that was built on this node, such as `localhost/group/image:tag`; null when it is not there. */
  findLocal?(name: string): Promise<string | null>;
}

export interface PullRequest {
  /** Name with digest, without scheme: `registry.example.org/group/image@sha256:...`. */
  readonly reference: string;
  /** The registry speaks plain HTTP (on this machine only). */
  readonly isPlainHttp: boolean;
  readonly credential: RegistryCredential | null;
  /** File to write. */
  readonly entry: string;
  /** Private directory for everything in between; removed by the caller. */
  readonly scratch: string;
  readonly environment: Environment;
  readonly signal: AbortSignal;
}

export interface Runtime {
  readonly name: string;
  /** Runs a trivial payload for real; the text says what is missing when it does not work. Never throws. */
  selfTest(): Promise<SelfTestResult>;
  /** Whether this runtime can run images of this form. */
  supports(image: string): boolean;
  /** Errors: E_IMAGE (form not supported here), E_RUNTIME. Makes no process. */
  command(request: PayloadRequest): PayloadCommand;
  /** The paths under which the payload sees its directories, for its environment. */
  pathsInside(outside: PayloadPaths): PayloadPaths;
  /** Whether the runtime failed before the payload began. */
  verdict(end: CommandEnd): RuntimeVerdict;
  /** Present where images of registries can be run: `command` takes what it opens. */
  readonly store?: ImageStore;
  /** Removes containers whose pilot is gone; resolves with their number. Never rejects. */
  removeOrphans?(): Promise<number>;
}
