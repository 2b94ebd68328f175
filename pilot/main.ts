/**
 * The pilot: runs inside a batch job, connects outward to the server and evaluates points until there is nothing to do.
 *
 * Exit codes: 0 it left by itself, was drained or was asked to end (SIGTERM); 1 an error, or the server keeps refusing it;
 * 2 boot file, scratch directory or node do not fit the queue; 4 secret or session token are not valid (any more);
 * 7 another pilot runs under the same secret.
 */
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import type { Writable } from "node:stream";
import { runProgram } from "../common/child.ts";
import { type Clock, systemClock } from "../common/clock.ts";
import { type Logger, jsonLineLogger } from "../common/log.ts";
import { type Shutdown, createShutdown } from "../common/shutdown.ts";
import { EXIT, errorText } from "../protocol/errors.ts";
import type { BootFile } from "../protocol/harvester-messages.ts";
import { PILOT } from "../protocol/limits.ts";
import { pilotSize } from "../protocol/pilot-size.ts";
import { createAgent } from "./agent.ts";
import { needsPolling } from "./checkpoint.ts";
import { makeScratch, readBootFile } from "./config.ts";
import { watchWalltime } from "./deadline.ts";
import { END_SIGNALS, type StopReason, endBySignal } from "./eviction.ts";
import { findGpus } from "./gpus.ts";
import { openImages } from "./images/open-images.ts";
import { createPayloadRunner } from "./payload.ts";
import { Permits } from "./permits.ts";
import { type Environment, hostSources, probe } from "./probe.ts";
import { createPilotProgram, stopDeadlineMs } from "./program.ts";
import { createApptainer } from "./runtime/apptainer.ts";
import { createBubblewrap } from "./runtime/bubblewrap.ts";
import { createDocker } from "./runtime/docker.ts";
import { runtimeNames, workingRuntimes } from "./runtime/ladder.ts";
import { createNone } from "./runtime/none.ts";
import { createPodman } from "./runtime/podman.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { createServerApi } from "./server-api.ts";
import { connectProgram, startSession } from "./session.ts";
import { cutSlots } from "./slots.ts";
import { createSpawner } from "./spawner.ts";
import { createStage } from "./stage.ts";
import { askWalltime } from "./walltime.ts";
import { removeTree } from "./workdir.ts";

/** Batch systems send SIGKILL 30 s after SIGTERM: results first, then processes and files. */
const SHUTDOWN_DEADLINE_MS = PILOT.stopDeadlineMs + PILOT.closeMsMax;

export interface PilotOptions {
  /** 0600 file with the server's address, the boot secret and the queue. */
  readonly bootFile: string;
  readonly environment?: Environment;
  /** Takes the log, one line of JSON per event. */
  readonly output?: Writable;
}

interface Context {
  readonly boot: BootFile;
  readonly environment: Environment;
  readonly clock: Clock;
  readonly log: Logger;
  readonly shutdown: Shutdown;
  readonly ending: Ending;
  readonly scratch: string;
  readonly instance: string;
  /** Aborted when the pilot ends before it has started. */
  readonly signal: AbortSignal;
}

/** Why the pilot ends, once it does, and when its walltime does. */
interface Ending {
  stop: StopReason;
  walltimeEndMs: number | null;
}

/** Runs until there is nothing to do or a signal comes; resolves with the exit code. Errors: those of the start. */
export async function runPilot(options: PilotOptions): Promise<number> {
  const { environment = process.env, output = process.stderr } = options;
  const clock = systemClock;
  const boot = readBootFile(options.bootFile);
  const { submissionId, queue } = boot;
  const names = { program: "pilot", submissionId, queue: queue.name };
  const log = jsonLineLogger(output, names, () => clock.wallMs());
  const scratch = makeScratch(environment);
  const shutdown = createShutdown({
    clock,
    log,
    deadlineMs: SHUTDOWN_DEADLINE_MS,
    signals: [],
    onSignal: () => undefined,
  });
  const ending: Ending = {
    stop: { reason: "the pilot was asked to end", walltimeOver: false },
    walltimeEndMs: null,
  };
  endOnSignals(boot, ending, { clock, shutdown });
  shutdown.onClose("scratch", () => removeTree(scratch));
  const starting = new AbortController();
  shutdown.onClose("start", () => starting.abort());
  const instance = randomUUID();
  const { signal } = starting;
  try {
    await startPilot({
      ...{ boot, environment, clock, log, shutdown, ending, scratch, instance, signal },
    });
  } catch (error) {
    if (signal.aborted) return shutdown.done;
    await shutdown.close(errorText(error), EXIT.failed);
    throw error;
  }
  return shutdown.done;
}

