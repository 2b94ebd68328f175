import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { encode } from "../../../protocol/codec.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { createMemoryJournal } from "../../../server/journal/memory-journal.ts";
import { presentEvent } from "../../../server/journal/present-event.ts";
import { NO_HASH, decodeRecord, encodeRecord } from "../../../server/journal/record.ts";
import { restore } from "../../../server/restore.ts";
import type { HyperpilotEvent } from "../../../server/events.ts";
import { summaryOf } from "../../support/core-summary.ts";

const CORPUS = new URL("../../fixtures/journals/", import.meta.url);

function recordsOf(name: string): { key: string; value: Uint8Array; hash: string }[] {
  const text = readFileSync(new URL(`${name}/records.json`, CORPUS), "utf8");
  return (JSON.parse(text) as [string, string][]).map(([key, value]) => ({
    key,
    value: new Uint8Array(Buffer.from(value, "base64")),
    hash: "",
  }));
}

describe("journals that older programs wrote", () => {
  const names = readdirSync(CORPUS).filter((name) => !name.includes("."));

  it("are there", () => assert.ok(names.length >= 4));

  for (const name of names) {
    it(`hold what they held: ${name}`, async () => {
      const disk = { records: recordsOf(name), term: 1 };
      const { core } = await restore(createMemoryJournal({ disk }));
      const expected: unknown = JSON.parse(
        readFileSync(new URL(`${name}/summary.json`, CORPUS), "utf8"),
      );
      assert.deepEqual(summaryOf(core), expected);
    });
  }

  it("get the defaults of what is new in specifications and queues", async () => {
    const disk = { records: recordsOf("first-search"), term: 1 };
    const { core } = await restore(createMemoryJournal({ disk }));
    const [task] = core.tasks.values();
    assert.ok(task !== undefined);
    assert.deepEqual(task.spec.segments, []);
    assert.equal(task.spec.checkpoint.intervalMinutes, 5);
    assert.deepEqual(task.spec.datasets, { training: null, output: null });
    assert.deepEqual(core.queues.get("local")?.images, {});
    assert.equal(core.queues.get("local")?.internet, false);
  });
});

describe("an event that this program does not know", () => {
  const known: HyperpilotEvent = {
    type: "jobEnded",
    v: 1,
    atMs: 1,
    taskId: 10_000_000,
    jobId: 0,
    reason: "noWork",
  };

  function refusal(event: unknown): HyperpilotError {
    try {
      presentEvent(event, 17);
    } catch (error) {
      assert.ok(error instanceof HyperpilotError);
      return error;
    }
    return assert.fail("it was taken");
  }

  it("is refused by its type, in words that tell what to do", () => {
    assert.equal(presentEvent(known, 17), known);
    const error = refusal({ ...known, type: "planetAligned" });
    assert.equal(error.code, "E_JOURNAL_VERSION");
    assert.match(error.message, /too old for the journal: event 17/);
    assert.match(error.why ?? "", /planetAligned/);
    assert.match(error.remedy ?? "", /Nothing is lost/);
  });

  it("is refused by its version", () => {
    const error = refusal({ ...known, v: 2 });
    assert.equal(error.code, "E_JOURNAL_VERSION");
    assert.match(error.why ?? "", /version 2, this program reads up to 1/);
  });

  it("is refused when a part of it has fields that this program does not know", () => {
    const config = { name: "local", gravity: 9.81 };
    const error = refusal({ v: 1, type: "queueChanged", atMs: 1, name: "local", config, by: "x" });
    assert.equal(error.code, "E_JOURNAL_VERSION");
    assert.match(error.why ?? "", /gravity/);
  });

  it("is called broken when it is no event at all", () => {
    for (const event of [null, 7, [], { type: 7, v: 1 }, { type: "jobEnded" }])
      assert.equal(refusal(event).code, "E_JOURNAL_BROKEN");
  });

  it("stops a start on its journal, as does a record of a newer version", async () => {
    const strange = { ...known, type: "planetAligned" } as unknown as HyperpilotEvent;
    const records = [encodeRecord({ firstSeq: 1, events: [strange] }, NO_HASH)];
    const start = restore(createMemoryJournal({ disk: { records, term: 1 } }));
    await assert.rejects(start, { code: "E_JOURNAL_VERSION" });
    const value = encode([2, 1, NO_HASH, NO_HASH, encode([known])]);
    assert.throws(() => decodeRecord("1", value, null), { code: "E_JOURNAL_VERSION" });
  });
});
