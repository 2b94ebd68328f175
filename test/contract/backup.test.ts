import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { createChunkWriter } from "../../server/journal/chunks.ts";
import { createLevelJournal } from "../../server/journal/level-journal.ts";
import { makeSnapshot } from "../../server/journal/snapshot-thread.ts";
import { readSnapshot, writeSnapshot } from "../../server/journal/snapshots.ts";
import { restoreBackup } from "../../server/backup/restore-backup.ts";
import { writeBackup } from "../../server/backup/write-backup.ts";
import { checkData, restoreBackupFile, writeBackupFile } from "../../server/maintenance.ts";
import { restore } from "../../server/restore.ts";
import { systemDisk } from "../../server/system-disk.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { busyWorld } from "../support/busy-world.ts";
import { summaryOf } from "../support/core-summary.ts";
import { specification } from "../support/reactor-world.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const onProgress = (): void => undefined;
const SANDBOX = Buffer.from("the task's files");
const SANDBOX_SHA256 = createHash("sha256").update(SANDBOX).digest("hex");

function openJournal(data: string): Journal {
  const onHeadFailed = (error: Error): never => {
    throw error;
  };
  return createLevelJournal({ directory: join(data, "journal"), clock: systemClock, onHeadFailed });
}

/** Content and modification time of every file below a directory. */
function stateOf(directory: string): string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
    .map((path) => {
      const hash = createHash("sha256").update(readFileSync(path)).digest("hex");
      return `${path} ${statSync(path).mtimeMs} ${hash}`;
    });
}