/** The first signal decides how much time there is. */
function endOnSignals(
  { queue }: BootFile,
  ending: Ending,
  { clock, shutdown }: Pick<Context, "clock" | "shutdown">,
): void {
  const { noticeSeconds } = queue.pilot;
  let isEnding = false;
  for (const signal of END_SIGNALS)
    process.on(signal, () => {
      if (isEnding) return;
      isEnding = true;
      const { walltimeEndMs } = ending;
      const walltimeLeftSeconds =
        walltimeEndMs === null ? null : (walltimeEndMs - clock.monotonicMs()) / 1_000;
      ending.stop = endBySignal(signal, { noticeSeconds, walltimeLeftSeconds });
      void shutdown.close(signal, EXIT.success, stopDeadlineMs(ending.stop) + PILOT.closeMsMax);
    });
}

/** What this node has and grants. */
async function findCapacity({ boot, environment, clock, scratch }: Context) {
  const { queue } = boot;
  const [told, gpus, { runtimes, tried }] = await Promise.all([
    askWalltime(environment, runProgram, () => process.uptime()),
    findGpus(runProgram, environment["CUDA_VISIBLE_DEVICES"]),
    workingRuntimes(queue.runtime, runtimeLadder(scratch)),
  ]);
  const capacity = probe({
    ...(await hostSources(scratch)),
    environment,
    wallMs: clock.wallMs(),
    ageSeconds: process.uptime(),
    queueSeconds: queue.slot.walltimeSeconds,
    told,
    gpus,
    runtimes: runtimeNames(runtimes),
    asked: queue.batch.kind === "local" ? null : pilotSize(queue),
  });
  return { capacity, runtimes, tried };
}

async function startPilot(context: Context): Promise<void> {
  const { boot, environment, clock, log, shutdown, ending, scratch, instance, signal } = context;
  const { queue } = boot;
  const { capacity, runtimes, tried } = await findCapacity(context);
  const { walltimeLeftSeconds } = capacity;
  if (walltimeLeftSeconds !== null)
    ending.walltimeEndMs = clock.monotonicMs() + walltimeLeftSeconds * 1_000;
  const slots = cutSlots(capacity, queue);
  log.info("probed", { capacity, slots: slots.length, tried });
  for (const runtime of runtimes) {
    const removed = (await runtime.removeOrphans?.()) ?? 0;
    if (removed > 0) log.warn("orphansRemoved", { runtime: runtime.name, containers: removed });
  }
  const random = Math.random;
  const { idleSeconds } = queue;
  const agent = createAgent(
    { instance, capacity, slots, idleSeconds, random },
    clock.monotonicMs(),
  );
  const api = createServerApi(boot, () => clock.wallMs());
  const patienceMs = Math.max(idleSeconds, PILOT.idleSecondsDefault) * 1_000;
  const way = { boot, instance, clock, log, random, patienceMs };
  const session = await startSession(way, api, signal);
  signal.throwIfAborted();
  const spawners = slots.map((_slot, index) =>
    createSpawner({ directory: join(scratch, `slot-${index}`), clock }),
  );
  shutdown.onClose("payloads", async () => {
    await Promise.all(spawners.map((spawner) => spawner.close()));
  });
  const images = openImages({
    ...{ runtimes, environment, scratch, clock, log, random },
    queueEnvironment: queue.environment,
  });
  shutdown.onClose("images", () => images.close());
  const program = createPilotProgram({
    clock,
    log,
    agent,
    slots,
    spawners,
    runner: createPayloadRunner({ runtimes, clock, scratch, queue, images }),
    stage: createStage({ api, directory: join(scratch, "sandboxes"), clock, random }),
    api,
    random,
    spool: join(scratch, "spool"),
    packs: new Permits(PILOT.checkpointPacksMax),
    usePolling: needsPolling(scratch),
    onExit: (code, detail) => void shutdown.close(detail, code),
  });
  const link = connectProgram(way, session, program);
  program.start((messages) => void link.send(messages));
  shutdown.onClose("link", () => link.close());
  shutdown.onClose("agent", () => program.stop(ending.stop));
  const walltime = watchWalltime(clock, ending.walltimeEndMs, (reason) => {
    ending.stop = { reason, walltimeOver: true };
    void shutdown.close(reason, EXIT.success);
  });
  shutdown.onClose("walltime", () => walltime.cancel());
}

/** Best first; what the queue allows and what works here is chosen among these. */
export function runtimeLadder(scratchDirectory: string): readonly Runtime[] {
  return [
    createApptainer({ name: "apptainer", scratchDirectory }),
    createApptainer({ name: "singularity", scratchDirectory }),
    createPodman({ scratchDirectory }),
    createDocker({ scratchDirectory }),
    createBubblewrap({ scratchDirectory }),
    createNone(),
  ];
}
