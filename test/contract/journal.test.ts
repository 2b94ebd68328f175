import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { createMemoryDisk, createMemoryJournal } from "../../server/journal/memory-journal.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";
import { batchOf, describeJournal, readAll } from "./suites/journal-suite.ts";

describeJournal("memory", () => {
  const disk = createMemoryDisk();
  return { create: () => createMemoryJournal({ disk }), remove: () => Promise.resolve() };
});

describeJournal("level", () => {
  const directory = temporaryDirectory();
  return { create: () => levelJournal(directory.path), remove: () => directory.remove() };
});

function levelJournal(directory: string): Journal {
  const onHeadFailed = (error: Error) => {
    throw error;
  };
  return createLevelJournal({ directory, clock: systemClock, onHeadFailed });
}

describe("journal: memory, its faults", () => {
  it("refuses everything after one failed append", async () => {
    const disk = createMemoryDisk();
    const journal = createMemoryJournal({
      disk,
      beforeAppend: ({ firstSeq }) => {
        if (firstSeq === 2) throw new Error("disk full");
      },
    });
    const { term } = await journal.open();
    const appends = [1, 2, 3].map((seq) => journal.append(batchOf(seq, 1), term));
    await appends[0];
    await assert.rejects(appends[1]!, { code: "E_JOURNAL_WRITE", why: "disk full" });
    await assert.rejects(appends[2]!, { code: "E_JOURNAL_WRITE" });
    await assert.rejects(journal.append(batchOf(4, 1), term), { code: "E_JOURNAL_WRITE" });
    const { head } = await createMemoryJournal({ disk }).open();
    assert.equal(head.seq, 1);
  });

  it("fences a writer that is still there when another one opens", async () => {
    const disk = createMemoryDisk();
    const old = createMemoryJournal({ disk });
    const { term } = await old.open();
    const inFlight = old.append(batchOf(1, 1), term);
    await createMemoryJournal({ disk }).open();
    await assert.rejects(inFlight, { code: "E_FENCED" });
    await assert.rejects(old.append(batchOf(2, 1), term), { code: "E_FENCED" });
  });
});

describe("journal: level, its directory", () => {
  let directory: TemporaryDirectory;
  let journal: Journal;
  beforeEach(() => {
    directory = temporaryDirectory();
    journal = levelJournal(directory.path);
  });
  afterEach(async () => {
    await journal.close();
    await directory.remove();
  });

  const headFile = () => join(directory.path, "head");
  const headSeq = () => (JSON.parse(readFileSync(headFile(), "utf8")) as { seq: number }).seq;

  it("belongs to one journal at a time, and says which directory and what to do", async () => {
    await journal.open();
    await assert.rejects(levelJournal(directory.path).open(), (error: unknown) => {
      const { code, message, remedy } = error as Record<string, string>;
      assert.equal(code, "E_JOURNAL_LOCKED");
      assert.ok(message?.includes(directory.path));
      assert.match(remedy ?? "", /Stop it first/);
      return true;
    });
  });

  it("is free again after a failed start", async () => {
    await journal.open();
    await journal.close();
    writeFileSync(headFile(), "not JSON");
    await assert.rejects(levelJournal(directory.path).open(), { code: "E_JOURNAL_BROKEN" });
    rmSync(headFile());
    await journal.open();
  });

  it("may be opened again by the same journal", async () => {
    const first = await journal.open();
    await journal.append(batchOf(1, 1), first.term);
    await journal.close();
    const second = await journal.open();
    assert.equal(second.term, 2);
    assert.equal(second.head.seq, 1);
    await journal.close();
    assert.equal((await journal.open()).term, 3);
  });

  it("has a head that follows the records by itself", async () => {
    const { term } = await journal.open();
    assert.equal(headSeq(), 0);
    await journal.append(batchOf(1, 7), term);
    const begun = performance.now();
    await waitUntil("the head names the record", () => headSeq() === 7, { intervalMs: 5 });
    assert.ok(performance.now() - begun < SERVER.headIntervalMs + 1_000);
    await journal.append(batchOf(8, 1), term);
    await journal.close();
    assert.equal(headSeq(), 8);
  });

  it("keeps a record as large as a batch may be", async () => {
    const { term } = await journal.open();
    await journal.append(batchOf(1, SERVER.eventsPerBatchMax), term);
    await journal.close();
    await journal.open();
    assert.equal((await readAll(journal))[0]?.events.length, SERVER.eventsPerBatchMax);
  });
});
