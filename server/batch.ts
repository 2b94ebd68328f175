/** Group commit: events go to the journal in batches, effects wait for the batch that holds the state they saw. */
import type { Clock, Timer } from "../common/clock.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { SERVER } from "../protocol/limits.ts";
import type { HyperpilotEvent } from "./events.ts";
import type { Journal } from "./journal/journal.ts";

export interface BatcherDeps {
  readonly journal: Journal;
  readonly term: number;
  readonly clock: Clock;
  /** Sequence number of the next event. */
  readonly nextSeq: number;
  /** Called once when a batch could not be written: no effect is released any more, the process must end. */
  readonly onFatal: (error: HyperpilotError) => void;
}

export interface Batcher {
  /** Adds the events of one turn and the effects that wait for them; with nothing unsynced they run at once. */
  add(events: readonly HyperpilotEvent[], effects: readonly (() => void)[]): void;
  /** Resolves when all that was added is durable and its effects have run; never after a failure. */
  idle(): Promise<void>;
  /** Events added and not durable yet; bounds what the reactor may run ahead of the disk. */
  pendingEvents(): number;
  /** 99th percentile of the last 1,000 writes. */
  syncMsP99(): number;
}

const SAMPLES = 1_000;

interface OpenBatch {
  events: HyperpilotEvent[];
  effects: (() => void)[];
}

export function createBatcher(deps: BatcherDeps): Batcher {
  const queue: OpenBatch[] = [];
  const samples: number[] = [];
  const waiters: (() => void)[] = [];
  let nextSeq = deps.nextSeq;
  let pendingEvents = 0;
  let writing = false;
  let failed = false;
  let lastStartMs = Number.NEGATIVE_INFINITY;
  let timer: Timer | null = null;

  function add(events: readonly HyperpilotEvent[], effects: readonly (() => void)[]): void {
    if (failed) return;
    if (events.length === 0 && queue.length === 0 && !writing) {
      for (const run of effects) run();
      return;
    }
    const last = queue.at(-1);
    const fits =
      last !== undefined && last.events.length + events.length <= SERVER.eventsPerBatchMax;
    const batch = fits ? last : { events: [], effects: [] };
    if (!fits) queue.push(batch);
    for (const event of events) batch.events.push(event);
    pendingEvents += events.length;
    for (const run of effects) batch.effects.push(run);
    schedule();
  }

  /** A batch starts at once after a quiet time; under load it gathers for 2 ms, which halves the cost of each result. */
  function schedule(): void {
    if (writing || failed || timer !== null || queue.length === 0) return;
    const waitMs = lastStartMs + SERVER.batchIntervalMs - deps.clock.monotonicMs();
    timer = deps.clock.setTimer(Math.max(0, waitMs), () => {
      timer = null;
      void write();
    });
  }

  async function write(): Promise<void> {
    const batch = queue.shift();
    if (batch === undefined) return;
    writing = true;
    lastStartMs = deps.clock.monotonicMs();
    try {
      if (batch.events.length > 0) {
        const firstSeq = nextSeq;
        nextSeq += batch.events.length;
        await deps.journal.append({ firstSeq, events: batch.events }, deps.term);
        samples.push(deps.clock.monotonicMs() - lastStartMs);
        if (samples.length > SAMPLES) samples.shift();
      }
    } catch (error) {
      failed = true;
      deps.onFatal(error instanceof HyperpilotError ? error : writeError(error));
      return;
    }
    pendingEvents -= batch.events.length;
    for (const run of batch.effects) run();
    writing = false;
    schedule();
    if (queue.length === 0) for (const resolve of waiters.splice(0)) resolve();
  }

  return {
    add,
    idle: () =>
      new Promise((resolve) => {
        if (!failed && !writing && queue.length === 0) resolve();
        else waiters.push(resolve);
      }),
    pendingEvents: () => pendingEvents,
    syncMsP99: () => p99(samples),
  };
}

function p99(samples: readonly number[]): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length * 0.99)] ?? 0;
}

function writeError(error: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_JOURNAL_WRITE",
      message: "The journal could not be written; the server stops.",
      why: errorText(error),
    },
    error,
  );
}
