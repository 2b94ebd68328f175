/** The journal on any store of records: chain, head file, fencing, and the end at the first failed write. */
import { dirname, join } from "node:path";
import type { Clock, Timer } from "../../common/clock.ts";
import type { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { Disk } from "../disk.ts";
import type { HyperpilotEvent } from "../events.ts";
import { readHead, writeHead, type HeadToWrite } from "./head.ts";
import { brokenJournal, fenced, openFailed, writeFailed } from "./journal-errors.ts";
import type { Batch, Head, Journal } from "./journal.ts";
import { NO_HASH, decodeRecord, encodeRecord, misfitOf, openRecord, recordKey } from "./record.ts";
import type { RecordStore, StoredRecord } from "./record-store.ts";

const EMPTY: Head = { seq: 0, hash: NO_HASH };

export interface ChainedJournalOptions {
  readonly store: RecordStore;
  readonly disk: Disk;
  /** Where the file `head` is. */
  readonly directory: string;
  readonly clock: Clock;
  /** Called when the head file cannot be written: the caller must stop the process. */
  readonly onHeadFailed: (error: HyperpilotError) => void;
}

/**
 * The head follows the records by at most 100 ms: a journal that loses a tail younger than that to a broken disk is not noticed;
 * one that loses it to a crash keeps it, because each record is synced before it is acknowledged.
 */
export function createChainedJournal(options: ChainedJournalOptions): Journal {
  return new ChainedJournal(options);
}

class ChainedJournal implements Journal {
  readonly #options: ChainedJournalOptions;
  readonly #headFile: string;
  #isOpen = false;
  #term = 0;
  #head: Head = EMPTY;
  /** Hash and end of what was given to the store, durable or not yet. */
  #tail: Head = EMPTY;
  #writtenSeq = -1;
  #timer: Timer | null = null;
  #writes: Promise<void> = Promise.resolve();
  /** Never rejects. */
  #headWrites: Promise<void> = Promise.resolve();
  #failure: HyperpilotError | null = null;

  constructor(options: ChainedJournalOptions) {
    this.#options = options;
    this.#headFile = join(options.directory, "head");
  }

  async open(): Promise<{ term: number; head: Head }> {
    const { store, disk } = this.#options;
    await this.#makeDirectory();
    // Where a head is, the store must not be made anew: it would remove the files that are left of the old one.
    await store.open({ createIfMissing: (await disk.sizeBytes(this.#headFile)) === null });
    try {
      const headFile = await readHead(disk, this.#headFile);
      await this.#checkTail(headFile);
      const term = (headFile?.term ?? 0) + 1;
      await this.#saveHead({ ...this.#head, term });
      this.#term = term;
    } catch (error) {
      await store.close();
      throw error;
    }
    this.#isOpen = true;
    this.#writtenSeq = this.#head.seq;
    return { term: this.#term, head: this.#head };
  }

  async #makeDirectory(): Promise<void> {
    const { disk, directory } = this.#options;
    try {
      await disk.makeDirectory(directory);
      // The name of a new directory is as easily lost as its files.
      await disk.syncDirectory(dirname(directory));
    } catch (error) {
      throw openFailed(directory, error);
    }
  }

  /** The last record must not be before the head, and the record that ends at the head must have its hash. */
  async #checkTail(head: Head | null): Promise<void> {
    const { store } = this.#options;
    let last: Head = EMPTY;
    for await (const [key, value] of store.entries({ reverse: true, limit: 1 })) {
      const record = openRecord(key, value, null);
      last = { seq: record.lastSeq, hash: record.hash };
    }
    if (head === null && last.seq > 0) throw brokenJournal(last.seq, "its head file is missing");
    if (head !== null && last.seq < head.seq) {
      throw brokenJournal(
        last.seq + 1,
        `it ends after event ${last.seq}, but its head says ${head.seq} were written`,
      );
    }
    if (head !== null && head.seq > 0) {
      let found: Head = EMPTY;
      const range = { reverse: true, limit: 1, lte: recordKey(head.seq) };
      for await (const [key, value] of store.entries(range)) {
        const record = openRecord(key, value, null);
        found = { seq: record.lastSeq, hash: record.hash };
      }
      if (found.seq !== head.seq || found.hash !== head.hash) {
        throw brokenJournal(head.seq, "its record is not the one that the head names");
      }
    }
    this.#head = last;
    this.#tail = last;
  }

  async *read(fromSeq: number, previousHash: string | null = null): AsyncIterable<Batch> {
    let previous = fromSeq <= 1 ? NO_HASH : previousHash;
    let expected = fromSeq <= 1 || previous !== null ? Math.max(1, fromSeq) : null;
    // Taken before the iterator, which sees nothing that is appended later.
    const reach = this.#head.seq;
    for await (const [key, value] of this.records(fromSeq)) {
      const record = decodeRecord(key, value, previous);
      if (expected !== null && record.batch.firstSeq !== expected) {
        throw brokenJournal(expected, `the next record starts at ${record.batch.firstSeq}`);
      }
      if (record.lastSeq >= fromSeq) yield record.batch;
      previous = record.hash;
      expected = record.lastSeq + 1;
    }
    const reached = expected === null ? Math.min(reach, fromSeq - 1) : expected - 1;
    if (reached < reach) {
      throw brokenJournal(reached + 1, `its records end there, but ${reach} were written`);
    }
  }

  async *records(fromSeq: number): AsyncIterable<StoredRecord> {
    yield* this.#store().entries({ gte: recordKey(await this.#startOf(fromSeq)) });
  }

  /** First sequence number of the record that holds `seq`. */
  async #startOf(seq: number): Promise<number> {
    const range = { reverse: true, limit: 1, lte: recordKey(Math.max(1, seq)) };
    for await (const [key, value] of this.#store().entries(range)) {
      const { lastSeq } = openRecord(key, value, null);
      return lastSeq < seq ? lastSeq + 1 : Number.parseInt(key, 16);
    }
    return seq;
  }

  async event(seq: number): Promise<HyperpilotEvent | undefined> {
    const range = { reverse: true, limit: 1, lte: recordKey(seq) };
    for await (const [key, value] of this.#store().entries(range)) {
      const { batch } = decodeRecord(key, value, null);
      return batch.events[seq - batch.firstSeq];
    }
    return undefined;
  }

  append(batch: Batch, term: number): Promise<void> {
    if (term !== this.#term) return Promise.reject(fenced(term, this.#term));
    if (this.#failure !== null) return Promise.reject(this.#failure);
    const misfit = misfitOf(batch, this.#tail.seq);
    if (misfit !== null) return Promise.reject(misfit);
    const record = encodeRecord(batch, this.#tail.hash);
    const end: Head = { seq: batch.firstSeq + batch.events.length - 1, hash: record.hash };
    this.#tail = end;
    this.#writes = this.#writes.then(() => this.#write(record.key, record.value, end));
    return this.#writes;
  }

  async #write(key: string, value: Uint8Array, end: Head): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    try {
      await this.#store().put(key, value);
    } catch (error) {
      // After one failed append LevelDB acknowledges writes that it then loses: nothing more is written by this process.
      this.#failure = writeFailed(end.seq, error);
      throw this.#failure;
    }
    this.#head = end;
    this.#timer ??= this.#options.clock.setTimer(SERVER.headIntervalMs, () => {
      this.#timer = null;
      void this.#followHead();
    });
  }

  /** Brings the head file up to the records, one write at a time, beside the event loop. */
  #followHead(): Promise<void> {
    this.#headWrites = this.#headWrites.then(async () => {
      const head = this.#head;
      if (this.#failure !== null || this.#writtenSeq === head.seq) return;
      try {
        await writeHead(this.#options.disk, this.#headFile, { ...head, term: this.#term });
        this.#writtenSeq = head.seq;
      } catch (error) {
        this.#failure = writeFailed(head.seq, error);
        this.#options.onHeadFailed(this.#failure);
      }
    });
    return this.#headWrites;
  }

  /** Writes the head of a journal that is being opened. Errors: E_JOURNAL_WRITE. */
  async #saveHead(head: HeadToWrite): Promise<void> {
    const { disk, directory } = this.#options;
    try {
      await writeHead(disk, this.#headFile, head);
    } catch (error) {
      throw openFailed(directory, error);
    }
  }

  async close(): Promise<void> {
    await this.#writes.catch(() => undefined);
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#isOpen) await this.#followHead();
    this.#isOpen = false;
    this.#term = -1;
    await this.#options.store.close();
  }

  #store(): RecordStore {
    if (!this.#isOpen) throw new Error("the journal is not open");
    return this.#options.store;
  }
}
