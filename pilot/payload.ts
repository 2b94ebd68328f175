/** One evaluation on this node, from the granted item to its outcome. */
import { appendFileSync, mkdirSync, readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import { errorText, systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { GrantedItem, Outcome } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { HeldImage, HoldRequest, NodeImages } from "./images/node-images.ts";
import { queueImage } from "./images/queue-image.ts";
import { interrupted, memoryMessage, outcomeOfError, timedOut } from "./outcomes.ts";
import { type OutputFile, createOutputFile } from "./output-file.ts";
import { payloadEnvironment } from "./payload-environment.ts";
import { type Watch, watchPayload } from "./payload-watch.ts";
import type { PayloadExit } from "./output-json.ts";
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
  readonly queue: Pick<QueueConfig, "environment" | "readOnlyPaths" | "images">;
  readonly images: NodeImages;
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
  /** The task owner's credential for a registry; by default there is none. */
  readonly credentialOf?: HoldRequest["credentialOf"];
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

/** A payload's surroundings, once its image is on the node. */
interface Started {
  readonly directories: PayloadDirectories;
  readonly runtime: Runtime;
  readonly held: HeldImage;
  readonly isTrusted: boolean;
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
  #beganMs = 0;

  constructor(options: PayloadRunnerOptions, request: EvaluationRequest, paths: Paths) {
    this.#options = options;
    this.#request = request;
    this.#paths = paths;
  }

  async run(): Promise<EvaluationEnd> {
    const { clock } = this.#options;
    const { signal } = this.#request;
    this.#beganMs = clock.monotonicMs();
    let outcome: Outcome;
    try {
      outcome = await this.#evaluate();
    } catch (error) {
      outcome = outcomeOfError(error);
    }
    const durationSeconds = (clock.monotonicMs() - this.#beganMs) / 1_000;
    const logTail = this.#finishLog();
    const leftover = await this.#removeDirectories();
    return {
      outcome: signal.aborted ? null : outcome,
      durationSeconds,
      logFile: this.#log?.path ?? null,
      logTail,
      leftover,
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
    const { images, queue, runtimes, clock } = this.#options;
    const { image, isOperators } = queueImage(spec.evaluation.container, queue.images);
    const runtime = runtimeFor(image, runtimes);
    const held = await images.hold(runtime, image, {
      taskId: item.item.taskId,
      credentialOf: this.#request.credentialOf ?? (() => Promise.resolve(null)),
      say: (line) => appendFileSync(this.#paths.log, `[hyperpilot] ${line}\n`),
      signal,
    });
    // Waiting for an image is not the evaluation's time.
    this.#beganMs = clock.monotonicMs();
    const isTrusted = isOperators || image.startsWith("docker://");
    const started: Started = { directories, runtime, held, isTrusted };
    try {
      return await this.#runPayload(started, this.#log);
    } finally {
      held.release();
    }
  }

  async #runPayload(started: Started, log: OutputFile): Promise<Outcome> {
    const { spec, spawner, slot, signal } = this.#request;
    const { clock } = this.#options;
    const watch = watchPayload({
      ...{ spawner, clock, log, signal },
      timeoutSeconds: spec.evaluation.timeoutSeconds,
      memoryBytesMax: slot.memoryBytes,
    });
    try {
      const end = await this.#start(started, log);
      await watch.finish();
      return this.#judge(started, end, watch);
    } finally {
      watch.stop();
    }
  }

  #start(started: Started, log: OutputFile): Promise<SpawnEnd> {
    const { queue } = this.#options;
    const { directories, runtime, held } = started;
    const { spec, item, slot, spawner } = this.#request;
    const outside = {
      workDirectory: directories.work,
      temporaryDirectory: directories.temporary,
    };
    const command = runtime.command({
      ...outside,
      image: held.image,
      imageIsTrusted: started.isTrusted,
      exec: spec.evaluation.exec,
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
      ...(command.container === undefined ? {} : { container: command.container }),
    });
  }

  #judge(started: Started, end: SpawnEnd, watch: Watch): Outcome {
    const { ended } = watch;
    if (ended === null) return this.#judgeOwnEnd(started, end);
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
  #judgeOwnEnd({ directories, runtime, held }: Started, end: SpawnEnd): Outcome {
    const { exitCode, signal } = end;
    const outputTail = this.#log?.tail(PILOT.inlineLogBytesMax) ?? "";
    const statusText = readStatus(directories.statusFile);
    const verdict = runtime.verdict({ exitCode, outputTail, statusText });
    if (verdict.type === "runtimeFailed") {
      held.doubt();
      return interrupted("runtime", verdict.message);
    }
    const name = this.#request.spec.evaluation.output;
    const exit: PayloadExit = { exitCode, signal, outputTail };
    const { readOutcome } = this.#request;
    const outcome =
      readOutcome === undefined
        ? readOutput(directories.work, name, exit)
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

function readStatus(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}
