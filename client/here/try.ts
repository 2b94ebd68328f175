/** `--try`: one real ask and one real evaluation on this machine, then a forecast. Nothing is left behind. */
import { existsSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { join, resolve } from "node:path";
import { EXIT, HyperpilotError, type ExitCode } from "../../protocol/errors.ts";
import { PAYLOAD_PATH, isBelow } from "../../protocol/host-paths.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { createApi, type Api } from "../api.ts";
import { readAccess } from "../connection.ts";
import type { Context } from "../context.ts";
import { filesToSend, submitTask } from "../submit/send.ts";
import { whileUp, type Up } from "../up/while-up.ts";
import { failureError, type FailedEvaluation } from "./failed-evaluation.ts";
import { untilPlacementFails } from "./placement.ts";
import { readPilotNotes } from "./pilot-logs.ts";
import { findInPath } from "./program-to-run.ts";
import { askPython } from "./python.ts";
import { localQueues, pathsToShow } from "./readable-paths.ts";
import type { Search } from "./search.ts";
import { withTemporaryDirectory } from "./temporary-data.ts";
import { tryPlan, type Machine, type TryPlan } from "./try-plan.ts";
import { tellTrial, type Trial } from "./try-report.ts";
import { watchTrial } from "./try-watch.ts";
import { hiddenPathsOf } from "./visible-words.ts";

/** Milliseconds in which the server of this machine says how its queue is set, if there is one. */
const KNOWN_QUEUE_MS = 2_000;

/** Resolves with 0 when there is a loss, 130 after Ctrl-C. Errors: E_TASK_UNSUCCESSFUL, and those of a start. */
export async function tryTask(context: Context, search: Search): Promise<ExitCode> {
  const { output } = context;
  const { directory, files } = filesToSend(context, search);
  const plan = tryPlan(search.spec, thisMachine());
  const queues = await knownQueues(context);
  const visible = queues.flatMap(({ role, readOnlyPaths }) =>
    role === "evaluation" ? readOnlyPaths : [],
  );
  const wanted = [...search.readOnlyPaths, ...(await hiddenPathsOf(search.spec))];
  const shown = pathsToShow(wanted, context.homeDirectory);
  const trial = await withTemporaryDirectory(async (base) => {
    output.talk("Trying one point on this machine; nothing is sent anywhere, nothing stays.");
    const data = join(base, "data");
    mkdirSync(join(base, "scratch"), { mode: 0o700 });
    mkdirSync(data, { mode: 0o700 });
    lendSecrets(context, data);
    const request = {
      context,
      data,
      port: 0,
      serverArguments: [],
      environment: { HYPERPILOT_SCRATCH: join(base, "scratch") },
      endingSentence: "",
    };
    return whileUp(request, async (up) => {
      const one = await evaluateOne(context, { search, plan, queues, shown, up, data });
      const shownAlready = [...search.readOnlyPaths, ...visible];
      const only = shown.filter((path) => !shownAlready.some((known) => isBelow(path, known)));
      if (one !== null) tellTrial(context, { ...one, search, plan, files, shown: only });
      return one;
    });
  });
  if (trial === null) {
    output.talk("Stopped; nothing was left behind.");
    return EXIT.interrupted;
  }
  if (trial.outcome.type === "loss") return EXIT.success;
  const failed: FailedEvaluation = { ...trial, durationSeconds: trial.evaluationSeconds };
  const ownPython = await otherPython(context, search);
  const sent = files.map(({ path }) => path);
  throw failureError("The trial gave no loss.", failed, {
    spec: search.spec,
    directory,
    sent,
    ownPython,
  });
}

interface TrialRequest {
  readonly search: Search;
  readonly plan: TryPlan;
  /** The local queues of this machine's own server; none when it does not answer. */
  readonly queues: readonly QueueConfig[];
  readonly shown: readonly string[];
  readonly up: Up;
  readonly data: string;
}

/** Null when a signal came. */
async function evaluateOne(context: Context, request: TrialRequest): Promise<Trial | null> {
  const { search, plan, up, data } = request;
  const access = readAccess(data);
  if (access === null) throw new Error("a server that answers has written access.json");
  const api = createApi(access);
  await shapeQueues(api, request);
  const startedMs = context.clock.monotonicMs();
  const quiet = { ...context.output, talk: () => undefined };
  const { answer } = await submitTask(
    { ...context, output: quiet, api: () => Promise.resolve(api) },
    { ...search, spec: plan.spec },
  );
  const { taskId } = answer;
  const watching = new AbortController();
  const signal = AbortSignal.any([up.signal, watching.signal]);
  try {
    const seen = await Promise.race([
      watchTrial(context, api, { taskId, signal, startedMs, data, spec: plan.spec }),
      untilPlacementFails(context.clock, api, { taskId, signal, data }),
    ]);
    if (seen === null) return null;
    const notes = readPilotNotes(data);
    return {
      ...seen,
      askSeconds: notes.steering?.seconds ?? seen.askSeconds,
      evaluationSeconds: notes.evaluation?.seconds ?? seen.evaluationSeconds,
      runtime: notes.evaluation?.runtime ?? null,
      memoryBytesPeak: notes.evaluation?.memoryBytesPeak ?? null,
    };
  } finally {
    watching.abort();
  }
}

/** Credentials for registries that were set on this machine's own server: read where they are, never copied. */
function lendSecrets(context: Context, data: string): void {
  const secrets = resolve(context.workingDirectory, context.dataDirectory, "secrets");
  if (existsSync(secrets)) symlinkSync(secrets, join(data, "secrets"));
}

/** The slot of the plan, and what evaluations may read and are told, as on this machine's own queues. */
async function shapeQueues(api: Api, { plan, queues, shown }: TrialRequest): Promise<void> {
  for (const { config } of await localQueues(api)) {
    const queue = queues.find(({ role }) => role === config.role);
    const paths = [...(queue?.readOnlyPaths ?? []), ...shown];
    const known =
      queue === undefined
        ? {}
        : { runtime: queue.runtime, environment: queue.environment, images: queue.images };
    const body: QueueConfig = {
      ...config,
      ...known,
      readOnlyPaths: [...new Set(paths)],
      internet: true,
      slot: config.role === "evaluation" ? { ...plan.slot, walltimeSeconds: null } : config.slot,
      limits: { ...config.limits, maxPilots: 1, maxSlotsPerPilot: 1 },
    };
    await api.call("putQueue", { params: { name: config.name }, body });
  }
}

/** The local queues of the server of the data directory, when it answers. */
async function knownQueues(context: Context): Promise<readonly QueueConfig[]> {
  const access = readAccess(context.dataDirectory);
  if (access === null) return [];
  try {
    const queues = await localQueues(createApi(access, KNOWN_QUEUE_MS));
    return queues.map(({ config }) => config);
  } catch (error) {
    // A trial needs no server.
    if (error instanceof HyperpilotError) return [];
    throw error;
  }
}

function thisMachine(): Machine {
  const constrained = process.constrainedMemory();
  return {
    cores: availableParallelism(),
    memoryBytes: constrained > 0 ? Math.min(constrained, totalmem()) : totalmem(),
    gpus: existsSync("/dev")
      ? readdirSync("/dev").filter((name) => /^nvidia\d+$/.test(name)).length
      : 0,
  };
}

/** The person's Python, where the task's bare `python3` means another one in the sandbox. */
async function otherPython({ environment }: Context, { spec }: Search): Promise<string | null> {
  const { container, exec } = spec.evaluation;
  const program = /^python3?(?=\s)/.exec(exec.trim())?.[0];
  if (container !== "host:" || program === undefined) return null;
  const own = findInPath(program, environment);
  if (own === null || own === findInPath(program, { PATH: PAYLOAD_PATH })) return null;
  const { executable } = await askPython(program, null);
  return executable;
}
