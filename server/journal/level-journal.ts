/** The journal on LevelDB. The only importer of level. */
import { join } from "node:path";
import { Level } from "level";
import type { Clock } from "../../common/clock.ts";
import { type HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";
import { systemDisk } from "../system-disk.ts";
import { createChainedJournal } from "./chained-journal.ts";
import { brokenJournal, locked, openFailed } from "./journal-errors.ts";
import type { Journal } from "./journal.ts";
import type { RecordRange, RecordStore, StoredRecord } from "./record-store.ts";

export interface LevelJournalOptions {
  readonly directory: string;
  readonly clock: Clock;
  /** Called when the head file cannot be written: the caller must stop the process. */
  readonly onHeadFailed: (error: HyperpilotError) => void;
}

/** Opens on `directory`/db with `directory`/head beside it. */
export function createLevelJournal(options: LevelJournalOptions): Journal {
  return createChainedJournal({
    ...options,
    store: createLevelStore(options.directory),
    disk: systemDisk,
  });
}

/** Records below `directory`/db, each write synced. */
export function createLevelStore(directory: string): RecordStore {
  let opened: Level<string, Uint8Array> | null = null;
  const database = (): Level<string, Uint8Array> => {
    if (opened === null) throw new Error("the journal is not open");
    return opened;
  };
  return {
    async open({ createIfMissing }) {
      opened = await openLevel(directory, createIfMissing);
    },
    put: (key, value) => database().put(key, value, { sync: true }),
    putMany: (records) =>
      database().batch(
        records.map(([key, value]) => ({ type: "put", key, value })),
        { sync: true },
      ),
    entries: (range) => entries(database(), range),
    async close() {
      const db = opened;
      opened = null;
      await db?.close();
    },
  };
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

/** Read from LevelDB in one go: bounds the memory of a start, and for how long a read beside a running server holds it up. */
const READ_AHEAD_BYTES = 131_072;

/** Entries of a range; a damaged table is a broken journal. */
async function* entries(
  db: Level<string, Uint8Array>,
  range: RecordRange,
): AsyncGenerator<StoredRecord> {
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
