import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import {
  type EvaluationEnd,
  type PayloadRunner,
  createPayloadRunner,
} from "../../pilot/payload.ts";
import { createBubblewrap } from "../../pilot/runtime/bubblewrap.ts";
import type { Runtime } from "../../pilot/runtime/runtime.ts";
import { type Spawner, createSpawner } from "../../pilot/spawner.ts";
import type { SlotResources } from "../../protocol/resources.ts";
import { type Evaluation, TaskSpecification } from "../../protocol/task.ts";
import { testImages } from "./node-images.ts";
import { type TemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

export interface BenchOptions {
  readonly scratch?: string;
  readonly runtime?: (scratchDirectory: string) => Runtime;
  readonly readOnlyPaths?: string[];
  /** The queue's own names of images. */
  readonly images?: Record<string, string>;
}

export interface Trial extends Partial<Omit<Evaluation, "exec">> {
  readonly exec: string;
  readonly sandboxFile?: string | null;
  readonly pointText?: string;
  readonly slot?: Partial<SlotResources>;
  readonly signal?: AbortSignal;
}

/** Runs evaluations for real on this machine, as a pilot does: the runner with a slot's spawner and bubblewrap. */
export interface EvaluationBench {
  readonly directory: TemporaryDirectory;
  readonly scratch: string;
  readonly spawner: Spawner;
  run(trial: Trial): Promise<EvaluationEnd>;
  /** Directories of payloads that are there. */
  leftDirectories(): readonly string[];
  close(): Promise<void>;
}

export function evaluationBench(options: BenchOptions = {}): EvaluationBench {
  const directory = temporaryDirectory();
  const scratch = options.scratch ?? join(directory.path, "scratch");
  mkdirSync(scratch, { recursive: true });
  const makeRuntime =
    options.runtime ?? ((scratchDirectory) => createBubblewrap({ scratchDirectory }));
  const runtime = makeRuntime(scratch);
  const images = testImages({ directory: join(directory.path, "images"), runtimes: [runtime] });
  const spawner = createSpawner({ directory: join(scratch, "scripts"), clock: systemClock });
  const runner: PayloadRunner = createPayloadRunner({
    runtimes: [runtime],
    clock: systemClock,
    scratch,
    queue: {
      environment: {},
      readOnlyPaths: options.readOnlyPaths ?? [],
      images: options.images ?? {},
    },
    images,
  });
  return {
    directory,
    scratch,
    spawner,
    run: (trial) => runner.run({ ...requestOf(trial), spawner }),
    leftDirectories: () => readdirSync(scratch).filter((name) => name.startsWith("payload-")),
    close: async () => {
      images.close();
      await spawner.close();
      await directory.remove();
    },
  };
}

function requestOf(trial: Trial) {
  const { sandboxFile = null, pointText = '{"lr":1.0}', slot, signal, ...evaluation } = trial;
  return {
    item: {
      item: { type: "evaluation" as const, taskId: 10_000_001, pointId: "7" },
      epoch: [1, 1] as const,
      slot: 0,
      attempt: 1,
      pointText,
      seed: 42,
      token: "canary-token-of-the-lease",
    },
    spec: TaskSpecification.parse({
      specVersion: 1,
      name: "trial",
      seed: 1,
      clientTaskUuid: "00000000-trial",
      steering: { method: "random" },
      searchSpace: "{}",
      evaluation: { container: "host:", ...evaluation },
      limits: {},
      needs: {},
    }),
    sandboxFile,
    slot: { cpus: 1, memoryBytes: 1_000_000_000, gpus: [], ...slot },
    signal: signal ?? new AbortController().signal,
  };
}
