import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { extractArchive, packFiles } from "../../common/archive.ts";
import type { PointDetail } from "../../protocol/rest.ts";
import type { TaskSpecificationInput } from "../../protocol/task.ts";
import { Deployment } from "../support/deployment.ts";
import { makePythonImage } from "../support/python-image.ts";
import { requireTool } from "../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

const EXAMPLE = "examples/resume";
const EPOCHS = 30;
const TRAIN = `python3 train.py --epochs ${EPOCHS} --seconds 0.12`;
const SPACE = `{"learning_rate": {"method": "loguniform", "dimension": {"low": 0.001, "high": 0.1}},
  "momentum": {"method": "uniform", "dimension": {"low": 0.0, "high": 0.95}}}`;
const SIGNALS = ["SIGTERM", "SIGKILL", "SIGTERM", "SIGKILL", "SIGTERM"] as const;

interface Bench {
  readonly directory: TemporaryDirectory;
  readonly deployment: Deployment;
  readonly sandboxSha256: string;
}

async function startBench(options: {
  readonly serverArguments?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly directory: TemporaryDirectory;
}): Promise<Bench> {
  const { directory } = options;
  const deployment = new Deployment({ ...options, directory: directory.path });
  await deployment.start();
  const tarball = join(directory.path, "sandbox.tgz");
  const { sha256 } = await packFiles(EXAMPLE, ["train.py"], tarball);
  await deployment.upload(`/sandboxes/${sha256}`, readFileSync(tarball));
  return { directory, deployment, sandboxSha256: sha256 };
}

function training(bench: Bench, change: Partial<TaskSpecificationInput>): Promise<number> {
  const { deployment, sandboxSha256 } = bench;
  const evaluation = { container: "host:", exec: TRAIN };
  const checkpoint = { save: ["state/state.json"], intervalMinutes: 0.003 };
  return deployment.submit(
    { searchSpace: SPACE, sandboxSha256, evaluation, checkpoint, ...change },
    { maxPoints: 1, maxEvaluationJobs: 50 },
  );
}

/** With --checkPointToLoad: the training itself unpacks what was saved. */
function fromTarball(container: string): Partial<TaskSpecificationInput> {
  const load = "saved/checkpoint.tgz";
  return {
    evaluation: { container, exec: `${TRAIN} --tarball ${load}` },
    checkpoint: { save: ["state"], load, intervalMinutes: 0.003 },
  };
}

function pointOf({ deployment }: Bench, taskId: number): Promise<PointDetail> {
  return deployment.request<PointDetail>("GET", `/tasks/${taskId}/points/0`);
}

/** The epoch in the newest checkpoint on the server. */
async function savedEpoch(bench: Bench, taskId: number, number: number): Promise<number> {
  const { deployment, directory } = bench;
  const bytes = await deployment.download(`/tasks/${taskId}/points/0/files/checkpoint`);
  const place = join(directory.path, `looked-at-${taskId}-${number}`);
  mkdirSync(place);
  writeFileSync(join(place, "c.tgz"), bytes);
  await extractArchive(join(place, "c.tgz"), join(place, "c"), {
    filesMax: 10,
    bytesMax: 1_000_000,
    depthMax: 4,
  });
  const state = readFileSync(join(place, "c", "state", "state.json"), "utf8");
  return (JSON.parse(state) as { epoch: number }).epoch;
}

/** Epochs that the leases say they began after, with the last one each of them came to; leases that were killed say nothing. */
function leasesOf(log: string): { began: number; last: number }[] {
  return log
    .split(/^=== lease .* ===$/m)
    .slice(1)
    .map((text) => ({
      began: Number(/begins after epoch (\d+)/.exec(text)?.[1] ?? NaN),
      last: Number([...text.matchAll(/^epoch (\d+) /gm)].at(-1)?.[1] ?? NaN),
    }));
}

async function undisturbedLoss(bench: Bench, change: Partial<TaskSpecificationInput>) {
  const exec = change.evaluation?.exec.replace("0.12", "0") ?? TRAIN.replace("0.12", "0");
  const container = change.evaluation?.container ?? "host:";
  const taskId = await training(bench, { ...change, evaluation: { container, exec } });
  const task = await bench.deployment.untilEnded(taskId);
  assert.equal(task.state, "finished", JSON.stringify(task));
  return task.best?.loss;
}

