/** What every store of blobs does. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import type { BlobInfo, Blobs } from "../../../server/blobs/blobs.ts";

const MANY = 1_000_000;

export function infoOf(bytes: Uint8Array): BlobInfo {
  return { sha256: createHash("sha256").update(bytes).digest("hex"), sizeBytes: bytes.length };
}

export function streamOf(bytes: Uint8Array): Readable {
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1_000) chunks.push(bytes.subarray(at, at + 1_000));
  return Readable.from(chunks, { objectMode: false });
}

export interface BlobsWorld {
  readonly blobs: Blobs;
  close(): Promise<void>;
}

export function describeBlobs(name: string, open: () => Promise<BlobsWorld>): void {
  describe(`blobs: ${name}`, () => {
    let world: BlobsWorld;
    let blobs: Blobs;
    beforeEach(async () => {
      world = await open();
      blobs = world.blobs;
    });
    afterEach(() => world.close());

    const names = () => blobs.list("", 1_000);
    const put = (bytes: Uint8Array) => blobs.put(streamOf(bytes), infoOf(bytes), MANY);

    it("gives back the bytes that were put, whole and from a byte on", async () => {
      const bytes = randomBytes(100_000);
      const info = await put(bytes);
      assert.deepEqual(info, infoOf(bytes));
      const whole = await blobs.get(info.sha256);
      assert.deepEqual(whole?.info, info);
      assert.ok(bytes.equals(await buffer(whole.stream)));
      const rest = await blobs.get(info.sha256, 99_990);
      assert.deepEqual(rest?.info, info);
      assert.ok(bytes.subarray(99_990).equals(await buffer(rest.stream)));
    });

    it("takes a blob without any byte", async () => {
      const info = await put(new Uint8Array());
      const found = await blobs.get(info.sha256);
      assert.ok(found !== null);
      assert.equal((await buffer(found.stream)).length, 0);
    });

    it("takes the same blob twice, also at the same time", async () => {
      const bytes = randomBytes(5_000);
      await Promise.all([put(bytes), put(bytes)]);
      await put(bytes);
      assert.deepEqual(await names(), [infoOf(bytes).sha256]);
    });

    it("refuses bytes that are not those announced and keeps nothing", async () => {
      const bytes = randomBytes(5_000);
      const other = { ...infoOf(bytes), sha256: "0".repeat(64) };
      await assert.rejects(blobs.put(streamOf(bytes), other, MANY), { code: "E_CHECKSUM" });
      const shorter = { ...infoOf(bytes), sizeBytes: 4_999 };
      await assert.rejects(blobs.put(streamOf(bytes), shorter, MANY), { code: "E_CHECKSUM" });
      assert.deepEqual(await names(), []);
      assert.equal(await blobs.get(infoOf(bytes).sha256), null);
    });

    it("takes exactly the bound and refuses one byte more", async () => {
      const bytes = randomBytes(5_000);
      await assert.rejects(blobs.put(streamOf(bytes), infoOf(bytes), 4_999), {
        code: "E_TOO_LARGE",
      });
      assert.deepEqual(await names(), []);
      await blobs.put(streamOf(bytes), infoOf(bytes), 5_000);
      assert.deepEqual(await names(), [infoOf(bytes).sha256]);
    });

    it("stops reading an endless upload at the bound", async () => {
      let given = 0;
      const endless = new Readable({
        read() {
          given += 1;
          this.push(Buffer.alloc(1_000));
        },
      });
      await assert.rejects(
        blobs.put(endless, { sha256: "0".repeat(64), sizeBytes: 10_000 }, 10_000),
        { code: "E_TOO_LARGE" },
      );
      assert.ok(given < 1_000, `${given} chunks were read`);
      assert.equal(endless.destroyed, true);
    });

    it("keeps nothing of an upload that breaks off", async () => {
      const broken = new Readable({
        read() {
          this.push(Buffer.alloc(1_000));
          this.destroy(new Error("connection lost"));
        },
      });
      const info = { sha256: "0".repeat(64), sizeBytes: 10_000 };
      await assert.rejects(blobs.put(broken, info, MANY), /connection lost/);
      assert.deepEqual(await names(), []);
    });

    it("forgets a deleted blob, and deleting what is not there succeeds", async () => {
      const { sha256 } = await put(randomBytes(10));
      await blobs.delete(sha256);
      await blobs.delete(sha256);
      assert.equal(await blobs.get(sha256), null);
      assert.deepEqual(await names(), []);
    });

    it("lists in pages that neither repeat nor skip", async () => {
      const all: string[] = [];
      for (let n = 0; n < 25; n += 1) all.push((await put(randomBytes(10))).sha256);
      const seen: string[] = [];
      for (;;) {
        const page = await blobs.list(seen.at(-1) ?? "", 4);
        assert.ok(page.length <= 4);
        if (page.length === 0) break;
        seen.push(...page);
      }
      assert.deepEqual(seen, all.sort());
    });

    it("never takes something else than a checksum for a name", async () => {
      for (const name of ["", "../../etc/passwd", "A".repeat(64), `${"a".repeat(64)}\n`]) {
        const found = await blobs.get(name).catch(() => null);
        assert.equal(found, null, name);
      }
    });
  });
}
