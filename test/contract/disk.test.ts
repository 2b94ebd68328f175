import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { systemClock } from "../../common/clock.ts";
import { openDiskBlobs } from "../../server/blobs/disk-blobs.ts";
import { replaceFile, type Disk } from "../../server/disk.ts";
import { createChainedJournal } from "../../server/journal/chained-journal.ts";
import { createLevelStore } from "../../server/journal/level-journal.ts";
import type { RecordRange, RecordStore } from "../../server/journal/record-store.ts";
import { systemDisk } from "../../server/system-disk.ts";
import { createDiskStore } from "../simulation/disk-store.ts";
import { SimulatedDisk } from "../simulation/disk.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { describeBlobs } from "./suites/blobs-suite.ts";
import { describeJournal } from "./suites/journal-suite.ts";

interface DiskWorld {
  readonly disk: Disk;
  /** An empty directory. */
  readonly root: string;
  remove(): Promise<void>;
}

const WORLDS: Readonly<Record<string, () => Promise<DiskWorld>>> = {
  system: () => {
    const directory = temporaryDirectory();
    const remove = (): Promise<void> => directory.remove();
    return Promise.resolve({ disk: systemDisk, root: directory.path, remove });
  },
  simulated: async () => {
    const disk = new SimulatedDisk();
    await disk.makeDirectory("/root");
    return { disk, root: "/root", remove: () => Promise.resolve() };
  },
};

for (const [name, makeWorld] of Object.entries(WORLDS)) {
  describe(`disk: ${name}`, () => {
    let world: DiskWorld;
    let disk: Disk;
    let path: (...names: string[]) => string;
    beforeEach(async () => {
      world = await makeWorld();
      ({ disk } = world);
      path = (...names) => join(world.root, ...names);
    });
    afterEach(() => world.remove());

    const text = async (file: string): Promise<string | null> => {
      const bytes = await disk.read(file);
      return bytes === null ? null : Buffer.from(bytes).toString();
    };
    async function write(file: string, ...parts: string[]): Promise<void> {
      const created = await disk.create(file);
      for (const part of parts) await created.write(Buffer.from(part));
      await created.sync();
      await created.close();
    }

    it("gives back what was written, in the order of the writes", async () => {
      await write(path("file"), "one ", "two ", "three");
      assert.equal(await text(path("file")), "one two three");
      assert.equal(await disk.sizeBytes(path("file")), 13);
      assert.equal((await buffer(disk.stream(path("file"), 4))).toString(), "two three");
    });

    it("says null, or an empty list, where nothing is", async () => {
      assert.equal(await disk.read(path("none")), null);
      assert.equal(await disk.sizeBytes(path("none")), null);
      assert.deepEqual(await disk.list(path("none")), []);
      await disk.remove(path("none"));
    });

    it("empties a file that is created again", async () => {
      await write(path("file"), "long content");
      await write(path("file"), "x");
      assert.equal(await text(path("file")), "x");
    });

    it("lists names in order, those of directories included, and no deeper ones", async () => {
      await disk.makeDirectory(path("b", "c"));
      await write(path("a"), "");
      await write(path("b", "d"), "");
      assert.deepEqual(await disk.list(world.root), ["a", "b"]);
      assert.deepEqual(await disk.list(path("b")), ["c", "d"]);
    });

    it("renames over what is there, and removes directories with all in them", async () => {
      await write(path("old"), "old");
      await write(path("new"), "new");
      await disk.rename(path("new"), path("old"));
      await disk.syncDirectory(world.root);
      assert.equal(await text(path("old")), "new");
      assert.equal(await disk.read(path("new")), null);
      await disk.makeDirectory(path("b", "c"));
      await write(path("b", "c", "d"), "");
      await disk.remove(path("b"));
      assert.deepEqual(await disk.list(world.root), ["old"]);
    });

    it("fails with ENOENT where a directory is missing", async () => {
      await assert.rejects(disk.create(path("none", "file")), { code: "ENOENT" });
      await assert.rejects(disk.rename(path("none"), path("other")), { code: "ENOENT" });
      await assert.rejects(disk.syncDirectory(path("none")), { code: "ENOENT" });
    });

    it("replaces a file as a whole", async () => {
      await write(path("file"), "before");
      await replaceFile(disk, path("file"), Buffer.from("after"));
      assert.equal(await text(path("file")), "after");
      assert.deepEqual(await disk.list(world.root), ["file"]);
    });
  });
}

