/** Rebuilds the core: from the newest good snapshot and the journal after it, or from all of the journal. */
import { errorText } from "../protocol/errors.ts";
import { replay } from "./apply.ts";
import { createCore, type Core } from "./core.ts";
import type { Disk } from "./disk.ts";
import { brokenJournal } from "./journal/journal-errors.ts";
import type { Head, Journal } from "./journal/journal.ts";
import { newestSnapshot, type SkippedSnapshot } from "./journal/snapshots.ts";

export interface Restored {
  readonly core: Core;
  /** To append with. */
  readonly term: number;
  /** Where the snapshot ends that was used; null: none was. */
  readonly startedFrom: Head | null;
  /** Snapshots that could not be used. */
  readonly skipped: readonly SkippedSnapshot[];
}

export interface SnapshotPlace {
  readonly disk: Disk;
  readonly directory: string;
}

/** Opens the journal and brings the core up to its end. Errors: E_JOURNAL_BROKEN, E_JOURNAL_VERSION, E_JOURNAL_LOCKED. */
export async function restore(journal: Journal, place?: SnapshotPlace): Promise<Restored> {
  const { term, head } = await journal.open();
  const { snapshot, skipped } =
    place === undefined
      ? { snapshot: null, skipped: [] }
      : await newestSnapshot(place.disk, place.directory);
  const core = snapshot?.core ?? createCore();
  const startedFrom = snapshot === null ? null : { seq: core.seq, hash: snapshot.hash };
  if (startedFrom !== null) checkReach(startedFrom, head);
  for await (const batch of journal.read(core.seq + 1, snapshot?.hash)) {
    if (batch.firstSeq !== core.seq + 1)
      throw brokenJournal(core.seq + 1, `the next record starts at ${batch.firstSeq}`);
    for (const event of batch.events) {
      try {
        replay(core, event);
      } catch (error) {
        throw brokenJournal(core.seq, errorText(error), error);
      }
    }
  }
  if (core.seq < head.seq)
    throw brokenJournal(core.seq + 1, `its head says that ${head.seq} events were written`);
  for (const task of core.tasks.values()) task.ready.compact(({ state }) => state === "ready");
  return { core, term, startedFrom, skipped };
}

/** A snapshot is made from records on disk: a journal that does not reach it has lost them. */
function checkReach(snapshot: Head, head: Head): void {
  if (head.seq < snapshot.seq)
    throw brokenJournal(
      head.seq + 1,
      `it ends after event ${head.seq}, but a snapshot was made after ${snapshot.seq}`,
    );
  if (head.seq === snapshot.seq && head.hash !== snapshot.hash)
    throw brokenJournal(head.seq, "its record is not the one that its snapshot was made from");
}
