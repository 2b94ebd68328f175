/** The journal alone: how fast batches become durable, and how fast a start reads them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import type { HyperpilotEvent } from "../../server/events.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";

const EVENTS = 300_000;
const EVENTS_PER_BATCH = 100;

/** Appends 300,000 events in batches of 100, one after the other, then opens again and reads all. */
export async function journalBench(): Promise<Record<string, unknown>> {
  const directory = await mkdtemp(join(tmpdir(), "hyperpilot-bench-"));
  try {
    const written = await write(directory);
    const foldSeconds = await fold(directory);
    return { events: EVENTS, eventsPerBatch: EVENTS_PER_BATCH, ...written, foldSeconds };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function write(directory: string): Promise<Record<string, number>> {
  const journal = open(directory);
  const { term } = await journal.open();
  const syncMs: number[] = [];
  const begunMs = performance.now();
  for (let firstSeq = 1; firstSeq <= EVENTS; firstSeq += EVENTS_PER_BATCH) {
    const events = Array.from({ length: EVENTS_PER_BATCH }, (_, n) => pointEvent(firstSeq + n));
    const startMs = performance.now();
    await journal.append({ firstSeq, events }, term);
    syncMs.push(performance.now() - startMs);
  }
  const seconds = (performance.now() - begunMs) / 1_000;
  await journal.close();
  syncMs.sort((a, b) => a - b);
  const quantile = (share: number) => round(syncMs[Math.floor(syncMs.length * share)] ?? 0);
  return {
    eventsPerSecond: Math.round(EVENTS / seconds),
    appendMsP50: quantile(0.5),
    appendMsP99: quantile(0.99),
  };
}

async function fold(directory: string): Promise<number> {
  const journal = open(directory);
  const begunMs = performance.now();
  await journal.open();
  const points = new Map<string, string>();
  for await (const { events } of journal.read(1)) {
    for (const event of events) {
      if (event.type === "pointGenerated") points.set(event.pointId, event.text);
    }
  }
  const seconds = (performance.now() - begunMs) / 1_000;
  await journal.close();
  if (points.size !== EVENTS) throw new Error(`${points.size} of ${EVENTS} points came back`);
  return round(seconds);
}

function open(directory: string) {
  const onHeadFailed = (error: Error) => {
    throw error;
  };
  return createLevelJournal({ directory, clock: systemClock, onHeadFailed });
}

function pointEvent(seq: number): HyperpilotEvent {
  return {
    type: "pointGenerated",
    v: 1,
    atMs: Date.now(),
    taskId: 10_000_000,
    pointId: String(seq),
    text: `{"learningRate":${seq / EVENTS},"layers":${seq % 7}}`,
    run: null,
    retryOf: null,
  };
}

function round(value: number): number {
  return Math.round(value * 1_000) / 1_000;
}
