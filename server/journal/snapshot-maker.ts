/** Makes a snapshot from the one before it and the records since then, wherever those come from: the living core is not touched. */
import { replay } from "../apply.ts";
import { createCore, type Core } from "../core.ts";
import type { Disk } from "../disk.ts";
import { brokenJournal } from "./journal-errors.ts";
import { NO_HASH, decodeRecord, openRecord } from "./record.ts";
import type { StoredRecord } from "./record-store.ts";
import { newestSnapshot, writeSnapshot, type SkippedSnapshot } from "./snapshots.ts";

export interface SnapshotMade {
  readonly seq: number;
  readonly sizeBytes: number;
  readonly skipped: readonly SkippedSnapshot[];
}

/** Takes records in order, and does something with all of them at the end. */
export interface RecordTaker<T> {
  /** The first event that is wanted. */
  readonly fromSeq: number;
  /** Errors: E_JOURNAL_BROKEN, E_JOURNAL_VERSION. */
  take(record: StoredRecord): void;
  finish(): Promise<T>;
}

export async function startSnapshot(
  disk: Disk,
  directory: string,
): Promise<RecordTaker<SnapshotMade>> {
  const { snapshot, skipped } = await newestSnapshot(disk, directory);
  const core: Core = snapshot?.core ?? createCore();
  let hash = snapshot?.hash ?? NO_HASH;
  return {
    fromSeq: core.seq + 1,
    take([key, value]) {
      const record = decodeRecord(key, value, hash);
      if (record.batch.firstSeq !== core.seq + 1)
        throw brokenJournal(core.seq + 1, `the next record starts at ${record.batch.firstSeq}`);
      for (const event of record.batch.events) replay(core, event);
      hash = record.hash;
    },
    async finish() {
      const { seq, sizeBytes } = await writeSnapshot(disk, directory, { core, hash });
      return { seq, sizeBytes, skipped };
    },
  };
}

/** Checks the chain from the first event up to a snapshot that a start took at its word. */
export function startChainCheck(until: {
  readonly seq: number;
  readonly hash: string;
}): RecordTaker<number> {
  let seq = 0;
  let hash = NO_HASH;
  return {
    fromSeq: 1,
    take([key, value]) {
      if (seq >= until.seq) return;
      const record = openRecord(key, value, hash);
      if (record.firstSeq !== seq + 1)
        throw brokenJournal(seq + 1, `the next record starts at ${record.firstSeq}`);
      ({ hash, lastSeq: seq } = record);
    },
    finish() {
      if (seq !== until.seq || hash !== until.hash)
        throw brokenJournal(seq, "its records are not those that its snapshot was made from");
      return Promise.resolve(seq);
    },
  };
}
