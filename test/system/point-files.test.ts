import assert from "node:assert/strict";
import { closeSync, openSync, readFileSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { sha256OfFile } from "../../common/archive.ts";
import { TASK } from "../../protocol/limits.ts";
import type { PointDetail, WhyAnswer } from "../../protocol/rest.ts";
import { Deployment } from "../support/deployment.ts";
import { requireTool } from "../support/requires.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const LOSS = `echo '{"loss": 1}' > output.json`;
/** Until it is ended. */
const STAY = "while :; do sleep 0.1; done";
/** Bytes that nothing makes smaller. */
const noise = (bytes: number, file: string): string =>
  `head -c ${bytes} /dev/urandom > ${file}.new && mv ${file}.new ${file}`;

describe("what evaluations leave", function () {
  this.timeout(120_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path });
    await deployment.start();
  });
  afterEach(async () => {
    await deployment.stop();
    await directory.remove();
  });

  const cli = (...args: string[]): Promise<CliResult> =>
    runCli(args, {
      environment: { HYPERPILOT_DATA: deployment.data },
      cwd: directory.path,
    });
  const point = (taskId: number, id = "0"): Promise<PointDetail> =>
    deployment.request<PointDetail>("GET", `/tasks/${taskId}/points/${id}`);
  const why = (taskId: number): Promise<WhyAnswer> =>
    deployment.request<WhyAnswer>("GET", `/tasks/${taskId}/why`);
  /** Of the one evaluation that runs. */
  const workDirectory = (): string => {
    const scratch = readdirSync(directory.path).filter((name) => name.startsWith("hyperpilot-"));
    const all = scratch.flatMap((name) =>
      readdirSync(join(directory.path, name))
        .filter((inside) => inside.startsWith("payload-"))
        .map((inside) => join(directory.path, name, inside, "work")),
    );
    assert.equal(all.length, 1, all.join(" "));
    return all[0]!;
  };
  const blobFiles = (): string[] => {
    const blobs = join(deployment.data, "blobs");
    return readdirSync(blobs).flatMap((folder) =>
      folder.length === 2 ? readdirSync(join(blobs, folder)).map((rest) => folder + rest) : [],
    );
  };

  it("is printed, downloaded and shown; what is unfit costs no loss", async () => {
    const taskId = await deployment.submit(
      {
        evaluation: {
          container: "host:",
          exec: `echo '{"point": "é", "n": 1.0}' > meta.json; mkdir runs; echo 1 > runs/a; ${LOSS}
            if [ "$HYPERPILOT_POINT" = 1 ]; then echo nonsense > meta.json; rm -r runs; fi`,
          metadata: "meta.json",
          metrics: "runs",
        },
      },
      { maxPoints: 3 },
    );
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 3]);
    const printed = await cli("task", "metadata", "last");
    assert.equal(printed.exitCode, 0, printed.stderr);
    const metadata = { point: "é", n: 1 };
    assert.deepEqual(JSON.parse(printed.stdout), { "0": metadata, "2": metadata });
    assert.match(printed.stdout, /"n": 1\.0/);
    const one = JSON.parse(
      (await cli("task", "metadata", "last", "2", "--json")).stdout,
    ) as unknown;
    assert.deepEqual((one as { item: unknown }).item, { "2": metadata });
    const metrics = await cli("task", "metrics", "last", "--to", "metrics");
    const files = metrics.stdout.trim().split("\n");
    assert.deepEqual(
      files,
      ["0", "2"].map((id) => join(directory.path, "metrics", `${taskId}.metrics.${id}.tgz`)),
    );
    const { metrics: blob } = await point(taskId);
    assert.equal(await sha256OfFile(files[0]!), blob?.sha256);
    const shown = await cli("task", "point", "last", "1");
    assert.match(shown.stdout, /meta\.json is not kept as metadata, as it is not JSON/);
    assert.match(shown.stdout, /runs was not written/);
    assert.equal(blobFiles().length, 2, "equal contents are one blob each");
  });

  it("takes a checkpoint of 99.9 MB, and refuses 100 MB and 101 MB with the sizes, while the evaluation goes on", async () => {
    const wait = (name: string): string => `while ! [ -e ${name} ]; do sleep 0.1; done`;
    const exec = `mkdir state; ${noise(100_000, "state/small.pt")}; ${noise(99_800_000, "state/model.pt")}
      ${wait("second")}; ${noise(99_900_000, "state/model.pt")}
      ${wait("third")}; ${noise(100_900_000, "state/model.pt")}; ${STAY}`;
    const taskId = await deployment.submit(
      {
        evaluation: { container: "host:", exec },
        checkpoint: { save: ["state"], intervalMinutes: 0.01 },
      },
      { maxPoints: 1 },
    );
    const stored = await waitUntil(
      "99.9 MB are stored",
      async () => {
        if ((await deployment.task(taskId)).generated === 0) return null;
        // The smaller file may have been saved alone before.
        return (await point(taskId)).checkpoints.find(({ sizeBytes }) => sizeBytes > 99_900_000);
      },
      { timeoutMs: 60_000, intervalMs: 100 },
    );
    assert.ok(stored.sizeBytes <= TASK.checkpointBytesMax);
    for (const [name, bytes] of [
      ["second", 100_000_000],
      ["third", 101_000_000],
    ] as const) {
      writeFileSync(join(workDirectory(), name), "");
      const [warning] = await waitUntil(
        `${bytes} bytes are refused`,
        async () => {
          const { warnings } = await why(taskId);
          return warnings.some((text) => text.includes(String(bytes))) ? warnings : null;
        },
        { timeoutMs: 60_000, intervalMs: 100, state: () => deployment.errors.slice(-3) },
      );
      assert.match(warning ?? "", /point 0: the checkpoint is not saved, the one before stays/);
      assert.match(warning ?? "", new RegExp(`state/model.pt ${bytes - 100_000} bytes`));
      assert.match(warning ?? "", /state\/small.pt 100000 bytes/);
    }
    const { state, checkpoints, warnings } = await point(taskId);
    assert.deepEqual([state, checkpoints[0]], ["leased", stored]);
    assert.equal(warnings.length, 1);
    await cli("task", "kill", "last");
    await deployment.untilEnded(taskId);
    await waitUntil("its blob is gone", () => blobFiles().length === 0);
  });

  it("falls back to the checkpoint before when a byte of the newest is flipped on the server, and tells", async () => {
    // Each evaluation adds one to the number that it has begun from, saves that, and then crashes or stays.
    const exec = `n=$(cat state/n 2>/dev/null || echo 0); echo "began from $n"; mkdir -p state
      next() { n=$((n+1)); echo $n > state/n.new; mv state/n.new state/n; }
      next; [ $n -ge 3 ] && { ${LOSS}; exit 0; }; sleep 1; [ $n = 1 ] && next; ${STAY}`;
    const taskId = await deployment.submit(
      {
        evaluation: { container: "host:", exec },
        checkpoint: { save: ["state/n"], intervalMinutes: 0.005, keep: true },
      },
      { maxPoints: 1, maxEvaluationJobs: 10 },
    );
    const two = await waitUntil(
      "two checkpoints",
      async () => {
        if ((await deployment.task(taskId)).generated === 0) return null;
        const { checkpoints } = await point(taskId);
        return checkpoints.length === 2 ? checkpoints : null;
      },
      { timeoutMs: 30_000 },
    );
    const { sha256 } = two[0]!;
    const blob = join(deployment.data, "blobs", sha256.slice(0, 2), sha256.slice(2));
    const bytes = readFileSync(blob);
    const middle = bytes.length >> 1;
    const file = openSync(blob, "r+");
    writeSync(file, Buffer.from([bytes[middle]! ^ 1]), 0, 1, middle);
    closeSync(file);
    // What runs is given up; its point is evaluated again by another pilot.
    const pilots = await deployment.request<{ items: { pilotId: string }[] }>("GET", "/pilots");
    assert.equal(pilots.items.length, 1);
    process.kill(deployment.pilotPids()[0]!, "SIGKILL");
    // It began from the older one, which holds 1, and stays at 2.
    const fallen = await waitUntil(
      "the newest is dropped",
      async () => {
        const seen = await point(taskId);
        return seen.notices.length > 0 ? seen : null;
      },
      { timeoutMs: 60_000 },
    );
    assert.match(fallen.notices[0]?.text ?? "", /damaged on the server/);
    const said = await waitUntil("why tells it", async () => {
      const { warnings } = await why(taskId);
      return warnings[0];
    });
    assert.match(said, /point 0: a checkpoint could not be used: .*damaged on the server/);
    await waitUntil("it has come further", async () => {
      const { checkpoints } = await point(taskId);
      return checkpoints[0] !== undefined && checkpoints[0].sha256 !== two[1]?.sha256;
    });
    process.kill(deployment.pilotPids()[0]!, "SIGTERM");
    const task = await deployment.untilEnded(taskId);
    assert.equal(task.state, "finished");
    const log = Buffer.from(await deployment.download(`/tasks/${taskId}/points/0/log`)).toString();
    assert.deepEqual(
      [...log.matchAll(/began from (\d)/g)].map(([, n]) => n),
      ["1", "2"],
    );
    const shown = await cli("task", "point", "last", "0");
    assert.match(shown.stdout, /Notice.*damaged on the server/);
    const kept = await cli("task", "checkpoint", "last", "0", "--to", "kept");
    assert.equal(kept.exitCode, 0, kept.stderr);
    assert.match(kept.stdout, /checkpoint\.0\.tgz/);
  });
});
