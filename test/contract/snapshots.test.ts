import assert from "node:assert/strict";
import { readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { systemClock } from "../../common/clock.ts";
import { createLogger } from "../support/collected-log.ts";
import type { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import type { HyperpilotEvent } from "../../server/events.ts";
import { createChunkWriter, readChunks } from "../../server/journal/chunks.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { createMemoryJournal } from "../../server/journal/memory-journal.ts";
import { startSnapshot, type SnapshotMade } from "../../server/journal/snapshot-maker.ts";
import { checkChain, makeSnapshot } from "../../server/journal/snapshot-thread.ts";
import { startSnapshotter } from "../../server/journal/snapshotter.ts";
import { contentHashOf, listSnapshots, newestSnapshot } from "../../server/journal/snapshots.ts";
import { restore, type Restored } from "../../server/restore.ts";
import { systemDisk } from "../../server/system-disk.ts";
import { busyWorld } from "../support/busy-world.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const never = new AbortController().signal;

describe("snapshots", function () {
  this.timeout(30_000);
  let root: TemporaryDirectory;
  let directory: string;
  let snapshots: string;
  let events: readonly HyperpilotEvent[];
  let journal: Journal;
  let term: number;

  beforeEach(async () => {
    root = temporaryDirectory();
    directory = join(root.path, "journal");
    snapshots = join(directory, "snapshots");
    events = busyWorld().events;
    await open();
  });
  afterEach(async () => {
    await journal.close();
    await root.remove();
  });

  async function open(): Promise<number> {
    const onHeadFailed = (error: Error): never => {
      throw error;
    };
    journal = createLevelJournal({ directory, clock: systemClock, onHeadFailed });
    ({ term } = await journal.open());
    return term;
  }

  /** Appends the events from one number to another, three to a record. */
  async function append(fromSeq: number, toSeq: number): Promise<void> {
    for (let seq = fromSeq; seq <= toSeq; seq += 3) {
      const batch = events.slice(seq - 1, Math.min(toSeq, seq + 2));
      await journal.append({ firstSeq: seq, events: batch }, term);
    }
  }

  async function restart(): Promise<Restored> {
    await journal.close();
    const onHeadFailed = (error: Error): never => {
      throw error;
    };
    journal = createLevelJournal({ directory, clock: systemClock, onHeadFailed });
    const restored = await restore(journal, { disk: systemDisk, directory: snapshots });
    term = restored.term;
    return restored;
  }

  /** In this thread, which saves the start of another. */
  async function makeHere(): Promise<SnapshotMade> {
    const taker = await startSnapshot(systemDisk, snapshots);
    for await (const record of journal.records(taker.fromSeq)) taker.take(record);
    return taker.finish();
  }

  /** Two snapshots, after 30 and 60 events, and a tail. */
  async function twoSnapshots(): Promise<string[]> {
    await append(1, 30);
    assert.equal((await makeHere()).seq, 30);
    await append(31, 60);
    assert.equal((await makeHere()).seq, 60);
    await append(61, events.length);
    return (await listSnapshots(systemDisk, snapshots)).map(({ path }) => path);
  }

  async function wholeState(): Promise<string> {
    const whole = createMemoryJournal();
    const opened = await whole.open();
    await whole.append({ firstSeq: 1, events }, opened.term);
    const { core } = await restore(whole);
    return contentHashOf({ core, hash: "" });
  }

  async function assertSameState({ core }: Restored): Promise<void> {
    assert.equal(core.seq, events.length);
    assert.equal(contentHashOf({ core, hash: "" }), await wholeState());
  }

  it("let a start read only what came after the newest, with the same state as from the whole journal", async () => {
    await twoSnapshots();
    const restored = await restart();
    assert.equal(restored.startedFrom?.seq, 60);
    assert.deepEqual(restored.skipped, []);
    await assertSameState(restored);
  });

  it("are kept two at a time", async () => {
    await twoSnapshots();
    await makeSnapshot(journal, snapshots, never);
    const seqs = (await listSnapshots(systemDisk, snapshots)).map(({ seq }) => seq);
    assert.deepEqual(seqs, [events.length, 60]);
    assert.equal(readdirSync(snapshots).length, 2);
  });

  it("that are damaged are passed over: for the one before, then for the whole journal", async () => {
    const [newest = "", older = ""] = await twoSnapshots();
    flip(newest, 500);
    const second = await restart();
    assert.equal(second.startedFrom?.seq, 30);
    assert.match(second.skipped[0]?.why ?? "", /changed \(hash\)/);
    await assertSameState(second);
    writeFileSync(older, readFileSync(older).subarray(0, 700));
    const third = await restart();
    assert.equal(third.startedFrom, null);
    assert.equal(third.skipped.length, 2);
    assert.match(third.skipped[1]?.why ?? "", /ends before its end/);
    await assertSameState(third);
  });

  it("refuse every flipped byte", async () => {
    const [newest = "", older = ""] = await twoSnapshots();
    rmSync(older);
    const { length } = readFileSync(newest);
    for (let at = 0; at < length; at += Math.ceil(length / 60)) {
      flip(newest, at);
      const { snapshot, skipped } = await newestSnapshot(systemDisk, snapshots);
      assert.equal(snapshot, null, `byte ${at}`);
      assert.equal(skipped.length, 1);
      flip(newest, at);
    }
    assert.equal((await newestSnapshot(systemDisk, snapshots)).snapshot?.core.seq, 60);
  });

  it("of another program are passed over", async () => {
    const writer = createChunkWriter();
    const header = { form: "other", program: "9.9.9", seq: 1, hash: "0".repeat(64) };
    await append(1, events.length);
    await makeSnapshot(journal, snapshots, never);
    const [path = ""] = (await listSnapshots(systemDisk, snapshots)).map((file) => file.path);
    writeFileSync(path, Buffer.concat([writer.chunk(header), writer.end()]));
    const restored = await restart();
    assert.match(restored.skipped[0]?.why ?? "", /another program \(9\.9\.9/);
    await assertSameState(restored);
  });

  it("that the journal does not reach, or has other records for, stop the start", async () => {
    await twoSnapshots();
    const [newest = ""] = (await listSnapshots(systemDisk, snapshots)).map(({ path }) => path);
    await journal.close();
    const kept = readFileSync(newest);
    await root.remove();
    root = temporaryDirectory();
    directory = join(root.path, "journal");
    snapshots = join(directory, "snapshots");
    await open();
    await append(1, 45);
    await systemDisk.makeDirectory(snapshots);
    writeFileSync(join(snapshots, newest.slice(newest.lastIndexOf("/") + 1)), kept);
    await assert.rejects(restart(), {
      code: "E_JOURNAL_BROKEN",
      why: "it ends after event 45, but a snapshot was made after 60",
    });
    await journal.close();
    await open();
    for (let seq = 46; seq <= 70; seq += 1)
      await journal.append({ firstSeq: seq, events: events.slice(seq - 1, seq) }, term);
    await assert.rejects(restart(), { code: "E_JOURNAL_BROKEN", why: /hash chain/ });
  });

  it("leave the records before them to a check beside the running server, which notices damage", async () => {
    await twoSnapshots();
    const { startedFrom } = await restart();
    assert.ok(startedFrom !== null);
    await checkChain(journal, startedFrom, never);
    const other = { seq: startedFrom.seq, hash: "1".repeat(64) };
    await assert.rejects(checkChain(journal, other, never), { code: "E_JOURNAL_BROKEN" });
    const damaged: Pick<Journal, "records"> = {
      async *records(fromSeq) {
        for await (const [key, value] of journal.records(fromSeq)) {
          const copy = Buffer.from(value);
          if (Number.parseInt(key, 16) === 13) copy[150] = (copy[150] ?? 0) ^ 1;
          yield [key, copy] as const;
        }
      },
    };
    const broken: HyperpilotError[] = [];
    const log = createLogger();
    const deps = { directory: snapshots, clock: systemClock, log, seq: () => 0, startedFrom };
    const onBroken = (error: HyperpilotError): void => void broken.push(error);
    const snapshotter = startSnapshotter({ ...deps, journal: damaged, onBroken });
    await waitUntil("the damage is noticed", () => broken.length > 0);
    assert.equal(broken[0]?.code, "E_JOURNAL_BROKEN");
    assert.match(broken[0].message, /event 13/);
    await snapshotter.stop();
  });

  it("are made when enough events have come, and one that cannot be made is logged and tried again", async () => {
    await append(1, events.length);
    const clock = new FakeClock();
    const log = createLogger();
    let seq = SERVER.snapshotEvents - 1;
    const blocked = join(root.path, "file");
    writeFileSync(blocked, "");
    let place = join(blocked, "snapshots");
    const deps = { journal, clock, log, seq: () => seq, startedFrom: null };
    const snapshotter = startSnapshotter({
      ...deps,
      get directory() {
        return place;
      },
      onBroken: (error) => {
        throw error;
      },
    });
    const rounds = async (): Promise<void> => {
      await waitUntil("the next look is planned", () => clock.pendingTimers === 1);
      clock.advance(SERVER.snapshotIntervalMs);
    };
    await rounds();
    await rounds();
    assert.deepEqual(log.lines, []);
    seq += 1;
    await rounds();
    await waitUntil("the failure is logged", () => log.lines.includes("snapshotFailed"));
    place = snapshots;
    await rounds();
    await waitUntil("a snapshot is made", () => log.lines.includes("snapshot"));
    seq = events.length + SERVER.snapshotEvents - 1;
    await rounds();
    await waitUntil("the next look is planned", () => clock.pendingTimers === 1);
    assert.equal(log.lines.filter((line) => line === "snapshot").length, 1);
    await snapshotter.stop();
  });
});

describe("files of chunks", () => {
  async function read(bytes: Uint8Array): Promise<unknown[]> {
    const values: unknown[] = [];
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 7) pieces.push(bytes.subarray(at, at + 7));
    for await (const value of readChunks(Readable.from(pieces))) values.push(value);
    return values;
  }

  function written(values: readonly unknown[]): Uint8Array[] {
    const writer = createChunkWriter();
    return [...values.map((value) => writer.chunk(value)), writer.end()];
  }

  it("give back what was written", async () => {
    const values = [{ a: 1 }, ["points", 7], "x".repeat(1_000), null];
    assert.deepEqual(await read(Buffer.concat(written(values))), values);
  });

  it("are not taken when chunks were left out, doubled, swapped or added", async () => {
    const [one, two, three, end] = written([1, 2, 3]) as [Buffer, Buffer, Buffer, Buffer];
    for (const parts of [
      [two, three, end],
      [one, three, end],
      [one, one, two, three, end],
      [two, one, three, end],
      [one, two, three],
      [one, two, three, end, end],
      [],
    ]) {
      await assert.rejects(read(Buffer.concat(parts)), { name: "DamagedChunks" });
    }
  });

  it("announce no more than the bound", async () => {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(SERVER.chunkBytesMax + 1);
    await assert.rejects(read(length), /says that it has/);
    length.writeUInt32BE(SERVER.chunkBytesMax);
    await assert.rejects(read(length), /ends before its end/);
  });
});

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  writeFileSync(file, bytes);
}
