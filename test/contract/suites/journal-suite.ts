/** What every journal does. */
import assert from "node:assert/strict";
import type { HyperpilotEvent } from "../../../server/events.ts";
import type { Batch, Journal } from "../../../server/journal/journal.ts";
import { decodeRecord } from "../../../server/journal/record.ts";

export function pointEvents(firstSeq: number, count: number): HyperpilotEvent[] {
  return Array.from({ length: count }, (_, index) => ({
    type: "pointGenerated",
    v: 1,
    atMs: 1_700_000_000_000 + index,
    taskId: 10_000_000,
    pointId: String(firstSeq + index),
    text: `{"x":${firstSeq + index}.0,"name":"ü"}`,
    run: null,
    retryOf: null,
  }));
}

export function batchOf(firstSeq: number, count: number): Batch {
  return { firstSeq, events: pointEvents(firstSeq, count) };
}

export async function readAll(journal: Journal, fromSeq = 1): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of journal.read(fromSeq)) batches.push(batch);
  return batches;
}

/** One disk on which journals are opened one after the other. */
export interface JournalWorld {
  create(): Journal;
  remove(): Promise<void>;
}

export function describeJournal(name: string, makeWorld: () => JournalWorld): void {
  describe(`journal: ${name}`, () => {
    let world: JournalWorld;
    let journal: Journal;
    beforeEach(() => {
      world = makeWorld();
      journal = world.create();
    });
    afterEach(async () => {
      await journal.close();
      await world.remove();
    });

    async function reopen() {
      await journal.close();
      journal = world.create();
      return journal.open();
    }

    it("is empty at first", async () => {
      const { term, head } = await journal.open();
      assert.equal(term, 1);
      assert.equal(head.seq, 0);
      assert.deepEqual(await readAll(journal), []);
      assert.equal(await journal.event(1), undefined);
    });

    it("gives back every batch as it was, before and after a restart", async () => {
      const { term } = await journal.open();
      const batches = [batchOf(1, 3), batchOf(4, 1), batchOf(5, 200)];
      for (const batch of batches) await journal.append(batch, term);
      assert.deepEqual(await readAll(journal), batches);
      const { head } = await reopen();
      assert.equal(head.seq, 204);
      assert.match(head.hash, /^[0-9a-f]{64}$/);
      assert.deepEqual(await readAll(journal), batches);
    });

    it("reads from the batch that holds a number on", async () => {
      const { term } = await journal.open();
      const batches = [batchOf(1, 3), batchOf(4, 3), batchOf(7, 3)];
      for (const batch of batches) await journal.append(batch, term);
      for (const from of [4, 5, 6]) {
        assert.deepEqual(await readAll(journal, from), batches.slice(1), `from ${from}`);
      }
      assert.deepEqual(await readAll(journal, 9), batches.slice(2));
      assert.deepEqual(await readAll(journal, 10), []);
    });

    it("gives its records as they are stored, from the one that holds a number on", async () => {
      const { term } = await journal.open();
      const batches = [batchOf(1, 3), batchOf(4, 3), batchOf(7, 3)];
      for (const batch of batches) await journal.append(batch, term);
      const from = async (seq: number): Promise<Batch[]> => {
        const found: Batch[] = [];
        for await (const [key, value] of journal.records(seq))
          found.push(decodeRecord(key, value, null).batch);
        return found;
      };
      assert.deepEqual(await from(1), batches);
      assert.deepEqual(await from(5), batches.slice(1));
      assert.deepEqual(await from(10), []);
    });

    it("reads on from a record whose hash is known, and from no other", async () => {
      const { term } = await journal.open();
      const batches = [batchOf(1, 3), batchOf(4, 3), batchOf(7, 3)];
      for (const batch of batches) await journal.append(batch, term);
      const hashes: string[] = [];
      for await (const [key, value] of journal.records(1))
        hashes.push(decodeRecord(key, value, null).hash);
      const after = async (seq: number, hash = ""): Promise<Batch[]> => {
        const found: Batch[] = [];
        for await (const batch of journal.read(seq, hash)) found.push(batch);
        return found;
      };
      assert.deepEqual(await after(4, hashes[0]), batches.slice(1));
      assert.deepEqual(await after(10, hashes[2]), []);
      await assert.rejects(after(4, hashes[1]), { code: "E_JOURNAL_BROKEN" });
    });

    it("finds each event by its number", async () => {
      const { term } = await journal.open();
      const batches = [batchOf(1, 3), batchOf(4, 20), batchOf(24, 1)];
      for (const batch of batches) await journal.append(batch, term);
      const events = batches.flatMap((batch) => batch.events);
      for (const [index, event] of events.entries()) {
        assert.deepEqual(await journal.event(index + 1), event);
      }
      assert.equal(await journal.event(25), undefined);
      assert.equal(await journal.event(0), undefined);
    });

    it("completes appends in the order of the calls", async () => {
      const { term } = await journal.open();
      const order: number[] = [];
      await Promise.all(
        Array.from({ length: 50 }, (_, n) =>
          journal.append(batchOf(1 + 2 * n, 2), term).then(() => order.push(n)),
        ),
      );
      assert.deepEqual(
        order,
        order.map((_, n) => n),
      );
      assert.equal((await readAll(journal)).length, 50);
    });

    it("can be read while batches are appended", async () => {
      const { term } = await journal.open();
      for (let n = 0; n < 20; n += 1) await journal.append(batchOf(1 + n, 1), term);
      const reading = journal.read(1)[Symbol.asyncIterator]();
      let seq = 0;
      for (let n = 0; n < 20; n += 1) {
        const next = await reading.next();
        assert.ok(next.done !== true);
        seq = next.value.firstSeq;
        await journal.append(batchOf(21 + n, 1), term);
      }
      assert.equal(seq, 20);
      await assert.doesNotReject(reading.next());
      await reading.return?.(undefined);
    });

    it("keeps what a caller does to its events afterwards out", async () => {
      const { term } = await journal.open();
      const events = pointEvents(1, 1);
      const appended = journal.append({ firstSeq: 1, events }, term);
      events.push(...pointEvents(2, 1));
      await appended;
      assert.deepEqual(await readAll(journal), [batchOf(1, 1)]);
    });

    it("refuses a hole, a repetition and an empty batch, and stays as it was", async () => {
      const { term } = await journal.open();
      await journal.append(batchOf(1, 2), term);
      for (const batch of [batchOf(4, 1), batchOf(2, 1), { firstSeq: 3, events: [] }]) {
        await assert.rejects(journal.append(batch, term), /does not follow/);
      }
      await journal.append(batchOf(3, 1), term);
      const { head } = await reopen();
      assert.equal(head.seq, 3);
    });

    it("counts terms over restarts and refuses writers of older ones", async () => {
      const first = await journal.open();
      await journal.append(batchOf(1, 1), first.term);
      const second = await reopen();
      assert.equal(second.term, first.term + 1);
      await assert.rejects(journal.append(batchOf(2, 1), first.term), { code: "E_FENCED" });
      await journal.append(batchOf(2, 1), second.term);
      const third = await reopen();
      assert.equal(third.term, second.term + 1);
      assert.equal(third.head.seq, 2);
    });

    it("counts a term also where nothing was written", async () => {
      const terms = [(await journal.open()).term];
      for (let n = 0; n < 3; n += 1) terms.push((await reopen()).term);
      assert.deepEqual(terms, [1, 2, 3, 4]);
    });

    it("finishes what is in flight when it is closed", async () => {
      const { term } = await journal.open();
      const appends = [batchOf(1, 5), batchOf(6, 5)].map((batch) => journal.append(batch, term));
      const { head } = await reopen();
      await Promise.all(appends);
      assert.equal(head.seq, 10);
    });
  });
}