describe("disk: system, its modes", () => {
  it("makes files and directories for their owner only", async () => {
    const directory = temporaryDirectory();
    try {
      const path = join(directory.path, "a", "b");
      await systemDisk.makeDirectory(path);
      await (await systemDisk.create(join(path, "file"))).close();
      assert.equal(statSync(path).mode & 0o777, 0o700);
      assert.equal(statSync(join(path, "file")).mode & 0o777, 0o600);
    } finally {
      await directory.remove();
    }
  });
});

describe("disk: simulated, its faults", () => {
  async function written(): Promise<SimulatedDisk> {
    const disk = new SimulatedDisk();
    const file = await disk.create("/file");
    await file.write(Buffer.from("synced"));
    await file.sync();
    await disk.syncDirectory("/");
    await file.write(Buffer.from(" not synced"));
    await disk.create("/later");
    return disk;
  }
  const text = async (disk: Disk, path: string): Promise<string> =>
    Buffer.from((await disk.read(path)) ?? []).toString();

  it("keep what was synced, and of the rest what the kind of crash leaves", async () => {
    for (const [surviving, content, names] of [
      ["all", "synced not synced", ["file", "later"]],
      ["synced", "synced", ["file"]],
      ["bytes", "synced not synced", ["file"]],
      ["names", "synced", ["file", "later"]],
    ] as const) {
      const disk = await written();
      disk.crash(surviving);
      disk.powerOn();
      assert.equal(await text(disk, "/file"), content, surviving);
      assert.deepEqual(await disk.list("/"), names, surviving);
    }
  });

  it("tear a write in half, and answer nothing after a crash", async () => {
    const disk = new SimulatedDisk();
    const file = await disk.create("/file");
    disk.failAt(1, "torn");
    const unanswered = file.write(Buffer.from("12345678"));
    const later = disk.read("/file");
    const winner = await Promise.race([
      unanswered,
      later,
      new Promise((resolve) => setImmediate(() => resolve("nothing"))),
    ]);
    assert.equal(winner, "nothing");
    assert.equal(disk.hasCrashed, true);
    disk.powerOn();
    assert.deepEqual(await disk.list("/"), ["file"]);
    assert.equal(await text(disk, "/file"), "1234");
  });

  it("fail one operation for want of space, and the next is good", async () => {
    const disk = new SimulatedDisk();
    const file = await disk.create("/file");
    disk.failAt(1, "ENOSPC");
    await assert.rejects(file.write(Buffer.from("12345678")), { code: "ENOSPC" });
    await file.write(Buffer.from("x"));
    assert.equal(await text(disk, "/file"), "1234x");
  });
});

const STORES: Readonly<Record<string, (root: string) => RecordStore>> = {
  level: createLevelStore,
  "file of a disk": (root) => createDiskStore(systemDisk, root),
};

for (const [name, makeStore] of Object.entries(STORES)) {
  describe(`record store: ${name}`, () => {
    it("holds records in the order of their keys, over a restart, and gives ranges of them", async () => {
      const directory = temporaryDirectory();
      const value = (n: number): Uint8Array => new Uint8Array([n, 0, 255]);
      try {
        const first = makeStore(directory.path);
        await first.open({ createIfMissing: true });
        await first.put("a1", value(1));
        await first.putMany([
          ["a2", value(2)],
          ["a3", value(3)],
        ]);
        await first.close();
        const second = makeStore(directory.path);
        await second.open({ createIfMissing: false });
        const keys = async (range: RecordRange): Promise<string[]> => {
          const found: string[] = [];
          for await (const [key, bytes] of second.entries(range)) {
            assert.deepEqual([...bytes], [...value(Number(key.slice(1)))]);
            found.push(key);
          }
          return found;
        };
        assert.deepEqual(await keys({}), ["a1", "a2", "a3"]);
        assert.deepEqual(await keys({ gte: "a2" }), ["a2", "a3"]);
        assert.deepEqual(await keys({ reverse: true, limit: 1, lte: "a2" }), ["a2"]);
        await second.close();
      } finally {
        await directory.remove();
      }
    });

    it("is not made where it must be there", async () => {
      const directory = temporaryDirectory();
      try {
        const store = makeStore(directory.path);
        await assert.rejects(store.open({ createIfMissing: false }), { code: "E_JOURNAL_BROKEN" });
      } finally {
        await directory.remove();
      }
    });
  });
}

describeJournal("on a simulated disk", () => {
  const disk = new SimulatedDisk();
  return {
    create: () =>
      createChainedJournal({
        store: createDiskStore(disk, "/journal"),
        disk,
        directory: "/journal",
        clock: systemClock,
        onHeadFailed: (error) => {
          throw error;
        },
      }),
    remove: () => Promise.resolve(),
  };
});

describeBlobs("on a simulated disk", async () => ({
  blobs: await openDiskBlobs("/blobs", new SimulatedDisk()),
  close: () => Promise.resolve(),
}));
