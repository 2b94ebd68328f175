/**
 * A journal whose records reach the disk a while after they were written: a crash takes back what was not synced, or leaves more
 * than was acknowledged. Reading, chain and fencing are those of the journal in memory.
 */
import type { HyperpilotError } from "../../protocol/errors.ts";
import type { Batch, Journal } from "../../server/journal/journal.ts";
import { fenced, writeFailed } from "../../server/journal/journal-errors.ts";
import {
  createMemoryDisk,
  createMemoryJournal,
  type MemoryDisk,
} from "../../server/journal/memory-journal.ts";
import {
  decodeRecord,
  encodeRecord,
  misfitOf,
  NO_HASH,
  type EncodedRecord,
} from "../../server/journal/record.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** What becomes of the one write that a disk fault hits. */
export type WriteFault = "nothingWritten" | "partWritten" | "allWritten";

/** The disk under the server: outlives its processes. */
export class StableDisk {
  readonly memory: MemoryDisk = createMemoryDisk();
  /** Written, not synced, oldest first. */
  unsynced: EncodedRecord[] = [];
  /** The next write but this many fails. */
  fault: { writesLeft: number; readonly kind: WriteFault; readonly code: string } | null = null;
  /** Springs while the next write but this many is on its way to the disk. */
  trap: { writesLeft: number; readonly spring: () => void } | null = null;
  /** Milliseconds that a sync takes at most. */
  syncMsMax = 20;
  /** Told of each record once it is on disk, whoever gets to know of it. */
  onDurable: (batch: Batch) => void = () => undefined;

  /** Records that a backup holds, and when it was made (wall clock). */
  backup: { readonly records: number; readonly events: number; readonly atMs: number } | null =
    null;
  /** The journal was put back to a backup, and no server has started on it yet. */
  isRestored = false;

  /** Copies the journal as it is on disk now. */
  takeBackup(atMs: number): void {
    this.backup = { records: this.memory.records.length, events: this.syncedSeq, atMs };
  }

  /** Puts the copy in the place of the journal. Returns the events that it holds. */
  restoreBackup(): number {
    if (this.backup === null) throw new Error("there is no backup");
    this.memory.records.length = this.backup.records;
    this.isRestored = true;
    return this.backup.events;
  }

  /** Puts the oldest unsynced record on disk for good. */
  sync(): void {
    const record = this.unsynced.shift();
    if (record === undefined) return;
    this.memory.records.push(record);
    this.onDurable(decodeRecord(record.key, record.value, null).batch);
  }

  /**
   * The machine has lost its power, or the process was killed: of what was not synced a part is there, perhaps. Returns how many
   * records of it are.
   */
  crash(random: Random): number {
    const kept = random.chance(0.5) ? 0 : random.below(this.unsynced.length + 1);
    for (let index = 0; index < kept; index += 1) this.sync();
    // A record of which only a part was written is no record: the store drops it when it is opened.
    this.unsynced = [];
    this.fault = null;
    this.trap = null;
    return kept;
  }

  get syncedSeq(): number {
    const last = this.memory.records.at(-1);
    return last === undefined ? 0 : decodeRecord(last.key, last.value, null).lastSeq;
  }
}

export function createStableJournal(disk: StableDisk, process: Process, random: Random): Journal {
  const memory = createMemoryJournal({ disk: disk.memory });
  let tail = { seq: 0, hash: NO_HASH };
  let failure: HyperpilotError | null = null;
  let lastSyncMs = 0;
  let last: Promise<unknown> = Promise.resolve();

  function write(record: EncodedRecord, batch: Batch): Promise<void> {
    const { fault } = disk;
    const fails = fault !== null && fault.writesLeft <= 0;
    if (fault !== null) fault.writesLeft -= 1;
    if (!fails || fault.kind === "allWritten") disk.unsynced.push(record);
    const nowMs = process.clock.monotonicMs();
    lastSyncMs = Math.max(lastSyncMs, nowMs + random.between(0.1, disk.syncMsMax));
    const { trap } = disk;
    if (trap !== null && (trap.writesLeft -= 1) < 0) {
      disk.trap = null;
      process.after(random.between(0, lastSyncMs - nowMs), trap.spring);
    }
    return new Promise((resolve, reject) => {
      process.after(lastSyncMs - nowMs, () => {
        if (failure !== null) return reject(failure);
        if (!fails) {
          disk.sync();
          return resolve();
        }
        // What a failed write has left is on disk or not; nobody is told that it is.
        if (fault.kind === "allWritten" && random.chance(0.5)) disk.sync();
        disk.unsynced = [];
        disk.fault = null;
        failure = writeFailed(batch.firstSeq, new Error(`${fault.code}: write`));
        reject(failure);
      });
    });
  }

  return {
    ...memory,
    open: async () => {
      disk.unsynced = [];
      const opened = await memory.open();
      tail = { ...opened.head };
      return opened;
    },
    append: (batch, term) => {
      if (term !== disk.memory.term) return Promise.reject(fenced(term, disk.memory.term));
      if (failure !== null) return Promise.reject(failure);
      const misfit = misfitOf(batch, tail.seq);
      if (misfit !== null) return Promise.reject(misfit);
      const record = encodeRecord(batch, tail.hash);
      tail = { seq: batch.firstSeq + batch.events.length - 1, hash: record.hash };
      const written = write(record, batch);
      last = written.catch(() => undefined);
      return written;
    },
    close: () => last.then(() => undefined),
  };
}
