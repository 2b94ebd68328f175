import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { openDiskBlobs } from "../../server/blobs/disk-blobs.ts";
import { createMemoryBlobs } from "../../server/blobs/memory-blobs.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";
import { describeBlobs, infoOf, streamOf } from "./suites/blobs-suite.ts";

describeBlobs("memory", () =>
  Promise.resolve({ blobs: createMemoryBlobs(), close: () => Promise.resolve() }),
);

describeBlobs("disk", async () => {
  const directory = temporaryDirectory();
  const blobs = await openDiskBlobs(join(directory.path, "blobs"));
  return { blobs, close: () => directory.remove() };
});

describe("blobs: disk, its files", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const incoming = () => readdirSync(join(directory.path, "incoming"));

  it("keeps blobs over a restart and sweeps what a crash left half-written", async () => {
    const bytes = randomBytes(1_000);
    const first = await openDiskBlobs(directory.path);
    await first.put(streamOf(bytes), infoOf(bytes), 1_000);
    writeFileSync(join(directory.path, "incoming", "7"), "half of an upl");
    const second = await openDiskBlobs(directory.path);
    assert.deepEqual(incoming(), []);
    assert.deepEqual(await second.list("", 10), [infoOf(bytes).sha256]);
  });

  it("leaves no file behind when an upload is refused", async () => {
    const blobs = await openDiskBlobs(directory.path);
    const bytes = randomBytes(1_000);
    await assert.rejects(blobs.put(streamOf(bytes), infoOf(bytes), 999), { code: "E_TOO_LARGE" });
    await assert.rejects(
      blobs.put(streamOf(bytes), { sha256: "0".repeat(64), sizeBytes: 1_000 }, 1_000),
      { code: "E_CHECKSUM" },
    );
    assert.deepEqual(readdirSync(directory.path), ["incoming"]);
    assert.deepEqual(incoming(), []);
  });

  it("shows a blob only when all of it is there", async () => {
    const blobs = await openDiskBlobs(directory.path);
    const bytes = randomBytes(2_000);
    const source = new PassThrough();
    const put = blobs.put(source, infoOf(bytes), 2_000);
    source.write(bytes.subarray(0, 1_000));
    await waitUntil("the upload has begun", () => incoming().length === 1);
    assert.deepEqual(await blobs.list("", 10), []);
    assert.equal(await blobs.get(infoOf(bytes).sha256), null);
    source.end(bytes.subarray(1_000));
    await put;
    assert.deepEqual(await blobs.list("", 10), [infoOf(bytes).sha256]);
  });

  it("does not list what is no blob", async () => {
    const blobs = await openDiskBlobs(directory.path);
    mkdirSync(join(directory.path, "ab"));
    writeFileSync(join(directory.path, "ab", "notes.txt"), "");
    mkdirSync(join(directory.path, "lost+found"));
    assert.deepEqual(await blobs.list("", 10), []);
  });
});
