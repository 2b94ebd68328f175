import assert from "node:assert/strict";
import type { HyperpilotError } from "../../../protocol/errors.ts";
import { SERVER } from "../../../protocol/limits.ts";
import { createBatcher, type Batcher } from "../../../server/batch.ts";
import type { HyperpilotEvent } from "../../../server/events.ts";
import type { Batch, Journal } from "../../../server/journal/journal.ts";
import { FakeClock } from "../../support/fake-clock.ts";

/** A journal whose writes end when the test says so. */
class HandJournal {
  readonly batches: Batch[] = [];
  private readonly open: { resolve: () => void; reject: (error: Error) => void }[] = [];

  append = (batch: Batch): Promise<void> => {
    this.batches.push(batch);
    return new Promise((resolve, reject) => this.open.push({ resolve, reject }));
  };

  get inFlight(): number {
    return this.open.length;
  }

  sync(): void {
    this.open.shift()?.resolve();
  }

  fail(error: Error): void {
    this.open.shift()?.reject(error);
  }
}

function eventsOf(count: number): HyperpilotEvent[] {
  return Array.from({ length: count }, () => ({
    type: "nodeDrained",
    v: 1,
    atMs: 0,
    queue: "local",
    node: "n1",
    drained: true,
    reason: "test",
  }));
}

