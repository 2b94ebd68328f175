import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { silentLogger } from "../../../common/log.ts";
import { SERVER } from "../../../protocol/limits.ts";
import { createKeptBlobs, startSweeping } from "../../../server/blobs/kept-blobs.ts";
import { createMemoryBlobs } from "../../../server/blobs/memory-blobs.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

function bench() {
  const clock = new FakeClock();
  const references = new Map<string, number>();
  const store = createMemoryBlobs();
  const blobs = createKeptBlobs({
    blobs: store,
    referencesTo: (sha256) => references.get(sha256) ?? 0,
    clock,
    log: silentLogger,
  });
  const put = async (text: string): Promise<string> => {
    const sha256 = createHash("sha256").update(text).digest("hex");
    const expected = { sha256, sizeBytes: text.length };
    await blobs.put(Readable.from([Buffer.from(text)]), expected, 100);
    return sha256;
  };
  const has = async (sha256: string): Promise<boolean> =>
    (await store.list("", 100)).includes(sha256);
  return { clock, references, store, blobs, put, has };
}

describe("blobs with references", () => {
  it("go when the last reference has gone, and not before", async () => {
    const { references, blobs, put, has } = bench();
    const sha256 = await put("a");
    references.set(sha256, 2);
    blobs.settle([sha256], []);
    references.set(sha256, 1);
    blobs.settle([], [sha256]);
    assert.equal(await has(sha256), true, "somebody refers to it again");
    references.delete(sha256);
    blobs.settle([], [sha256]);
    assert.equal(await has(sha256), false);
  });

  it("stay while somebody has uploaded them and not said yet what for", async () => {
    const { references, blobs, put, has } = bench();
    const sha256 = await put("a");
    references.set(sha256, 1);
    blobs.settle([sha256], []);
    // Another evaluation brings the same bytes while the first reference goes.
    await put("a");
    references.delete(sha256);
    blobs.settle([], [sha256]);
    assert.equal(await has(sha256), true);
    references.set(sha256, 1);
    blobs.settle([sha256], []);
    references.delete(sha256);
    blobs.settle([], [sha256]);
    assert.equal(await has(sha256), false);
  });

  it("are stored again after a deletion that is going on", async () => {
    const { references, blobs, store, put, has } = bench();
    const sha256 = await put("a");
    references.set(sha256, 1);
    blobs.settle([sha256], []);
    references.delete(sha256);
    let finish = (): void => undefined;
    const original = store.delete.bind(store);
    store.delete = async (name) => {
      await new Promise<void>((resolve) => (finish = resolve));
      return original(name);
    };
    blobs.settle([], [sha256]);
    const again = put("a");
    finish();
    await again;
    assert.equal(await has(sha256), true);
  });

  it("are not claimed by an upload that failed", async () => {
    const { references, blobs, put, has } = bench();
    const sha256 = await put("a");
    references.set(sha256, 1);
    blobs.settle([sha256], []);
    const wrong = { sha256, sizeBytes: 3 };
    await assert.rejects(blobs.put(Readable.from([Buffer.from("xyz")]), wrong, 100));
    references.delete(sha256);
    blobs.settle([], [sha256]);
    assert.equal(await has(sha256), false);
  });

  it("of lost evaluations are swept when nothing has referred to them for a day", async () => {
    const { clock, references, blobs, put, has } = bench();
    const orphan = await put("orphan");
    const used = await put("used");
    references.set(used, 1);
    blobs.settle([used], []);
    assert.equal(await blobs.sweep(), 0);
    clock.advance(SERVER.blobUnreferencedMs - 1);
    assert.equal(await blobs.sweep(), 0);
    clock.advance(1);
    assert.equal(await blobs.sweep(), 0, "found without a claim for the first time");
    clock.advance(SERVER.blobUnreferencedMs);
    assert.equal(await blobs.sweep(), 1);
    assert.deepEqual([await has(orphan), await has(used)], [false, true]);
  });

  it("are looked at every hour until the server stops", async () => {
    const { clock, blobs } = bench();
    let sweeps = 0;
    blobs.sweep = () => Promise.resolve((sweeps += 1));
    const sweeping = startSweeping({ blobs, clock, log: silentLogger });
    for (let hour = 1; hour <= 3; hour += 1) {
      clock.advance(SERVER.blobSweepIntervalMs);
      await waitUntil("the next is scheduled", () => sweeps === hour && clock.pendingTimers === 1);
    }
    await sweeping.stop();
    clock.advance(SERVER.blobSweepIntervalMs);
    assert.equal(sweeps, 3);
  });
});
