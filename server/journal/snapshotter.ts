/** Decides when snapshots are made, one at a time, beside everything else the server does. */
import type { Clock, Timer } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { Head, Journal } from "./journal.ts";
import { checkChain, makeSnapshot } from "./snapshot-thread.ts";

export interface SnapshotterDeps {
  readonly journal: Pick<Journal, "records">;
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Number of the last event. */
  readonly seq: () => number;
  /** Where the snapshot ends that this start began with; null: with none. */
  readonly startedFrom: Head | null;
  /** The journal is broken: the process must end. */
  readonly onBroken: (error: HyperpilotError) => void;
}

export interface Snapshotter {
  /** Ends what is under way. */
  stop(): Promise<void>;
}

/**
 * Checks the records before the snapshot that the start began with, once, then makes a snapshot whenever enough events have
 * come since the last. A snapshot that cannot be made is no fault of the journal: it is logged, and tried again later.
 */
export function startSnapshotter(deps: SnapshotterDeps): Snapshotter {
  const stopping = new AbortController();
  let lastSeq = deps.startedFrom?.seq ?? 0;
  let timer: Timer | null = null;
  let work: Promise<void> = checkOnce();

  async function checkOnce(): Promise<void> {
    const { startedFrom, journal, log, onBroken } = deps;
    if (startedFrom === null) return;
    try {
      await checkChain(journal, startedFrom, stopping.signal);
      log.info("journalChecked", { untilSeq: startedFrom.seq });
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (error instanceof HyperpilotError) onBroken(error);
      else log.error("journalNotChecked", { error: errorText(error) });
    }
  }

  async function make(): Promise<void> {
    const { journal, directory, log, clock, onBroken } = deps;
    const startMs = clock.monotonicMs();
    try {
      const { seq, sizeBytes, skipped } = await makeSnapshot(journal, directory, stopping.signal);
      for (const { path, why } of skipped) log.warn("snapshotPassedOver", { path, why });
      lastSeq = seq;
      log.info("snapshot", {
        seq,
        sizeBytes,
        milliseconds: Math.round(clock.monotonicMs() - startMs),
      });
    } catch (error) {
      if (stopping.signal.aborted) return;
      if (error instanceof HyperpilotError && error.code === "E_JOURNAL_BROKEN") onBroken(error);
      else log.error("snapshotFailed", { error: errorText(error) });
    }
  }

  function schedule(): void {
    if (stopping.signal.aborted) return;
    timer = deps.clock.setTimer(SERVER.snapshotIntervalMs, () => {
      const isDue = deps.seq() - lastSeq >= SERVER.snapshotEvents;
      work = work.then(() => (isDue ? make() : undefined));
      void work.then(schedule);
    });
  }
  schedule();

  return {
    async stop() {
      stopping.abort(new Error("the server is stopping"));
      timer?.cancel();
      await work;
    },
  };
}
