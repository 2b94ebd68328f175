/** A point's evaluation without its command: files, input, image and environment, for a person to look into. */
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../common/child.ts";
import { systemClock } from "../common/clock.ts";
import { silentLogger } from "../common/log.ts";
import { EXIT, HyperpilotError } from "../protocol/errors.ts";
import type { GrantedItem } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { DEFAULT_OUTPUT, printedLossName, type TaskSpecification } from "../protocol/task.ts";
import { makeScratch } from "./config.ts";
import { findGpus } from "./gpus.ts";
import { ImageError } from "./images/image-errors.ts";
import type { HeldImage } from "./images/node-images.ts";
import { openImages } from "./images/open-images.ts";
import { runtimeLadder } from "./main.ts";
import { payloadEnvironment } from "./payload-environment.ts";
import { withPointArguments, withSegmentName } from "./point-arguments.ts";
import { shellRc, shellStart } from "./shell-script.ts";
import { resolveImage } from "./runtime/image-name.ts";
import { runtimeFor, workingRuntimes } from "./runtime/ladder.ts";
import type { PayloadCommand, Runtime } from "./runtime/runtime.ts";
import { terminalFilter } from "./runtime/terminal-filter.ts";
import {
  type PayloadDirectories,
  fillWorkDirectory,
  makePayloadDirectories,
  removeTree,
} from "./workdir.ts";

export interface ShellOptions {
  readonly taskId: number;
  readonly pointId: string;
  readonly pointText: string;
  readonly seed: number;
  readonly spec: TaskSpecification;
  /** Verified tarball of the task's files; null when it has none. */
  readonly sandbox: Uint8Array | null;
  /** Of a point of a segmented search. */
  readonly segment: { readonly id: number; readonly name: string } | null;
  readonly queue: Pick<QueueConfig, "runtime" | "readOnlyPaths" | "environment" | "images">;
  readonly keep: boolean;
  /** Whether standard input is a terminal; otherwise commands are read from it. */
  readonly isInteractive: boolean;
  /** Takes lines about an image that comes from a registry. */
  readonly onImage: (line: string) => void;
  readonly onReady: (ready: {
    readonly runtime: string;
    readonly workDirectory: string;
    readonly command: string;
  }) => void;
}

const SIGNALS = ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"] as const;
/** Keys of the terminal: once the shell runs they belong to what runs in it. */
const KEYS: readonly string[] = ["SIGINT", "SIGQUIT"];

/**
 * Runs until the shell has ended and resolves with its exit code. Errors: E_IMAGE, E_RUNTIME_MISSING, E_RUNTIME, E_FILE, and
 * those of fetching an image.
 */
export async function runShell(options: ShellOptions): Promise<number> {
  const stop = new AbortController();
  let hasStarted = false;
  const listeners = SIGNALS.map((signal) => {
    const listener = (): void => {
      if (!hasStarted || !KEYS.includes(signal)) stop.abort();
    };
    process.on(signal, listener);
    return () => void process.removeListener(signal, listener);
  });
  const scratch = makeScratch(process.env);
  let prepared: Prepared | null = null;
  try {
    const directories = makePayloadDirectories(join(scratch, "point"));
    const { signal } = stop;
    prepared = await prepare(options, { scratch, directories, signal });
    if (signal.aborted) return EXIT.interrupted;
    hasStarted = true;
    options.onReady(prepared.ready);
    return await inForeground(prepared.command, { options, scratch, directories, signal });
  } catch (error) {
    // A fetch that is given up says so as an error.
    if (stop.signal.aborted) return EXIT.interrupted;
    throw error;
  } finally {
    for (const remove of listeners) remove();
    prepared?.release();
    if (!options.keep) await removeTree(scratch);
  }
}

interface Place {
  readonly scratch: string;
  readonly directories: PayloadDirectories;
  /** Ends all of it at once. */
  readonly signal: AbortSignal;
}

interface Prepared {
  readonly command: { readonly runtime: Runtime; readonly payload: PayloadCommand };
  readonly ready: Parameters<ShellOptions["onReady"]>[0];
  /** Lets go of the image. */
  release(): void;
}