describe("the data directory of a stopped server", function () {
  this.timeout(30_000);
  let root: TemporaryDirectory;
  let data: string;
  let file: string;

  beforeEach(async () => {
    root = temporaryDirectory();
    data = join(root.path, "data");
    file = join(root.path, "backup");
    mkdirSync(join(data, "blobs", SANDBOX_SHA256.slice(0, 2)), { recursive: true });
    writeFileSync(join(data, blobName()), SANDBOX);
    for (const name of ["session-key", "harvester-token", "access.json"])
      writeFileSync(join(data, name), `${name}'s content`, { mode: 0o600 });
    const world = busyWorld();
    const command = {
      type: "submitTask",
      spec: specification({ sandboxSha256: SANDBOX_SHA256 }),
    } as const;
    world.command(command);
    const journal = openJournal(data);
    const { term } = await journal.open();
    for (let first = 0; first < world.events.length; first += 10)
      await journal.append(
        { firstSeq: first + 1, events: world.events.slice(first, first + 10) },
        term,
      );
    await journal.close();
  });
  afterEach(() => root.remove());

  function blobName(): string {
    return join("blobs", SANDBOX_SHA256.slice(0, 2), SANDBOX_SHA256.slice(2));
  }

  const backup = () => writeBackupFile({ data, to: file, stream: null, onProgress });
  const target = (): string => join(root.path, "restored");
  const restored = () => restoreBackupFile({ from: file, data: target(), onProgress });

  async function coreOf(directory: string) {
    const journal = openJournal(directory);
    try {
      return (await restore(journal)).core;
    } finally {
      await journal.close();
    }
  }

  async function refusal(promise: Promise<unknown>): Promise<HyperpilotError> {
    const error: unknown = await promise.then(
      () => null,
      (thrown: unknown) => thrown,
    );
    assert.ok(error instanceof HyperpilotError, String(error));
    assert.notEqual(error.remedy ?? "", "");
    return error;
  }

  describe("backup and restore", () => {
    it("bring back tasks, losses, blobs and keys, under a new incarnation and with other task ids", async () => {
      const before = await coreOf(data);
      const made = await backup();
      assert.equal(made.events, before.seq);
      assert.equal(made.files, 4);
      assert.equal(statSync(file).mode & 0o777, 0o600);
      const report = await restored();
      assert.equal(report.tasks, before.tasks.size);
      assert.equal(report.nextTaskId, before.nextTaskId + 1_000_000);
      assert.ok(report.incarnation > before.incarnation);
      assert.ok(report.leasesEnded > 0);
      assert.equal(statSync(target()).mode & 0o777, 0o700);
      for (const name of [blobName(), "session-key", "harvester-token", "access.json"])
        assert.deepEqual(readFileSync(join(target(), name)), readFileSync(join(data, name)));
      const after = await coreOf(target());
      assert.equal(after.leasesByPilot.size, 0);
      for (const [id, task] of before.tasks) {
        const copy = after.tasks.get(id);
        assert.ok(copy !== undefined);
        for (const point of task.points.values()) {
          const again = copy.points.get(point.id);
          assert.equal(again?.text, point.text);
          assert.equal(again.loss, point.loss);
          if (point.state === "leased") assert.equal(again.state, "ready");
        }
      }
      assert.equal((await checkData({ data: target(), onProgress })).ok, true);
    });

    it("of one backup twice have different incarnations", async () => {
      await backup();
      const first = await restored();
      const clock = { ...systemClock, wallMs: () => systemClock.wallMs() + 60_000 };
      const again = { from: file, data: join(root.path, "again"), clock, onProgress };
      const second = await restoreBackup(systemDisk, again);
      assert.ok(second.incarnation > first.incarnation);
    });

    it("refuse a directory that is not empty, a file that is there and one that is not", async () => {
      await backup();
      assert.equal((await refusal(backup())).code, "E_CONFLICT");
      mkdirSync(target());
      writeFileSync(join(target(), "notes"), "");
      assert.equal((await refusal(restored())).code, "E_CONFLICT");
      assert.deepEqual(readdirSync(target()), ["notes"]);
      rmSync(join(target(), "notes"));
      await restored();
      rmSync(file);
      rmSync(target(), { recursive: true });
      assert.match((await refusal(restored())).why ?? "", /no such file/);
    });

    it("leave nothing behind when the file is damaged or cut, wherever that is", async () => {
      await backup();
      const whole = readFileSync(file);
      for (let part = 1; part < 20; part += 1) {
        const at = Math.floor((whole.length * part) / 20);
        const damaged = Buffer.from(whole);
        damaged[at] = (damaged[at] ?? 0) ^ 0x10;
        for (const content of [damaged, whole.subarray(0, at)]) {
          writeFileSync(file, content);
          assert.equal((await refusal(restored())).code, "E_BACKUP");
        }
      }
      assert.deepEqual(readdirSync(root.path).sort(), ["backup", "data"]);
    });

    it("write files of a data directory only, whatever a backup names", async () => {
      for (const path of ["../evil", "/etc/evil", "blobs/../../evil", "journal/head", "x"]) {
        const writer = createChunkWriter();
        const begin = { version: 1, program: "x", madeAtMs: 0, eventsAbout: 0, filesAbout: 0 };
        const chunks = [
          writer.chunk({ type: "begin", ...begin }),
          writer.chunk({ type: "file", path, sizeBytes: 1 }),
          writer.chunk({ type: "part", bytes: Buffer.from("x") }),
          writer.end(),
        ];
        writeFileSync(file, Buffer.concat(chunks));
        assert.match((await refusal(restored())).why ?? "", /no data directory has/);
        assert.ok(!existsSync(join(root.path, "evil")));
      }
    });

    it("leave no file behind when the disk fills while a backup is written", async () => {
      const full = Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
      const disk = {
        ...systemDisk,
        create: async (path: string) => ({
          ...(await systemDisk.create(path)),
          write: () => Promise.reject(full),
        }),
      };
      const writer = createChunkWriter();
      const stream = (async function* () {
        yield await Promise.resolve(writer.end());
      })();
      const error = await refusal(writeBackup(disk, stream, { to: file, onProgress }));
      assert.equal(error.code, "E_STORAGE_FULL");
      assert.deepEqual(readdirSync(root.path), ["data"]);
    });

    it("take no stream that breaks off for a backup", async () => {
      await backup();
      const whole = readFileSync(file);
      rmSync(file);
      const stream = (async function* () {
        yield await Promise.resolve(whole.subarray(0, whole.length - 10));
      })();
      assert.equal(
        (await refusal(writeBackup(systemDisk, stream, { to: file, onProgress }))).code,
        "E_BACKUP",
      );
      assert.deepEqual(readdirSync(root.path), ["data"]);
    });
  });

  describe("fsck", () => {
    const run = () => checkData({ data, onProgress });

    async function badChecks(): Promise<string[]> {
      const report = await run();
      assert.equal(
        report.ok,
        report.checks.every(({ ok }) => ok),
      );
      return report.checks
        .filter(({ ok }) => !ok)
        .map(({ name, detail, remedy }) => {
          assert.notEqual(remedy, "");
          return `${name}: ${detail}`;
        });
    }

    it("finds a good directory good and changes nothing in it, snapshots included", async () => {
      const journal = openJournal(data);
      await journal.open();
      const snapshots = join(data, "journal", "snapshots");
      await makeSnapshot(journal, snapshots, new AbortController().signal);
      await journal.close();
      const before = stateOf(data);
      const report = await run();
      assert.deepEqual(
        report.checks.map(({ name, ok }) => `${name} ${String(ok)}`),
        [
          "head true",
          "journal true",
          `snapshot ${report.events} true`,
          "state true",
          "blobs true",
          "keys true",
        ],
      );
      assert.match(report.checks[2]?.detail ?? "", /the same state/);
      assert.deepEqual(stateOf(data), before);
      assert.deepEqual(
        summaryOf(await coreOf(data)),
        summaryOf(await coreOf(data)),
        "and it still opens",
      );
    });

    it("finds a flipped byte in the journal", async () => {
      const db = join(data, "journal", "db");
      const log = readdirSync(db).find(
        (name) => name.endsWith(".log") && statSync(join(db, name)).size > 0,
      );
      assert.ok(log !== undefined);
      flip(join(db, log), 2_000);
      const [bad = ""] = await badChecks();
      assert.match(bad, /broken at event \d+/);
    });

    it("finds a damaged snapshot, and one of another state", async () => {
      const journal = openJournal(data);
      await journal.open();
      const snapshots = join(data, "journal", "snapshots");
      await makeSnapshot(journal, snapshots, new AbortController().signal);
      await journal.close();
      const [name = ""] = readdirSync(snapshots);
      const path = join(snapshots, name);
      flip(path, 900);
      assert.match((await badChecks()).join(), /^snapshot \d+: chunk \d+ was changed/);
      flip(path, 900);
      assert.deepEqual(await badChecks(), []);
      const { snapshot } = await readSnapshot(systemDisk, path);
      const [task] = snapshot.core.tasks.values();
      assert.ok(task !== undefined);
      task.generated += 1;
      await writeSnapshot(systemDisk, snapshots, snapshot);
      assert.match(
        (await badChecks()).join(),
        /^snapshot \d+: another state than from the journal/,
      );
    });

    it("finds missing and damaged blobs and keys", async () => {
      writeFileSync(join(data, blobName()), "the task's filez");
      assert.match((await badChecks()).join(), /^blobs: 1 of 1 are damaged/);
      rmSync(join(data, blobName()));
      assert.match((await badChecks()).join(), /^blobs: 1 of 1 that tasks name are missing/);
      writeFileSync(join(data, blobName()), SANDBOX);
      rmSync(join(data, "session-key"));
      assert.match((await badChecks()).join(), /^keys: there is no session-key/);
    });

    it("refuses a running server's directory, and one that is none", async () => {
      const journal = openJournal(data);
      await journal.open();
      assert.equal((await refusal(run())).code, "E_JOURNAL_LOCKED");
      const linked = join(root.path, "linked");
      symlinkSync(data, linked);
      assert.equal(
        (await refusal(checkData({ data: linked, onProgress }))).code,
        "E_JOURNAL_LOCKED",
      );
      await journal.close();
      const error = await refusal(checkData({ data: root.path, onProgress }));
      assert.equal(error.code, "E_CONFIG");
    });
  });
});

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at] = (bytes[at] ?? 0) ^ 0x01;
  writeFileSync(path, bytes);
}
