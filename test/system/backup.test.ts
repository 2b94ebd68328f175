import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { Deployment } from "../support/deployment.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Distinguishes the evaluations of this test from all other processes. */
const SLEEP = `sleep 4.0${process.pid}`;

describe("backup and restore of a real server", function () {
  this.timeout(120_000);
  let root: TemporaryDirectory;
  let old: Deployment;
  let restored: Deployment | null;

  beforeEach(() => {
    root = temporaryDirectory();
    old = new Deployment({ directory: join(root.path, "old") });
    mkdirSync(join(root.path, "old"));
    restored = null;
  });
  afterEach(async () => {
    // The harvester and its pilots belong to the old one.
    await old.stop();
    await restored?.stop();
    await root.remove();
  });

  function cli(...args: string[]): Promise<CliResult> {
    return runCli(["server", ...args]);
  }

  async function succeeds(...args: string[]): Promise<Record<string, unknown>> {
    const { exitCode, stdout, stderr } = await cli(...args, "--json");
    assert.equal(exitCode, 0, stderr);
    return (JSON.parse(stdout) as { item: Record<string, unknown> }).item;
  }

  it("lets a pilot that holds a lease across a restore go on; its old result is stale, the point is evaluated again", async () => {
    await old.start();
    const exec = `${SLEEP}; echo '{"loss": 0.5}' > output.json`;
    const evaluation = { container: "host:", exec };
    const limits = { maxPoints: 2, nParallelEvaluation: 1 };
    const taskId = await old.submit({ evaluation }, limits);
    await waitUntil("a point is being evaluated", () => isSleeping() || null, {
      timeoutMs: 40_000,
      state: () => old.errors.slice(-5),
    });

    const file = join(root.path, "backup");
    const made = await succeeds("backup", "--data", old.data, "--to", file);
    assert.equal(made["file"], file);
    assert.equal(statSync(file).mode & 0o777, 0o600);

    const busy = await cli("fsck", "--data", old.data);
    assert.equal(busy.exitCode, 1);
    assert.match(busy.stderr, /E_JOURNAL_LOCKED/);

    const port = Number(new URL(old.address).port);
    await old.killServer();
    await waitUntil("the evaluation has ended without a server", () => !isSleeping() || null, {
      timeoutMs: 30_000,
    });
    const other = join(root.path, "new");
    mkdirSync(other);
    restored = new Deployment({ directory: other, port });
    const report = await succeeds("restore", "--from", file, "--data", restored.data);
    assert.equal(report["leasesEnded"], 1);
    const again = await cli("restore", "--from", file, "--data", restored.data);
    assert.equal(again.exitCode, 7, again.stderr);
    await restored.startServer();
    const task = await restored.untilEnded(taskId, 90_000);
    assert.equal(task.state, "finished");
    assert.equal(task.points.done, 2);

    const events = await restored.journalAfterStop();
    const incarnation = report["incarnation"];
    const attempts = events.flatMap((event) => (event.type === "attemptEnded" ? [event] : []));
    assert.equal(attempts.length, 2);
    for (const { epoch } of attempts) assert.equal(epoch[0], incarnation);
    const ended = events.flatMap((event) => (event.type === "leaseEnded" ? [event.reason] : []));
    assert.equal(ended[0], "restored");
    const check = await cli("fsck", "--data", restored.data);
    assert.equal(check.exitCode, 0, check.stdout + check.stderr);
  });

  it("makes the same backup of a stopped server, and fsck tells a good directory from a damaged one", async () => {
    await old.startServer();
    await old.submit();
    await old.stop();
    const good = await cli("fsck", "--data", old.data);
    assert.equal(good.exitCode, 0, good.stderr);
    assert.match(good.stdout, /^journal\tgood\t/m);
    assert.match(good.stderr, /is good/);
    const file = join(root.path, "backup");
    assert.equal((await succeeds("backup", "--data", old.data, "--to", file))["files"], 3);
    const taken = await cli("backup", "--data", old.data, "--to", file);
    assert.match(taken.stderr, /E_CONFLICT/);
    const db = join(old.data, "journal", "db");
    const log = readdirSync(db).find((name) => name.endsWith(".log") || name.endsWith(".ldb"));
    assert.ok(log !== undefined);
    truncateSync(join(db, log), readFileSync(join(db, log)).length >> 1);
    const damaged = await cli("fsck", "--data", old.data);
    assert.equal(damaged.exitCode, 1);
    assert.match(damaged.stdout, /\tBAD\t/);
    assert.match(damaged.stderr, /server restore --from FILE/);
  });

  /** Whether an evaluation of this test runs anywhere on this machine. */
  function isSleeping(): boolean {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .some((pid) => {
        try {
          const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
          return words === SLEEP;
        } catch {
          return false;
        }
      });
  }
});
