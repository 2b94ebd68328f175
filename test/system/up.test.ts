import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import { runCli, startCli, type RunningCli } from "../support/run-cli.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("hyperpilot up", () => {
  let directory: TemporaryDirectory;
  let data: string;
  let up: RunningCli | null = null;

  const start = async (): Promise<RunningCli> => {
    const started = startCli(["up", "--data", data, "--port", "0"]);
    up = started;
    await waitUntil("it listens", () => started.stdout().includes("listens on"), {
      timeoutMs: 30_000,
      state: () => started.stdout() + started.stderr(),
    });
    return started;
  };
  /** Living processes that were started with this data directory. */
  const processes = (): { pid: number; words: string[] }[] =>
    readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .flatMap((name) => {
        try {
          const words = readFileSync(`/proc/${name}/cmdline`, "utf8").split("\0");
          return words.includes(data) ? [{ pid: Number(name), words }] : [];
        } catch {
          // It ended meanwhile.
          return [];
        }
      });
  const pidOf = (program: string): number | null =>
    processes().find(({ words }) => words.includes(program))?.pid ?? null;
  const isAnswering = async (): Promise<boolean> =>
    (await runCli(["task", "list", "--data", data])).exitCode === 0;

  beforeEach(() => {
    directory = temporaryDirectory();
    data = join(directory.path, "data");
  });

  afterEach(async () => {
    up?.child.kill("SIGKILL");
    up = null;
    await waitUntil("everything has ended", () => processes().length === 0, {
      timeoutMs: 50_000,
      state: processes,
    });
    await directory.remove();
  });

  it("starts everything in an empty directory and ends it in order", async function () {
    this.timeout(60_000);
    const running = await start();
    assert.match(running.stdout(), /^✓ Hyperpilot listens on http:\/\/127\.0\.0\.1:\d+, data in /);
    // It comes through another pipe than the line that `start` waits for.
    await waitUntil("it has said how to go on", () => running.stderr() !== "");
    assert.match(running.stderr(), /hyperpilot submit --space/);
    assert.ok(await isAnswering());
    await waitUntil("the harvester is connected", async () => {
      const queues = await runCli(["site", "queues", "--data", data]);
      return /^local\tlocal\tonline\t.*\tlocal\t/m.test(queues.stdout);
    });
    running.child.kill("SIGTERM");
    const result = await running.ended;
    assert.equal(result.exitCode, 0, result.stderr);
    assert.deepEqual(processes(), []);
    assert.ok(!existsSync(join(data, "up.lock")));
  });

  it("refuses a second one on the same directory, and starts again after the first was killed", async function () {
    this.timeout(90_000);
    const running = await start();
    const second = await runCli(["up", "--data", data, "--port", "0"]);
    assert.equal(second.exitCode, EXIT.conflict);
    assert.match(
      second.stderr,
      new RegExp(`E_CONFLICT .*\\n {2}Why {3}Process ${running.child.pid} runs it`),
    );
    assert.ok(await isAnswering());
    running.child.kill("SIGKILL");
    await running.ended;
    await waitUntil("its programs have ended with it", () => processes().length === 0, {
      timeoutMs: 50_000,
      state: processes,
    });
    const again = await start();
    assert.ok(await isAnswering());
    again.child.kill("SIGTERM");
    assert.equal((await again.ended).exitCode, 0);
  });

  it("ends at once when it is told to while it starts", async function () {
    this.timeout(30_000);
    const running = startCli(["up", "--data", data, "--port", "0"]);
    up = running;
    await waitUntil("the server was started", () => pidOf("server") !== null);
    running.child.kill("SIGTERM");
    assert.equal((await running.ended).exitCode, 0);
    assert.deepEqual(processes(), []);
  });

  it("starts a server that was killed again, at the same address", async function () {
    this.timeout(60_000);
    const running = await start();
    const before = readFileSync(join(data, "access.json"), "utf8");
    const pid = pidOf("server");
    assert.ok(pid !== null);
    process.kill(pid, "SIGKILL");
    await waitUntil("another server", () => ![null, pid].includes(pidOf("server")), {
      timeoutMs: 20_000,
    });
    await waitUntil("it answers", isAnswering, { timeoutMs: 20_000 });
    assert.equal(readFileSync(join(data, "access.json"), "utf8"), before);
    assert.match(running.stderr(), /The server ended \(SIGKILL\); started again in/);
    running.child.kill("SIGINT");
    assert.equal((await running.ended).exitCode, 0);
  });

  it("gives up a server that cannot start, with the server's own words", async function () {
    this.timeout(60_000);
    const result = await runCli(["up", "--data", data, "--host", "203.0.113.1"]);
    assert.equal(result.exitCode, EXIT.failed);
    assert.match(result.stderr, /E_INTERNAL The server cannot be kept running: exit code 2/);
    assert.match(
      result.stderr,
      /E_CONFIG The server does not listen on 203\.0\.113\.1 without encryption/,
    );
  });
});