async function prepare(options: ShellOptions, place: Place): Promise<Prepared> {
  const { spec, queue, pointText, isInteractive, pointId, sandbox } = options;
  const { scratch, directories } = place;
  const evaluation = withSegmentName(spec.evaluation, options.segment ?? undefined);
  const sandboxFile = sandbox === null ? null : join(scratch, "files.tar.gz");
  if (sandbox !== null && sandboxFile !== null)
    writeFileSync(sandboxFile, sandbox, { mode: 0o600 });
  await fillWorkDirectory(directories.work, { sandboxFile, evaluation, pointText });
  const [{ gpus }, { runtimes }] = await Promise.all([
    findGpus(runProgram, process.env["CUDA_VISIBLE_DEVICES"]),
    workingRuntimes(queue.runtime, runtimeLadder(scratch)),
  ]);
  const { image, isOperators } = resolveImage(evaluation.container, queue.images);
  const runtime = runtimeFor(image, runtimes);
  const held = await holdImage(options, { runtime, image }, place);
  const outside = { workDirectory: directories.work, temporaryDirectory: directories.temporary };
  const inside = runtime.pathsInside(outside);
  const exec = withPointArguments(evaluation, pointText);
  const output = printedLossName(evaluation.output) === null ? evaluation.output : DEFAULT_OUTPUT;
  const rc = shellRc({ exec, pointId, output: output === "none" ? null : output });
  writeFileSync(join(directories.temporary, RC_NAME), rc, { mode: 0o644 });
  const filter = isInteractive ? terminalFilter(process.arch) : null;
  if (filter !== null) writeFileSync(join(scratch, FILTER_NAME), filter);
  const slot = { cpus: spec.needs.cpus, memoryBytes: spec.needs.memoryBytes, gpus: [...gpus] };
  const payload = runtime.command({
    ...outside,
    image: held.image,
    imageIsTrusted: isOperators || image.startsWith("docker://"),
    exec: shellStart(`${inside.temporaryDirectory}/${RC_NAME}`, isInteractive),
    environment: {
      ...payloadEnvironment({
        item: itemOf(options),
        slot,
        queue: queue.environment,
        paths: inside,
      }),
      ...(isInteractive ? { TERM: process.env["TERM"] ?? "dumb" } : {}),
    },
    readOnlyPaths: queue.readOnlyPaths,
    gpus,
    standardInput: isInteractive
      ? { type: "terminal", hasFilter: filter !== null }
      : { type: "pipe" },
  });
  return {
    command: { runtime, payload },
    ready: { runtime: runtime.name, workDirectory: directories.work, command: exec },
    release: () => held.release(),
  };
}

/**
 * As for an evaluation on this machine, from the same cache, but without a credential: the server hands the owner's to leases
 * only. Errors: those of a fetch.
 */
async function holdImage(
  { taskId, queue, onImage }: ShellOptions,
  { runtime, image }: { readonly runtime: Runtime; readonly image: string },
  { scratch, signal }: Place,
): Promise<HeldImage> {
  const images = openImages({
    runtimes: [runtime],
    environment: process.env,
    queueEnvironment: queue.environment,
    scratch,
    clock: systemClock,
    log: silentLogger,
    random: Math.random,
  });
  try {
    const credentialOf = (): Promise<null> => Promise.resolve(null);
    const held = await images.hold(runtime, image, { taskId, credentialOf, say: onImage, signal });
    return {
      ...held,
      release: () => {
        held.release();
        images.close();
      },
    };
  } catch (error) {
    if (!(error instanceof ImageError) || error.imageCause !== "denied") throw error;
    throw new ImageError("denied", {
      message: error.message,
      why: error.why ?? "",
      remedy:
        "A shell gets no credential of 'hyperpilot secret set', which is for evaluations alone: fetch the image to a SIF file that the queue may use, or look at the point where its evaluation ran.",
    });
  }
}

const RC_NAME = "hyperpilot-shell.sh";
const FILTER_NAME = "terminal-filter.bpf";

/** The first attempt of the point, as a grant would name it; there is no lease, so there is no token. */
function itemOf({ taskId, pointId, pointText, seed, segment }: ShellOptions): GrantedItem {
  return {
    item: { type: "evaluation", taskId, pointId },
    epoch: [0, 0],
    slot: 0,
    attempt: 1,
    pointText,
    seed,
    token: "",
    ...(segment === null ? {} : { segment }),
  };
}

interface Foreground extends Place {
  readonly options: ShellOptions;
}

/** Errors: E_RUNTIME when the runtime did not start the shell. */
async function inForeground(
  { runtime, payload }: Prepared["command"],
  { options, scratch, directories, signal }: Foreground,
): Promise<number> {
  const [file = "", ...args] = payload.argv;
  const status = openSync(directories.statusFile, "w", 0o600);
  const filter = options.isInteractive && terminalFilter(process.arch) !== null;
  const open = [status, ...(filter ? [openSync(join(scratch, FILTER_NAME), "r")] : [])];
  let exitCode: number;
  try {
    exitCode = await new Promise<number>((resolve, reject) => {
      const child = spawn(file, args, {
        cwd: directories.work,
        env: payload.environment,
        stdio: ["inherit", "inherit", "inherit", ...open],
      });
      child.once("error", reject);
      signal.addEventListener("abort", () => void child.kill("SIGKILL"), { once: true });
      child.once("close", (code, endedBy) => resolve(code ?? (endedBy === null ? 1 : 128)));
    });
  } finally {
    for (const descriptor of open) closeSync(descriptor);
    // An engine's container does not end with the program that was killed.
    if (signal.aborted) await payload.container?.remove();
  }
  const statusText = readFileSync(directories.statusFile, "utf8");
  const verdict = runtime.verdict({ exitCode, outputTail: "", statusText });
  if (verdict.type === "payload" || exitCode === 0) return exitCode;
  throw new HyperpilotError({
    code: "E_RUNTIME",
    message: `${runtime.name} did not start the shell.`,
    why: `It ended with exit code ${exitCode}; what it said stands above.`,
    remedy: "Evaluations on this machine would fail in the same way: correct image or queue.",
  });
}