describe("group commit", () => {
  let clock: FakeClock;
  let journal: HandJournal;
  let batcher: Batcher;
  let done: string[];
  let fatal: HyperpilotError[];
  beforeEach(() => {
    clock = new FakeClock();
    journal = new HandJournal();
    done = [];
    fatal = [];
    batcher = createBatcher({
      journal: journal as unknown as Journal,
      term: 1,
      clock,
      nextSeq: 11,
      onFatal: (error) => fatal.push(error),
    });
  });

  const effect = (name: string) => () => void done.push(name);
  /** Moves on in small steps and lets promises settle after each, as they do between real timers. */
  const advance = async (ms: number) => {
    const settled = () => new Promise((resolve) => setImmediate(resolve));
    await settled();
    for (let passed = 0; passed <= ms; passed += 1) {
      clock.advance(passed === 0 ? 0 : 1);
      await settled();
    }
  };
  const sizes = () => journal.batches.map((batch) => batch.events.length);

  it("runs effects at once when nothing waits for the disk", () => {
    batcher.add([], [effect("a"), effect("b")]);
    assert.deepEqual(done, ["a", "b"]);
    assert.equal(journal.inFlight, 0);
  });

  it("holds effects until the batch of their events is durable", async () => {
    batcher.add(eventsOf(2), [effect("a")]);
    await advance(10);
    assert.deepEqual(sizes(), [2]);
    assert.equal(journal.batches[0]?.firstSeq, 11);
    assert.deepEqual(done, []);
    journal.sync();
    await advance(0);
    assert.deepEqual(done, ["a"]);
  });

  it("writes at once after a quiet time", async () => {
    batcher.add(eventsOf(1), []);
    await advance(0);
    assert.equal(journal.inFlight, 1);
  });

  it("puts all of one turn in one record", async () => {
    for (let n = 0; n < 100; n += 1) batcher.add(eventsOf(3), [effect(String(n))]);
    await advance(0);
    assert.deepEqual(sizes(), [300]);
    journal.sync();
    await advance(0);
    assert.deepEqual(
      done,
      Array.from({ length: 100 }, (_, n) => String(n)),
    );
  });

  it("starts batches at most every 2 ms under load", async () => {
    batcher.add(eventsOf(1), []);
    await advance(0);
    journal.sync();
    await advance(0);
    batcher.add(eventsOf(1), []);
    await advance(SERVER.batchIntervalMs - 1);
    assert.equal(journal.batches.length, 1);
    batcher.add(eventsOf(1), []);
    await advance(1);
    assert.deepEqual(sizes(), [1, 2]);
  });

  it("has one write in flight and numbers events without gaps", async () => {
    batcher.add(eventsOf(3), [effect("a")]);
    await advance(0);
    batcher.add(eventsOf(2), [effect("b")]);
    await advance(50);
    assert.deepEqual(sizes(), [3]);
    journal.sync();
    await advance(0);
    assert.deepEqual(done, ["a"]);
    assert.deepEqual(
      journal.batches.map((batch) => batch.firstSeq),
      [11, 14],
    );
    journal.sync();
    await advance(0);
    assert.deepEqual(done, ["a", "b"]);
  });

  it("holds a reader's effect until the state it saw is durable, without a record of its own", async () => {
    batcher.add(eventsOf(1), [effect("write")]);
    await advance(0);
    batcher.add([], [effect("read")]);
    await advance(50);
    assert.deepEqual(done, []);
    journal.sync();
    await advance(SERVER.batchIntervalMs);
    assert.deepEqual(done, ["write", "read"]);
    assert.deepEqual(sizes(), [1]);
  });

  it("starts another record at the bound and never splits what was added together", async () => {
    const part = SERVER.eventsPerBatchMax / 2 + 1;
    for (const name of ["a", "b"]) batcher.add(eventsOf(part), [effect(name)]);
    batcher.add(eventsOf(part - 2), [effect("c")]);
    await advance(0);
    assert.deepEqual(sizes(), [part]);
    journal.sync();
    await advance(SERVER.batchIntervalMs);
    assert.deepEqual(done, ["a"]);
    assert.deepEqual(sizes(), [part, SERVER.eventsPerBatchMax]);
    journal.sync();
    await advance(0);
    assert.deepEqual(done, ["a", "b", "c"]);
  });

  it("takes events that an effect adds", async () => {
    batcher.add(eventsOf(1), [() => batcher.add(eventsOf(1), [effect("second")])]);
    await advance(0);
    journal.sync();
    await advance(SERVER.batchIntervalMs);
    assert.equal(journal.inFlight, 1);
    journal.sync();
    await advance(0);
    assert.deepEqual(done, ["second"]);
  });

  it("releases nothing ever after a failed write, and says so once", async () => {
    batcher.add(eventsOf(1), [effect("a")]);
    await advance(0);
    batcher.add(eventsOf(1), [effect("b")]);
    batcher.add([], [effect("c")]);
    journal.fail(new Error("disk full"));
    await advance(0);
    batcher.add(eventsOf(1), [effect("d")]);
    batcher.add([], [effect("e")]);
    await advance(100);
    assert.deepEqual(done, []);
    assert.equal(journal.batches.length, 1);
    assert.deepEqual(
      fatal.map((error) => [error.code, error.why]),
      [["E_JOURNAL_WRITE", "disk full"]],
    );
  });

  it("is idle when all is durable and its effects have run", async () => {
    await batcher.idle();
    batcher.add(eventsOf(1), [effect("a")]);
    const idle = batcher.idle().then(() => done.push("idle"));
    await advance(5);
    assert.deepEqual(done, []);
    journal.sync();
    await idle;
    assert.deepEqual(done, ["a", "idle"]);
  });

  it("is never idle after a failure", async () => {
    batcher.add(eventsOf(1), []);
    void batcher.idle().then(() => done.push("idle"));
    await advance(0);
    journal.fail(new Error("disk full"));
    void batcher.idle().then(() => done.push("idle"));
    await advance(100);
    assert.deepEqual(done, []);
  });

  it("knows how many events are not durable yet", async () => {
    assert.equal(batcher.pendingEvents(), 0);
    batcher.add(eventsOf(3), []);
    await advance(0);
    batcher.add(eventsOf(2), []);
    assert.equal(batcher.pendingEvents(), 5);
    journal.sync();
    await advance(0);
    assert.equal(batcher.pendingEvents(), 2);
  });

  it("tells the 99th percentile of its last 1,000 writes", async () => {
    assert.equal(batcher.syncMsP99(), 0);
    const write = async (ms: number) => {
      batcher.add(eventsOf(1), []);
      await advance(SERVER.batchIntervalMs);
      await advance(ms);
      journal.sync();
      await advance(SERVER.batchIntervalMs);
    };
    await write(5_000);
    for (let n = 0; n < 1_000; n += 1) await write(n < 980 ? 3 : 40);
    const p99 = batcher.syncMsP99();
    assert.ok(p99 >= 40 && p99 < 50, `${p99} ms: the oldest write no longer counts`);
  });
});
