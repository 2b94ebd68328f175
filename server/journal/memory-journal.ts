/** The journal in memory, with the same chain: for tests and the simulator, with faults on demand. */
import type { HyperpilotError } from "../../protocol/errors.ts";
import type { HyperpilotEvent } from "../events.ts";
import { brokenJournal, fenced, writeFailed } from "./journal-errors.ts";
import type { Batch, Head, Journal } from "./journal.ts";
import {
  NO_HASH,
  decodeRecord,
  encodeRecord,
  misfitOf,
  openRecord,
  type EncodedRecord,
} from "./record.ts";

/** What survives a restart; share it between two journals to restart. */
export interface MemoryDisk {
  readonly records: EncodedRecord[];
  term: number;
}

export function createMemoryDisk(): MemoryDisk {
  return { records: [], term: 0 };
}

export interface MemoryJournalOptions {
  readonly disk?: MemoryDisk;
  /** Called before each append; throws to make it fail. */
  readonly beforeAppend?: (batch: Batch) => void | Promise<void>;
}

export function createMemoryJournal(options: MemoryJournalOptions = {}): Journal {
  const disk = options.disk ?? createMemoryDisk();
  let tail = headOf(disk);
  let failure: HyperpilotError | null = null;
  let writes: Promise<void> = Promise.resolve();

  async function write(record: EncodedRecord, batch: Batch, term: number): Promise<void> {
    if (failure !== null) throw failure;
    if (term !== disk.term) throw fenced(term, disk.term);
    try {
      await options.beforeAppend?.(batch);
    } catch (error) {
      failure = writeFailed(batch.firstSeq, error);
      throw failure;
    }
    disk.records.push(record);
  }

  return {
    open: () => {
      disk.term += 1;
      tail = headOf(disk);
      return Promise.resolve({ term: disk.term, head: tail });
    },
    async *read(fromSeq, previousHash) {
      let previous = NO_HASH;
      for (const { key, value } of [...disk.records]) {
        const { batch, hash, lastSeq } = decodeRecord(key, value, previous);
        if (previousHash !== undefined && batch.firstSeq === fromSeq && previous !== previousHash)
          throw brokenJournal(fromSeq, "its record does not follow the one before (hash chain)");
        previous = hash;
        if (lastSeq >= fromSeq) yield await Promise.resolve(batch);
      }
    },
    async *records(fromSeq) {
      for (const { key, value } of [...disk.records]) {
        const { lastSeq } = openRecord(key, value, null);
        if (lastSeq >= fromSeq) yield await Promise.resolve([key, value] as const);
      }
    },
    event: (seq) => {
      for (const { key, value } of disk.records) {
        const { batch, lastSeq } = decodeRecord(key, value, null);
        if (seq >= batch.firstSeq && seq <= lastSeq)
          return Promise.resolve(batch.events[seq - batch.firstSeq]);
      }
      return Promise.resolve<HyperpilotEvent | undefined>(undefined);
    },
    append: (batch, term) => {
      if (term !== disk.term) return Promise.reject(fenced(term, disk.term));
      if (failure !== null) return Promise.reject(failure);
      const misfit = misfitOf(batch, tail.seq);
      if (misfit !== null) return Promise.reject(misfit);
      const record = encodeRecord(batch, tail.hash);
      tail = { seq: batch.firstSeq + batch.events.length - 1, hash: record.hash };
      writes = writes.then(() => write(record, batch, term));
      return writes;
    },
    close: () => writes.catch(() => undefined),
  };
}

function headOf(disk: MemoryDisk): Head {
  const last = disk.records.at(-1);
  if (last === undefined) return { seq: 0, hash: NO_HASH };
  const { lastSeq, hash } = openRecord(last.key, last.value, null);
  return { seq: lastSeq, hash };
}
