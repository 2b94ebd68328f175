/** The journal on LevelDB. The only importer of level. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Level } from "level";
import type { Clock, Timer } from "../../common/clock.ts";
import { HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { HyperpilotEvent } from "../events.ts";
import { readHead, writeHead } from "./head.ts";
import type { Batch, Head, Journal } from "./journal.ts";
import { NO_HASH, brokenJournal, decodeRecord, encodeRecord, recordKey } from "./record.ts";

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
  #failure: HyperpilotError | null = null;

  constructor(options: LevelJournalOptions) {
    this.#options = options;
    this.#headFile = join(options.directory, "head");
  }

  async open(): Promise<{ term: number; head: Head }> {
    mkdirSync(this.#options.directory, { recursive: true, mode: 0o700 });
    const headFile = readHead(this.#headFile);
    const db = await openLevel(this.#options.directory);
    this.#db = db;
    try {
      await this.#checkTail(db, headFile);
    } catch (error) {
      await db.close();
      this.#db = null;
      throw error;
    }
    this.#term = (headFile?.term ?? 0) + 1;
    this.#writeHead();
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
      throw brokenJournal(last.seq + 1, `it ends after event ${last.seq}, but its head says ${head.seq} were written`);
    }
    if (head !== null && head.seq > 0) {
      for await (const [key, value] of entries(db, { reverse: true, limit: 1, lte: recordKey(head.seq) })) {
        const record = decodeRecord(key, value, null);
        if (record.lastSeq !== head.seq || record.hash !== head.hash) {
          throw brokenJournal(head.seq, "its record is not the one that the head names");
        }
      }
    }
    this.#head = last;
    this.#tail = last;
  }

  async *read(fromSeq: number): AsyncIterable<Batch> {
    let previous: string | null = fromSeq <= 1 ? NO_HASH : null;
    let expected = fromSeq <= 1 ? 1 : null;
    for await (const [key, value] of entries(this.#opened(), { gte: recordKey(await this.#startOf(fromSeq)) })) {
      const record = decodeRecord(key, value, previous);
      if (expected !== null && record.batch.firstSeq !== expected) {
        throw brokenJournal(expected, `the next record starts at ${record.batch.firstSeq}`);
      }
      yield record.batch;
      previous = record.hash;
      expected = record.lastSeq + 1;
    }
    const reached = (expected ?? 1) - 1;
    if (reached < this.#head.seq) {
      throw brokenJournal(reached + 1, `its records end there, but ${this.#head.seq} were written`);
    }
  }

  /** First sequence number of the record that holds `seq`. */
  async #startOf(seq: number): Promise<number> {
    for await (const [key] of entries(this.#opened(), { reverse: true, limit: 1, lte: recordKey(Math.max(1, seq)) })) {
      return Number.parseInt(key, 16);
    }
    return seq;
  }

  async event(seq: number): Promise<HyperpilotEvent | undefined> {
    for await (const [key, value] of entries(this.#opened(), { reverse: true, limit: 1, lte: recordKey(seq) })) {
      const { batch } = decodeRecord(key, value, null);
      return batch.events[seq - batch.firstSeq];
    }
    return undefined;
  }

  append(batch: Batch, term: number): Promise<void> {
    if (term !== this.#term) return Promise.reject(fenced(term, this.#term));
    if (this.#failure !== null) return Promise.reject(this.#failure);
    if (batch.firstSeq !== this.#tail.seq + 1) {
      return Promise.reject(new Error(`batch starts at ${batch.firstSeq}, the journal ends at ${this.#tail.seq}`));
    }
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
      this.#tryWriteHead();
    });
  }

  #tryWriteHead(): void {
    if (this.#failure !== null) return;
    try {
      this.#writeHead();
    } catch (error) {
      this.#failure = writeFailed(this.#head.seq, error);
      this.#options.onHeadFailed(this.#failure);
    }
  }

  #writeHead(): void {
    if (this.#writtenSeq === this.#head.seq) return;
    writeHead(this.#headFile, { ...this.#head, term: this.#term });
    this.#writtenSeq = this.#head.seq;
  }

  async close(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = null;
    await this.#writes.catch(() => undefined);
    this.#tryWriteHead();
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

async function openLevel(directory: string): Promise<Level<string, Uint8Array>> {
  const db = new Level<string, Uint8Array>(join(directory, "db"), { keyEncoding: "utf8", valueEncoding: "view" });
  try {
    await db.open();
    return db;
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined;
    if (systemErrorCode(cause) === "LEVEL_LOCKED") {
      throw new HyperpilotError(
        {
          code: "E_JOURNAL_LOCKED",
          message: `Another server uses ${directory}.`,
          remedy: "Stop it first, or start this one with another --data directory.",
        },
        error,
      );
    }
    throw brokenJournal(0, `LevelDB cannot open it: ${errorText(cause ?? error)}`, error);
  }
}

/** Entries of a range; a damaged table is a broken journal. */
async function* entries(
  db: Level<string, Uint8Array>,
  range: { readonly reverse?: boolean; readonly limit?: number; readonly gte?: string; readonly lte?: string },
): AsyncGenerator<[string, Uint8Array]> {
  const iterator = db.iterator(range);
  try {
    for (;;) {
      const next = await iterator.nextv(1_000).catch((error: unknown) => {
        throw brokenJournal(0, `LevelDB cannot read it: ${errorText(error)}`, error);
      });
      if (next.length === 0) return;
      yield* next;
    }
  } finally {
    await iterator.close();
  }
}

function fenced(term: number, current: number): HyperpilotError {
  return new HyperpilotError({
    code: "E_FENCED",
    message: `A writer of term ${term} was refused; the journal is at term ${current}.`,
    why: "A newer server has taken the journal over.",
    remedy: "Stop this server.",
  });
}

function writeFailed(seq: number, cause: unknown): HyperpilotError {
  const detail = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : errorText(cause);
  return new HyperpilotError(
    {
      code: "E_JOURNAL_WRITE",
      message: `The journal could not be written at event ${seq}; the server stops.`,
      why: detail,
      remedy:
        "Nothing that was acknowledged is lost. Free space or repair the disk under the data directory, then start the server again: pilots come back by themselves.",
    },
    cause,
  );
}
