/** The journal on LevelDB. The only importer of level. */
import { existsSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { Level } from "level";
import type { Clock, Timer } from "../../common/clock.ts";
import { type HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { HyperpilotEvent } from "../events.ts";
import { readHead, writeHead, type HeadToWrite } from "./head.ts";
import { fenced, locked, openFailed, writeFailed } from "./journal-errors.ts";
import type { Batch, Head, Journal } from "./journal.ts";
import {
  NO_HASH,
  brokenJournal,
  decodeRecord,
  encodeRecord,
  misfitOf,
  recordKey,
} from "./record.ts";

const EMPTY: Head = { seq: 0, hash: NO_HASH };

export interface LevelJournalOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** Called when the head file cannot be written: the caller must stop the process. */
  readonly onHeadFailed: (error: HyperpilotError) => void;
}

/**
 * Opens on `directory`/db with `directory`/head beside it. The head follows the records by at most 100 ms: a journal that
 * loses a tail younger than that to a broken disk is not noticed; one that loses it to a crash keeps it, because each record is
 * synced before it is acknowledged.
 */
export function createLevelJournal(options: LevelJournalOptions): Journal {
  return new LevelJournal(options);
}

class LevelJournal implements Journal {
  readonly #options: LevelJournalOptions;
  readonly #headFile: string;
  #db: Level<string, Uint8Array> | null = null;
  #term = 0;
  #head: Head = EMPTY;
  /** Hash and end of what was given to LevelDB, durable or not yet. */
  #tail: Head = EMPTY;
  #writtenSeq = -1;
  #timer: Timer | null = null;
  #writes: Promise<void> = Promise.resolve();
  /** Never rejects. */
  #headWrites: Promise<void> = Promise.resolve();
  #failure: HyperpilotError | null = null;

  constructor(options: LevelJournalOptions) {
    this.#options = options;
    this.#headFile = join(options.directory, "head");
  }

  async open(): Promise<{ term: number; head: Head }> {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    // Where a head is, LevelDB must not make a new database: it would remove the files that are left of the old one.
    const db = await openLevel(this.#options.directory, !existsSync(this.#headFile));
    try {
      const headFile = readHead(this.#headFile);
      await this.#checkTail(db, headFile);
      const term = (headFile?.term ?? 0) + 1;
      await saveHead(this.#headFile, { ...this.#head, term });
      this.#term = term;
    } catch (error) {
      await db.close();
      throw error;
    }
    this.#db = db;
    this.#writtenSeq = this.#head.seq;
    return { term: this.#term, head: this.#head };
  }

  /** The last record must not be before the head, and the record that ends at the head must have its hash. */
  async #checkTail(db: Level<string, Uint8Array>, head: Head | null): Promise<void> {
    let last: Head = EMPTY;
    for await (const [key, value] of entries(db, { reverse: true, limit: 1 })) {
      const record = decodeRecord(key, value, null);
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
      for await (const [key, value] of entries(db, {
        reverse: true,
        limit: 1,
        lte: recordKey(head.seq),
      })) {
        const record = decodeRecord(key, value, null);
        found = { seq: record.lastSeq, hash: record.hash };
      }
      if (found.seq !== head.seq || found.hash !== head.hash) {
        throw brokenJournal(head.seq, "its record is not the one that the head names");
      }
    }
    this.#head = last;
    this.#tail = last;
  }

  async *read(fromSeq: number): AsyncIterable<Batch> {
    // Taken before the iterator, which sees nothing that is appended later.
    const reach = this.#head.seq;
    let previous: string | null = fromSeq <= 1 ? NO_HASH : null;
    let expected = fromSeq <= 1 ? 1 : null;
    for await (const [key, value] of entries(this.#opened(), {
      gte: recordKey(await this.#startOf(fromSeq)),
    })) {
      const record = decodeRecord(key, value, previous);
      if (expected !== null && record.batch.firstSeq !== expected) {
        throw brokenJournal(expected, `the next record starts at ${record.batch.firstSeq}`);
      }
      if (record.lastSeq >= fromSeq) yield record.batch;
      previous = record.hash;
      expected = record.lastSeq + 1;
    }
    const reached = (expected ?? 1) - 1;
    if (reached < reach) {
      throw brokenJournal(reached + 1, `its records end there, but ${reach} were written`);
    }
  }

  /** First sequence number of the record that holds `seq`. */
  async #startOf(seq: number): Promise<number> {
    for await (const [key] of entries(this.#opened(), {
      reverse: true,
      limit: 1,
      lte: recordKey(Math.max(1, seq)),
    })) {
      return Number.parseInt(key, 16);
    }
    return seq;
  }

  async event(seq: number): Promise<HyperpilotEvent | undefined> {
    for await (const [key, value] of entries(this.#opened(), {
      reverse: true,
      limit: 1,
      lte: recordKey(seq),
    })) {
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
      await this.#opened().put(key, value, { sync: true });
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
        await writeHead(this.#headFile, { ...head, term: this.#term });
        this.#writtenSeq = head.seq;
      } catch (error) {
        this.#failure = writeFailed(head.seq, error);
        this.#options.onHeadFailed(this.#failure);
      }
    });
    return this.#headWrites;
  }

  async close(): Promise<void> {
    await this.#writes.catch(() => undefined);
    this.#timer?.cancel();
    this.#timer = null;
    if (this.#db !== null) await this.#followHead();
    const db = this.#db;
    this.#db = null;
    this.#term = -1;
    await db?.close();
  }

  #opened(): Level<string, Uint8Array> {
    if (this.#db === null) throw new Error("the journal is not open");
    return this.#db;
  }
}

async function openLevel(
  directory: string,
  createIfMissing: boolean,
): Promise<Level<string, Uint8Array>> {
  const db = new Level<string, Uint8Array>(join(directory, "db"), {
    keyEncoding: "utf8",
    valueEncoding: "view",
  });
  try {
    await db.open({ createIfMissing });
    return db;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (systemErrorCode(cause) === "LEVEL_LOCKED") {
      throw locked(directory, error);
    }
    const text = errorText(cause ?? error);
    if (NOT_ITS_FAULT.test(text)) throw openFailed(directory, error);
    throw brokenJournal(0, `LevelDB cannot open it: ${text}`, error);
  }
}

/** Failures of the machine under an intact journal: a person who is told to restore a backup then would lose results. */
const NOT_ITS_FAULT =
  /No space left|quota|Permission denied|Read-only file system|Too many open files/i;

/** Read from LevelDB in one go; bounds the memory of a start. */
const READ_AHEAD_BYTES = 1_048_576;

/** Entries of a range; a damaged table is a broken journal. */
async function* entries(
  db: Level<string, Uint8Array>,
  range: {
    readonly reverse?: boolean;
    readonly limit?: number;
    readonly gte?: string;
    readonly lte?: string;
  },
): AsyncGenerator<[string, Uint8Array]> {
  const iterator = db.iterator({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES });
  let reached = 0;
  try {
    for (;;) {
      const next = await iterator.nextv(1_000).catch((error: unknown) => {
        throw brokenJournal(
          reached + 1,
          `LevelDB cannot read it from there on: ${errorText(error)}`,
          error,
        );
      });
      const last = next.at(-1);
      if (last === undefined) return;
      reached = Number.parseInt(last[0], 16);
      yield* next;
    }
  } finally {
    await iterator.close();
  }
}

/** Writes the head of a journal that is being opened. Errors: E_JOURNAL_WRITE. */
async function saveHead(file: string, head: HeadToWrite): Promise<void> {
  try {
    await writeHead(file, head);
  } catch (error) {
    throw openFailed(dirname(file), error);
  }
}
