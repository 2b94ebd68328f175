import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Deployment, PROGRAM } from "../support/deployment.ts";
import { requireRoot } from "../support/requires.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a server whose storage fails", function () {
  this.timeout(60_000);
  let directory: ReturnType<typeof temporaryDirectory>;
  let deployment: Deployment;

  beforeEach(() => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path });
  });

  afterEach(async () => {
    await deployment.stop();
    await directory.remove();
  });

  /** A stopped server's data directory with a few searches in its journal. */
  async function makeJournal(): Promise<string> {
    await deployment.startServer();
    for (let task = 0; task < 5; task += 1) await deployment.submit();
    await deployment.stop();
    return join(deployment.data, "journal", "db");
  }

  async function refusesToStart(): Promise<void> {
    deployment.errors.length = 0;
    await assert.rejects(deployment.startServer(), /E_JOURNAL_BROKEN[\s\S]*backup/);
  }

  it("refuses to start when a byte of a record was flipped, and says what to do", async () => {
    const db = await makeJournal();
    const largest = readdirSync(db)
      .filter((name) => /\.(log|ldb)$/.test(name))
      .map((name) => join(db, name))
      .sort((a, b) => statSync(b).size - statSync(a).size)[0]!;
    const bytes = readFileSync(largest);
    const middle = Math.floor(bytes.length / 2);
    bytes[middle] = (bytes[middle] ?? 0) ^ 0x40;
    writeFileSync(largest, bytes);
    await refusesToStart();
  });

  it("refuses to start when its write-ahead log was deleted, and says what to do", async () => {
    const db = await makeJournal();
    for (const name of readdirSync(db)) if (name.endsWith(".log")) rmSync(join(db, name));
    await refusesToStart();
  });

  it("refuses to share its data directory with a second server", async () => {
    await deployment.startServer();
    const second = spawnSync(
      process.execPath,
      [PROGRAM, "server", "--data", deployment.data, "--port", "0"],
      {
        encoding: "utf8",
        timeout: 20_000,
      },
    );
    assert.equal(second.status, 1);
    assert.match(second.stderr, /E_JOURNAL_LOCKED[\s\S]*Stop it first/);
  });

  it("stops on a full disk and says what to do; everything acknowledged is there when it starts again", async function () {
    requireRoot(this);
    mkdirSync(deployment.data, { mode: 0o700 });
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=6m,mode=0700", "tmpfs", deployment.data]);
    try {
      await deployment.startServer();
      const acknowledged: number[] = [];
      const space = `{"x":{"method":"categorical","dimension":{"categories":["${"y".repeat(200_000)}"]}}}`;
      await waitUntil(
        "the disk is full",
        async () => {
          try {
            acknowledged.push(await deployment.submit({ searchSpace: space }, { maxPoints: 1 }));
            return null;
          } catch {
            return deployment.serverHasEnded();
          }
        },
        { timeoutMs: 30_000, intervalMs: 1 },
      );
      assert.match(deployment.errors.join(""), /E_JOURNAL_WRITE[\s\S]*Free space/);
      assert.ok(acknowledged.length > 3);
      execFileSync("mount", ["-o", "remount,size=64m", deployment.data]);
      await deployment.startServer();
      for (const taskId of acknowledged)
        assert.equal((await deployment.task(taskId)).taskId, taskId);
    } finally {
      await deployment.stop();
      execFileSync("umount", ["-l", deployment.data]);
    }
  });
});
