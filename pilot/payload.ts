/** One evaluation on this node, from the granted item to its outcome. */
import { appendFileSync, mkdirSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { Outcome } from "../protocol/pilot-messages.ts";
import { type Artifacts, NO_ARTIFACTS, collectArtifacts } from "./artifacts.ts";
import type { HeldImage } from "./images/node-images.ts";
import { interrupted, looping, memoryMessage, outcomeOfError, timedOut } from "./outcomes.ts";
import { type OutputFile, createOutputFile } from "./output-file.ts";
import { payloadEnvironment } from "./payload-environment.ts";
import type {
  EvaluationEnd,
  EvaluationRequest,
  PayloadRunner,
  PayloadRunnerOptions,
} from "./payload-port.ts";
import { type Watch, watchPayload } from "./payload-watch.ts";
import { loopingRule, readStatus } from "./payload-files.ts";
import type { PayloadExit } from "./output-json.ts";
import { withPointArguments, withSegmentName } from "./point-arguments.ts";
import { readOutput } from "./results.ts";
import { resolveImage } from "./runtime/image-name.ts";
import { runtimeFor } from "./runtime/ladder.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { SpawnEnd } from "./spawner.ts";
import {
  type PayloadDirectories,
  fillWorkDirectory,
  makePayloadDirectories,
  removeTree,
} from "./workdir.ts";

export type * from "./payload-port.ts";

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
        artifacts: join(options.scratch, `artifacts-${lastNumber}`),
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
  readonly artifacts: string;
}

class RunningEvaluation {
  readonly #options: PayloadRunnerOptions;
  readonly #request: EvaluationRequest;
  readonly #paths: Paths;
  #log: OutputFile | null = null;
  #artifacts: Artifacts = NO_ARTIFACTS;
  #isEvicted = false;
  #beganMs = 0;
  #runtimeName: string | null = null;
  #memoryBytesPeak: number | null = null;

  constructor(options: PayloadRunnerOptions, request: EvaluationRequest, paths: Paths) {
    this.#options = options;
    const { item, spec } = request;
    const evaluation = withSegmentName(spec.evaluation, item.segment);
    this.#request = { ...request, spec: { ...spec, evaluation } };
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
      outcome: signal.aborted || this.#isEvicted ? null : outcome,
      durationSeconds,
      artifacts: this.#artifacts,
      artifactDirectory: this.#paths.artifacts,
      logFile: this.#log?.path ?? null,
      logTail,
      leftover,
      runtime: this.#runtimeName,
      memoryBytesPeak: this.#memoryBytesPeak,
    };
  }

  async #evaluate(): Promise<Outcome> {
    const { spec, item, sandboxFile, signal, eviction, checkpoints, onHindrance } = this.#request;
    const { images, queue, runtimes, clock } = this.#options;
    const tarball = checkpoints?.tarball ?? null;
    const directories = makePayloadDirectories(this.#paths.root);
    await fillWorkDirectory(directories.work, {
      sandboxFile,
      evaluation: spec.evaluation,
      pointText: item.pointText,
      checkpoint: tarball === null ? null : { file: tarball, load: spec.checkpoint.load },
    });
    this.#log = createOutputFile(this.#paths.log);
    this.#isEvicted = eviction?.aborted === true;
    if (signal.aborted || this.#isEvicted)
      return interrupted("pilotStop", "stopped before the start");
    const { image, isOperators } = resolveImage(spec.evaluation.container, queue.images);
    const runtime = runtimeFor(image, runtimes);
    const held = await images.hold(runtime, image, {
      taskId: item.item.taskId,
      credentialOf: this.#request.credentialOf ?? (() => Promise.resolve(null)),
      say: (line) => appendFileSync(this.#paths.log, `[hyperpilot] ${line}\n`),
      ...(onHindrance === undefined ? {} : { onHindrance }),
      signal: eviction === undefined ? signal : AbortSignal.any([signal, eviction]),
    });
    // Waiting for an image is not the evaluation's time.
    this.#beganMs = clock.monotonicMs();
    const isTrusted = isOperators || image.startsWith("docker://");
    try {
      return await this.#runPayload({ directories, runtime, held, isTrusted }, this.#log);
    } finally {
      held.release();
    }
  }

  async #runPayload(started: Started, log: OutputFile): Promise<Outcome> {
    const { spec, spawner, slot, signal, eviction, checkpoints } = this.#request;
    const { clock } = this.#options;
    const { work } = started.directories;
    const saver = (await checkpoints?.begin(work)) ?? null;
    const watch = watchPayload({
      ...{ spawner, clock, log, signal, eviction },
      timeoutSeconds: spec.evaluation.timeoutSeconds,
      memoryBytesMax: slot.memoryBytes,
      looping: loopingRule(spec.evaluation.loopingSeconds, started.directories, log),
    });
    try {
      const end = await this.#start(started, log);
      await watch.finish();
      if (watch.ended?.type === "evicted") await saver?.finish();
      const outcome = this.#judge(started, end, watch);
      if (outcome.type !== "interrupted") await this.#collect(work, outcome);
      return outcome;
    } finally {
      watch.stop();
      await saver?.stop();
      this.#memoryBytesPeak = watch.memoryBytesPeak;
    }
  }

  /** Steering has a reader of its own, and leaves no artifacts. */
  async #collect(work: string, outcome: Outcome): Promise<void> {
    const { spec, readOutcome } = this.#request;
    if (readOutcome !== undefined) return;
    const isComplete = outcome.type === "loss" || outcome.type === "diverged";
    const to = { directory: this.#paths.artifacts, isComplete };
    this.#artifacts = await collectArtifacts(work, spec.evaluation, to);
  }

  #start(started: Started, log: OutputFile): Promise<SpawnEnd> {
    const { queue } = this.#options;
    const { directories, runtime, held } = started;
    this.#runtimeName = runtime.name;
    const { spec, item, slot, spawner } = this.#request;
    const outside = {
      workDirectory: directories.work,
      temporaryDirectory: directories.temporary,
    };
    const command = runtime.command({
      ...outside,
      image: held.image,
      imageIsTrusted: started.isTrusted,
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
      writableRoot: this.#request.writableRoot ?? false,
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
      case "evicted":
        this.#isEvicted = true;
        return interrupted("eviction", "evicted");
      case "timeout":
        return timedOut(ended.afterSeconds);
      case "looping":
        return looping(
          ended.quietSeconds,
          (this.#options.clock.monotonicMs() - this.#beganMs) / 1_000,
        );
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
