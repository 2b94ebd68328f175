/**
 * A server with 100,000 evaluated points in its journal: how long a start takes, from the process's start to its first answer,
 * with the journal alone and with a snapshot; how long making the snapshot holds the event loop; memory per point.
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { systemClock } from "../../common/clock.ts";
import { isEnded } from "../../protocol/states.ts";
import type { Core } from "../../server/core.ts";
import type { HyperpilotEvent } from "../../server/events.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { makeSnapshot } from "../../server/journal/snapshot-thread.ts";
import { restore } from "../../server/restore.ts";
import { Deployment } from "../../test/support/deployment.ts";
import { World } from "../../test/support/reactor-world.ts";
import { cpuSecondsOf, percentile } from "./server-under-test.ts";

const POINTS = 100_000;
const SLOTS = 64;
/** As at about 5,000 results per second. */
const EVENTS_PER_BATCH = 30;
const STARTS = 3;

export async function restart(): Promise<Record<string, unknown>> {
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-bench-"));
  const deployment = new Deployment({ directory });
  const place = join(deployment.data, "journal");
  try {
    mkdirSync(deployment.data, { mode: 0o700 });
    const events = await write(place);
    const bytesPerPoint = await memoryPerPoint(place);
    const journalOnly = await startSeconds(deployment);
    const made = await snapshot(place);
    const withSnapshot = await startSeconds(deployment);
    return {
      points: POINTS,
      events,
      bytesPerPoint,
      journalOnlySeconds: journalOnly.seconds,
      journalOnlyCpuSeconds: journalOnly.cpuSeconds,
      ...made,
      withSnapshotSeconds: withSnapshot.seconds,
      withSnapshotCpuSeconds: withSnapshot.cpuSeconds,
    };
  } finally {
    await deployment.stop();
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Median of a few starts of the server's process, and what they took of the processor: the same on a busy machine. */
async function startSeconds(
  deployment: Deployment,
): Promise<{ readonly seconds: number; readonly cpuSeconds: number }> {
  const seconds: number[] = [];
  const cpuSeconds: number[] = [];
  for (let start = 0; start < STARTS; start += 1) {
    const startedAt = performance.now();
    await deployment.startServer();
    seconds.push((performance.now() - startedAt) / 1_000);
    cpuSeconds.push(cpuSecondsOf(deployment.serverPid));
    await deployment.stop();
  }
  return { seconds: rounded(percentile(seconds, 0.5)), cpuSeconds: percentile(cpuSeconds, 0.5) };
}

/** One search of points with five hyperparameters, each evaluated once, as the reactor journals it. */
function evaluatedSearch(): readonly HyperpilotEvent[] {
  const world = new World({ name: "local", leaseSeconds: 86_400 });
  world.answersAsks = false;
  const limits = { nParallelEvaluation: SLOTS, nPointsPerIteration: 1_000 };
  const task = world.submit({}, { ...limits, maxPoints: POINTS, minUnevaluatedPoints: 500 });
  let proposed = 0;
  let answered = 0;
  const answer = (): void => {
    for (; answered < world.asks.length; answered += 1) {
      const wanted = task.run?.wanted ?? 0;
      const ask = world.asks[answered];
      if (ask !== undefined)
        world.propose(
          ask,
          Array.from({ length: wanted }, () => text((proposed += 1))),
        );
    }
  };
  answer();
  const pilot = world.pilot({ slots: SLOTS });
  while (!isEnded(task.state)) {
    for (let slot = 0; slot < SLOTS; slot += 1) {
      answer();
      if (!pilot.isIdle(slot)) pilot.loss(lossOf(task.lossCount), slot);
    }
  }
  if (task.lossCount !== POINTS)
    throw new Error(`${task.lossCount} of ${POINTS} points have a loss`);
  return world.events;
}

/** Spread over [0, 1) without an order. */
function lossOf(n: number): number {
  return (n * 0.618_033_988_749_894_9) % 1;
}

function text(n: number): string {
  return `{"learningRate": ${1 / (n + 3)}, "momentum": ${0.5 + 1 / (n + 7)}, "batchSize": ${n % 512}, "layers": ${n % 7}, "optimizer": "adam"}`;
}

function open(directory: string): Journal {
  const onHeadFailed = (error: Error): never => {
    throw error;
  };
  return createLevelJournal({ directory, clock: systemClock, onHeadFailed });
}

async function write(directory: string): Promise<number> {
  const events = evaluatedSearch();
  const journal = open(directory);
  const { term } = await journal.open();
  for (let first = 0; first < events.length; first += EVENTS_PER_BATCH) {
    const batch = events.slice(first, first + EVENTS_PER_BATCH);
    await journal.append({ firstSeq: first + 1, events: batch }, term);
  }
  await journal.close();
  return events.length;
}

/** Growth of the heap by a restored core, garbage collected before and after. */
async function memoryPerPoint(directory: string): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const used = async (): Promise<number> => {
    for (let round = 0; round < 3; round += 1) {
      await delay(50);
      collect();
    }
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const restored = async (): Promise<Core> => {
    const journal = open(directory);
    const { core } = await restore(journal);
    await journal.close();
    return core;
  };
  // The first time also loads code.
  await restored();
  const before = await used();
  const core = await restored();
  const after = await used();
  if (core.tasks.size !== 1) throw new Error("the search is not there");
  return Math.round((after - before) / POINTS);
}

async function snapshot(directory: string): Promise<Record<string, number>> {
  const journal = open(directory);
  await journal.open();
  const stall = monitorEventLoopDelay({ resolution: 1 });
  try {
    await delay(200);
    stall.enable();
    await delay(3_000);
    const idleStallMsMax = rounded(stall.max / 1e6);
    stall.reset();
    const startedAt = performance.now();
    const before = performance.eventLoopUtilization();
    const signal = new AbortController().signal;
    const { sizeBytes } = await makeSnapshot(journal, join(directory, "snapshots"), signal);
    const snapshotBusyMs = rounded(performance.eventLoopUtilization(before).active);
    const snapshotSeconds = rounded((performance.now() - startedAt) / 1_000);
    stall.disable();
    const snapshotStallMsMax = rounded(stall.max / 1e6);
    const snapshotMegabytes = rounded(sizeBytes / 1e6);
    return {
      snapshotSeconds,
      snapshotMegabytes,
      snapshotBusyMs,
      snapshotStallMsMax,
      idleStallMsMax,
    };
  } finally {
    await journal.close();
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