/** Ends the pilot in mid-training, again and again, each time when a newer state has been saved; checks all that is promised. */
async function evictAgainAndAgain(
  bench: Bench,
  change: Partial<TaskSpecificationInput>,
  signals: readonly NodeJS.Signals[],
): Promise<void> {
  const expected = await undisturbedLoss(bench, change);
  const taskId = await training(bench, change);
  await waitUntil(
    "there is a point",
    async () => (await bench.deployment.task(taskId)).generated > 0,
  );
  const saved: number[] = [];
  let newest = "";
  for (const [number, signal] of signals.entries()) {
    await waitUntil(
      `a checkpoint newer than ${newest.slice(0, 8)} before ${signal} ${number}`,
      async () => {
        const { state, checkpoints } = await pointOf(bench, taskId);
        assert.equal(state === "ready" || state === "leased", true, state);
        const sha256 = checkpoints[0]?.sha256 ?? "";
        if (state !== "leased" || sha256 === "" || sha256 === newest) return null;
        newest = sha256;
        return true;
      },
      { timeoutMs: 60_000, state: () => bench.deployment.errors.slice(-5) },
    );
    const pids = bench.deployment.pilotPids();
    assert.equal(pids.length, 1, `pilots: ${pids.join(" ")}`);
    saved.push(await savedEpoch(bench, taskId, number));
    process.kill(pids[0]!, signal);
    await waitUntil("the pilot is gone", () => !bench.deployment.pilotPids().includes(pids[0]!), {
      timeoutMs: 60_000,
    });
    await waitUntil("the server knows", async () => {
      const { interruptions } = await pointOf(bench, taskId);
      return interruptions > number;
    });
    // What was saved at the eviction is not the newer one that is waited for.
    newest = (await pointOf(bench, taskId)).checkpoints[0]?.sha256 ?? "";
  }
  const task = await bench.deployment.untilEnded(taskId, 90_000);
  assert.equal(task.state, "finished", JSON.stringify(task));
  assert.equal(task.best?.loss, expected, "the loss is that of an undisturbed training");
  const point = await pointOf(bench, taskId);
  const counts = [point.attempts, point.interruptions];
  assert.deepEqual(counts, [1, signals.length], JSON.stringify(point.history));
  assert.deepEqual(point.checkpoints, [], "a final point keeps none");
  assert.notEqual(point.history.at(-1)?.restored, null);
  const log = await bench.deployment.download(`/tasks/${taskId}/points/0/log`);
  const leases = leasesOf(Buffer.from(log).toString());
  // Leases that were killed have left no output: those after a SIGKILL, and the last one, are looked at.
  const told = signals.flatMap((signal, number) => (signal === "SIGTERM" ? [number] : []));
  assert.equal(leases.length, told.length + 1, Buffer.from(log).toString());
  for (const [index, number] of [...told, signals.length].entries()) {
    const { began } = leases[index]!;
    if (number === 0) assert.equal(began, 0);
    else assert.ok(began >= saved[number - 1]!, `lease ${number} began after epoch ${began}`);
    const before = leases[index - 1];
    // Asked to go, a pilot saves once more: not one epoch is trained twice.
    if (number > 0 && signals[number - 1] === "SIGTERM") assert.ok(began >= before!.last);
  }
  assert.equal(leases.at(-1)?.last, EPOCHS);
}

describe("a training that is evicted in mid-way (bubblewrap)", function () {
  this.timeout(180_000);
  let bench: Bench;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    bench = await startBench({ directory: temporaryDirectory() });
  });
  afterEach(async () => {
    await bench.deployment.stop();
    await bench.directory.remove();
  });

  it("5 times by SIGTERM and by kill -9 of its pilot: repeats at most what was not saved, with the same loss", async () => {
    await evictAgainAndAgain(bench, {}, SIGNALS);
  });

  it("goes on from a tarball with --checkPointToLoad", async () => {
    await evictAgainAndAgain(bench, fromTarball("host:"), ["SIGTERM", "SIGKILL"]);
  });
});

describe("a training that is evicted in mid-way (apptainer)", function () {
  this.timeout(240_000);
  let bench: Bench;
  let image: string;

  before(function () {
    requireTestbed(this);
    requireTool(this, "python3");
  });
  beforeEach(async () => {
    const directory = temporaryDirectory();
    image = join(directory.path, "image");
    makePythonImage(testbed.imageDirectory, image);
    bench = await startBench({
      directory,
      serverArguments: ["--local-queue", "--readOnlyPath", directory.path],
      environment: { PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}` },
    });
  });
  afterEach(async () => {
    await bench.deployment.stop();
    await bench.directory.remove();
  });

  it("5 times by SIGTERM and by kill -9 of its pilot: repeats at most what was not saved, with the same loss", async () => {
    await evictAgainAndAgain(bench, { evaluation: { container: image, exec: TRAIN } }, SIGNALS);
  });

  it("goes on from a tarball with --checkPointToLoad", async () => {
    await evictAgainAndAgain(bench, fromTarball(image), ["SIGTERM", "SIGKILL"]);
  });
});
