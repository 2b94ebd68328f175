/** One evaluation on this node, from the granted item to its outcome. */
import { mkdirSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { GrantedItem, InterruptionReason, Outcome } from "../protocol/pilot-messages.ts";
import { type SlotResources, formatBytes } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import { cleanMessage } from "./clean-message.ts";
import { type OutputFile, createOutputFile } from "./output-file.ts";
import { payloadEnvironment } from "./payload-environment.ts";
import { type Watch, watchPayload } from "./payload-watch.ts";
import type { PayloadExit } from "./output-json.ts";
import { withPointArguments } from "./point-arguments.ts";
import { readOutput } from "./results.ts";
import { runtimeFor } from "./runtime/ladder.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { SpawnEnd, Spawner } from "./spawner.ts";
import {
  type PayloadDirectories,
  fillWorkDirectory,
  makePayloadDirectories,
  removeTree,
} from "./workdir.ts";

export interface PayloadRunnerOptions {
  /** Best first; an image gets the first that can run it. */
  readonly runtimes: readonly Runtime[];
  readonly clock: Clock;
  /** Private directory of this pilot process on local disk; made when missing. */
  readonly scratch: string;
  /** What the queue gives its payloads. */
  readonly queue: {
    readonly environment: Readonly<Record<string, string>>;
    readonly readOnlyPaths: readonly string[];
  };
}

export interface EvaluationRequest {
  readonly item: GrantedItem;
  readonly spec: TaskSpecification;
  /** Verified tarball of the task's files on this node; null when the task has none. */
  readonly sandboxFile: string | null;
  readonly slot: SlotResources;
  /** The slot's own spawner: one evaluation at a time. */
  readonly spawner: Spawner;
  /** Ends the payload at once; the outcome is then null. */
  readonly signal: AbortSignal;
  /** Reads what the payload has left; by default its output file as an evaluation's. */
  readonly readOutcome?: (work: string, exit: PayloadExit) => Outcome;
  /** Added to the payload's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Further paths inside at which the work directory is found. */
  readonly mounts?: readonly string[];
}

export interface EvaluationEnd {
  /** null when it was stopped from outside: nothing is to be reported. */
  readonly outcome: Outcome | null;
  readonly durationSeconds: number;
  /** The output, head and tail; null when the payload was never started. The caller removes it. */
  readonly logFile: string | null;
  /** The end of the output, at most 16 KiB. */
  readonly logTail: string;
  /** What could not be removed from the node, for the pilot's log; null when all is gone. */
  readonly leftover: string | null;
  /** The runtime that ran it; null when none was chosen. */
  readonly runtime: string | null;
  /** Most memory that its processes were seen to use; null when it ended before the first look. */
  readonly memoryBytesPeak: number | null;
}

export interface PayloadRunner {
  /** Never throws for what payload, task or node do wrong: that is in the outcome. */
  run(request: EvaluationRequest): Promise<EvaluationEnd>;
}

/** A runner for all slots of a pilot. */
export function createPayloadRunner(options: PayloadRunnerOptions): PayloadRunner {
  const logs = join(options.scratch, "logs");
  mkdirSync(logs, { recursive: true, mode: 0o700 });
  let lastNumber = 0;
  return {
    run: async (request) => {
      lastNumber += 1;
      const evaluation = new RunningEvaluation(options, request, {
        root: join(options.scratch, `payload-${lastNumber}`),
        log: join(logs, `${lastNumber}.log`),
      });
      return evaluation.run();
    },
  };
}

interface Paths {
  readonly root: string;
  readonly log: string;
}

class RunningEvaluation {
  readonly #options: PayloadRunnerOptions;
  readonly #request: EvaluationRequest;
  readonly #paths: Paths;
  #log: OutputFile | null = null;
  #runtimeName: string | null = null;
  #memoryBytesPeak: number | null = null;

  constructor(options: PayloadRunnerOptions, request: EvaluationRequest, paths: Paths) {
    this.#options = options;
    this.#request = request;
    this.#paths = paths;
  }

  async run(): Promise<EvaluationEnd> {
    const { clock } = this.#options;
    const { signal } = this.#request;
    const beganMs = clock.monotonicMs();
    let outcome: Outcome;
    try {
      outcome = await this.#evaluate();
    } catch (error) {
      outcome = outcomeOfError(error);
    }
    const durationSeconds = (clock.monotonicMs() - beganMs) / 1_000;
    const logTail = this.#finishLog();
    const leftover = await this.#removeDirectories();
    return {
      outcome: signal.aborted ? null : outcome,
      durationSeconds,
      logFile: this.#log?.path ?? null,
      logTail,
      leftover,
      runtime: this.#runtimeName,
      memoryBytesPeak: this.#memoryBytesPeak,
    };
  }

  async #evaluate(): Promise<Outcome> {
    const { spec, item, sandboxFile, signal } = this.#request;
    const directories = makePayloadDirectories(this.#paths.root);
    await fillWorkDirectory(directories.work, {
      sandboxFile,
      evaluation: spec.evaluation,
      pointText: item.pointText,
    });
    this.#log = createOutputFile(this.#paths.log);
    if (signal.aborted) return interrupted("pilotStop", "stopped before the start");
    const watch = watchPayload({
      spawner: this.#request.spawner,
      clock: this.#options.clock,
      log: this.#log,
      timeoutSeconds: spec.evaluation.timeoutSeconds,
      memoryBytesMax: this.#request.slot.memoryBytes,
      signal,
    });
    try {
      const end = await this.#start(directories, this.#log);
      await watch.finish();
      return this.#judge(directories, end, watch);
    } finally {
      watch.stop();
      this.#memoryBytesPeak = watch.memoryBytesPeak;
    }
  }

  #start(directories: PayloadDirectories, log: OutputFile): Promise<SpawnEnd> {
    const { queue } = this.#options;
    const runtime = this.#runtime();
    this.#runtimeName = runtime.name;
    const { spec, item, slot, spawner } = this.#request;
    const outside = {
      workDirectory: directories.work,
      temporaryDirectory: directories.temporary,
    };
    const command = runtime.command({
      ...outside,
      image: spec.evaluation.container,
      exec: withPointArguments(spec.evaluation, item.pointText),
      environment: {
        ...payloadEnvironment({
          item,
          slot,
          queue: queue.environment,
          paths: runtime.pathsInside(outside),
        }),
        ...this.#request.environment,
      },
      mounts: this.#request.mounts ?? [],
      readOnlyPaths: queue.readOnlyPaths,
      gpus: slot.gpus,
    });
    return spawner.start({
      argv: command.argv,
      environment: command.environment,
      cwd: directories.work,
      outputFile: log.path,
      statusFile: command.reportsStatus ? directories.statusFile : null,
    });
  }

  /** Errors: E_IMAGE. */
  #runtime(): Runtime {
    return runtimeFor(this.#request.spec.evaluation.container, this.#options.runtimes);
  }

  #judge(directories: PayloadDirectories, end: SpawnEnd, watch: Watch): Outcome {
    const { ended } = watch;
    if (ended === null) return this.#judgeOwnEnd(directories, end);
    switch (ended.type) {
      case "stopped":
        return interrupted("pilotStop", "stopped");
      case "timeout":
        return timedOut(ended.afterSeconds);
      case "memory":
        return {
          type: "failed",
          code: "E_MEMORY",
          exitCode: end.exitCode,
          signal: end.signal,
          message: memoryMessage(ended.bytes, this.#request.slot.memoryBytes),
        };
      case "error":
        throw ended.error;
    }
  }

  /** The payload ended by itself. */
  #judgeOwnEnd(directories: PayloadDirectories, end: SpawnEnd): Outcome {
    const { exitCode, signal } = end;
    const outputTail = this.#log?.tail(PILOT.inlineLogBytesMax) ?? "";
    const statusText = readStatus(directories.statusFile);
    const verdict = this.#runtime().verdict({ exitCode, outputTail, statusText });
    if (verdict.type === "runtimeFailed") return interrupted("runtime", verdict.message);
    const name = this.#request.spec.evaluation.output;
    const exit: PayloadExit = { exitCode, signal, outputTail };
    const { readOutcome } = this.#request;
    const outcome =
      readOutcome === undefined
        ? readOutput(directories.work, name, exit, (bytesMax) => this.#log?.tail(bytesMax) ?? "")
        : readOutcome(directories.work, exit);
    if (outcome.type === "failed" && this.#isDiskFull())
      return interrupted(
        "diskFull",
        `the node's scratch directory is full; the payload had: ${outcome.message}`,
      );
    return outcome;
  }

  /** A payload cannot write on a full disk, whoever filled it. */
  #isDiskFull(): boolean {
    const { bavail, bsize } = statfsSync(this.#options.scratch);
    return bavail * bsize < PILOT.diskFullBytes;
  }

  #finishLog(): string {
    if (this.#log === null) return "";
    try {
      this.#log.finish();
    } catch (error) {
      // The log is cut where the disk was full; the outcome stands.
      return `[the rest of the output could not be kept: ${errorText(error)}]`;
    }
    return this.#log.tail(PILOT.inlineLogBytesMax);
  }

  async #removeDirectories(): Promise<string | null> {
    try {
      await removeTree(this.#paths.root);
      return null;
    } catch (error) {
      return errorText(error);
    }
  }
}

function timedOut(afterSeconds: number): Outcome {
  const message = `ended after ${afterSeconds} s, the time that the task allows one evaluation`;
  return { type: "timeout", afterSeconds, message };
}

function memoryMessage(usedBytes: number, allowedBytes: number): string {
  return `ended because its processes used ${formatBytes(usedBytes)} of memory and a slot of this queue has ${formatBytes(allowedBytes)}; use less, or ask for more with needs.memoryBytes`;
}

function readStatus(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}

/** What went wrong on the way to the payload is the node's fault, unless the task asks for what no node can do. */
function outcomeOfError(error: unknown): Outcome {
  const text = errorText(error);
  const systemCode = systemErrorCode(error);
  if (error instanceof HyperpilotError) {
    const message = [error.message, error.why, error.remedy]
      .filter((part) => part !== undefined)
      .join("; ");
    switch (error.code) {
      case "E_IMAGE":
        return interrupted("imagePull", message);
      case "E_PAYLOAD":
      case "E_FILE":
        return {
          type: "failed",
          code: error.code,
          exitCode: 0,
          signal: null,
          message: cleanMessage(message),
        };
      default:
        return interrupted("runtime", message);
    }
  }
  if (systemCode === "ENOSPC" || systemCode === "EDQUOT")
    return interrupted("diskFull", `the node's scratch directory is full: ${text}`);
  if (systemCode === undefined) throw error;
  return interrupted("runtime", text);
}

function interrupted(reason: InterruptionReason, message: string): Outcome {
  return { type: "interrupted", reason, message: cleanMessage(message) };
}
