import assert from "node:assert/strict";
import { Absences } from "../../../harvester/absence.ts";
import type { BatchDriver, BatchTruth } from "../../../harvester/driver.ts";
import { createFleet } from "../../../harvester/fleet.ts";
import { pilotScript } from "../../../harvester/pilot-script.ts";
import { clockText, pilotSize } from "../../../protocol/pilot-size.ts";
import { Batch } from "../../../protocol/batch.ts";
import { HARVESTER } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const RUNNING: BatchTruth = { type: "active", phase: "running", detail: "" };

/** A driver that counts what it is asked. */
class CountingDriver implements BatchDriver {
  asked: string[][] = [];
  answer: BatchTruth = RUNNING;

  submit(): Promise<{ batchId: string }> {
    return Promise.resolve({ batchId: "1" });
  }
  statusOf(ids: readonly string[]): Promise<ReadonlyMap<string, BatchTruth>> {
    this.asked.push([...ids]);
    return Promise.resolve(new Map(ids.map((id) => [id, this.answer])));
  }
  remove(): Promise<void> {
    return Promise.resolve();
  }
  capabilities() {
    return { restartsJobs: false, statusChunk: 2 };
  }
}

const SLURM = Batch.parse({ kind: "slurm", pollSeconds: 30 });
const LSF = Batch.parse({ kind: "lsf", pollSeconds: 30 });

function fleetOf(batches: Record<string, Batch>) {
  const clock = new FakeClock();
  const drivers = new Map<string, CountingDriver>();
  const fleet = createFleet({
    clock,
    batchOf: (id) => batches[id] ?? SLURM,
    createDriver: (batch) => {
      const driver = new CountingDriver();
      drivers.set(batch.kind, driver);
      return driver;
    },
  });
  return { clock, drivers, fleet };
}

describe("the harvester's fleet", () => {
  it("asks each batch system about its own jobs, in chunks", async () => {
    const { fleet, drivers } = fleetOf({ a: SLURM, b: LSF, c: SLURM, d: SLURM });
    const truths = await fleet.statusOf(["a", "b", "c", "d"]);
    assert.equal(truths.size, 4);
    assert.deepEqual(drivers.get("slurm")?.asked, [["a", "c"], ["d"]]);
    assert.deepEqual(drivers.get("lsf")?.asked, [["b"]]);
  });

  it("asks again only when the poll interval has passed, and keeps what it was told until then", async () => {
    const { fleet, drivers, clock } = fleetOf({});
    for (let cycle = 0; cycle < 10; cycle += 1) {
      assert.equal((await fleet.statusOf(["a"])).get("a")?.type, "active");
      clock.advance(2_000);
    }
    assert.equal(drivers.get("slurm")?.asked.length, 1);
    clock.advance(30_000);
    await fleet.statusOf(["a"]);
    assert.equal(drivers.get("slurm")?.asked.length, 2);
  });

  it("waits longer after each failure, up to a bound", async () => {
    const { fleet, drivers, clock } = fleetOf({});
    await fleet.statusOf(["a"]);
    const driver = drivers.get("slurm");
    assert.ok(driver !== undefined);
    driver.answer = { type: "commandFailed", detail: "no answer" };
    const pauses: number[] = [];
    let last = 0;
    for (let second = 0; second < 7_200; second += 5) {
      clock.advance(5_000);
      const before = driver.asked.length;
      await fleet.statusOf(["a"]);
      if (driver.asked.length === before) continue;
      pauses.push(second - last);
      last = second;
    }
    assert.deepEqual(pauses.slice(1, 6), [30, 60, 120, 240, 480]);
    assert.ok(Math.max(...pauses) <= HARVESTER.pollPauseMsMax / 1_000 + 5);
  });
});

describe("a job that the batch system does not list", () => {
  it("has ended only after several complete answers in a row without it", () => {
    const absences = new Absences();
    const judge = (found: Map<string, BatchTruth>): string | undefined =>
      absences.judge(["a"], found, "Slurm").get("a")?.type;
    for (let answer = 1; answer < HARVESTER.absentAnswersToEnd; answer += 1)
      assert.equal(judge(new Map()), "unknown");
    assert.equal(judge(new Map([["a", RUNNING]])), "active");
    for (let answer = 1; answer < HARVESTER.absentAnswersToEnd; answer += 1)
      assert.equal(judge(new Map()), "unknown");
    assert.equal(judge(new Map()), "ended");
  });
});

describe("a pilot's job", () => {
  const queue = QueueConfig.parse({
    name: "q",
    slot: { cpus: 0.5, memoryMiB: 1_000, gpus: 1, walltimeSeconds: 93_784 },
    limits: { maxSlotsPerPilot: 3 },
    pilot: { preamble: ["module load apptainer"] },
  });

  it("asks for all slots of the pilot together, in whole CPUs", () => {
    assert.deepEqual(pilotSize(queue), {
      cpus: 2,
      memoryMiB: 3_000,
      gpus: 3,
      walltimeSeconds: 93_784,
    });
    assert.equal(clockText(93_784), "26:03:04");
  });

  it("becomes the pilot, after the operator's lines", () => {
    const text = pilotScript({ submissionId: "s", queue, launch: ["/opt/my node", "boot.json"] });
    const lines = text.trim().split("\n");
    assert.equal(lines.at(-1), "exec '/opt/my node' boot.json");
    assert.ok(lines.indexOf("module load apptainer") > 0);
  });

  it("stays for the operator's epilogue, and hands signals on", () => {
    const withEpilogue = { ...queue, pilot: { ...queue.pilot, epilogue: ["rm -rf /scratch/x"] } };
    const text = pilotScript({ submissionId: "s", queue: withEpilogue, launch: ["pilot"] });
    assert.match(text, /trap 'kill -s USR1 "\$pilot" 2>\/dev\/null' USR1/);
    assert.match(text, /pilot &\npilot=\$!/);
    assert.match(text, /rm -rf \/scratch\/x\nexit "\$status"\n$/);
  });
});
