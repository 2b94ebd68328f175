/** The Runtime port: one way of running a payload in a sandbox. */
import type { Gpu } from "../../protocol/resources.ts";

/** Where every container runtime binds the work directory. */
export const WORK_DIRECTORY_INSIDE = "/srv/workDir";

/** What to run, and what it may see. All paths are absolute paths of the node. */
export interface PayloadRequest {
  /** `host:`, `docker://...`, a SIF file or a sandbox directory. */
  readonly image: string;
  /** Host directory that is bound at /srv/workDir and becomes cwd, HOME and $PWD; the only place that lasts. */
  readonly workDirectory: string;
  /** Private host directory for /tmp and /var/tmp; removed by the caller afterwards. */
  readonly temporaryDirectory: string;
  /** Run by `/bin/sh -c` inside the sandbox. */
  readonly exec: string;
  /** The whole environment that the payload gets besides the image's own. */
  readonly environment: Readonly<Record<string, string>>;
  readonly readOnlyPaths: readonly string[];
  readonly gpus: readonly Gpu[];
  /** Further absolute paths inside at which the work directory is found; steering's docker-arguments form names them. */
  readonly mounts?: readonly string[];
  /** A person's terminal is the payload's standard input and output. Descriptor 4 is then open on a terminalFilter, if there is one. */
  readonly terminal?: { readonly hasFilter: boolean };
}

/** A command line for the spawner: run as it is, without a shell, with this environment and nothing else. */
export interface PayloadCommand {
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the program writes an account of its own to descriptor 3; `verdict` reads that text. */
  readonly reportsStatus: boolean;
}

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
}
