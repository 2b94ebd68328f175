import assert from "node:assert/strict";
import { QueueConfig } from "../../../protocol/queue.ts";
import type { BatchKind } from "../../../protocol/batch.ts";
import { BATCH_CAUSES } from "../../../server/queues/causes/batch-causes.ts";
import { causeIn } from "../../../server/queues/causes/cause.ts";
import { PILOT_CAUSES } from "../../../server/queues/causes/pilot-causes.ts";
import { explainQueue } from "../../../server/queues/funnel.ts";
import { lastWords, tellingLines } from "../../../server/queues/job-lines.ts";
import { World } from "../../support/reactor-world.ts";

function queueOf(kind: BatchKind): QueueConfig {
  const batch = kind === "kubernetes" ? { kind, image: "pilot:1" } : { kind };
  return QueueConfig.parse({ name: "q", batch });
}

describe("the funnel of a queue", () => {
  for (const state of ["offline", "drain"] as const) {
    it(`names ${state} as the cause, also while pilots are there`, () => {
      const world = new World();
      world.pilot();
      world.submit({}, { maxPoints: 1 });
      const queue = QueueConfig.parse({ ...world.core.queues.get("local"), state });
      world.command({ type: "putQueue", config: queue });
      const { cause, stages } = explainQueue(world.core, world.reactor.live, queue, world.nowMs);
      assert.equal(cause?.code, state === "offline" ? "queueOffline" : "queueDrained");
      assert.match(stages[0]?.sentence ?? "", /1 pilot still connected/);
      assert.match(cause.remedy, /site queue online local/);
    });
  }
});

describe("causes by the words of batch systems", () => {
  const cases: readonly (readonly [BatchKind, string, string])[] = [
    ["slurm", "sbatch: error: invalid partition specified: bacth", "wrongPartition"],
    ["slurm", "job 1 PENDING (uid 1500 not in group permitted to use this partition (hep). groups allowed: root)", "notPermitted"],
    ["slurm", "job 7 PENDING (PartitionTimeLimit)", "noWalltimeFits"],
    ["slurm", "job 7 PENDING (Priority)", "waitsForTurn"],
    ["slurm", "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)", "batchSystemDown"],
    ["htcondor", "ERROR: Can't find address of local schedd", "batchSystemDown"],
    ["htcondor", "job 3.0 held: via condor_hold (by user root)", "jobHeld"],
    ["htcondor", "job 3.0 idle", "waitsForTurn"],
    ["gridengine", "Unable to run job: unknown queue \"bacth\"", "wrongPartition"],
    ["gridengine", "job 9 Eqw", "jobInError"],
    ["pbs", "qsub: Unknown queue", "wrongPartition"],
    ["pbs", "qsub: would exceed queue generic's per-user limit", "submitQuota"],
    ["lsf", "nosuch: No such queue. Job not submitted.", "wrongPartition"],
    ["lsf", "RUNLIMIT: Cannot exceed queue's hard limit(s). Job not submitted.", "noWalltimeFits"],
    ["kubernetes", "Error from server (Forbidden): jobs.batch is forbidden: User cannot create", "notPermitted"],
    ["kubernetes", "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.", "noGpuAtSite"],
    ["kubernetes", "pod waits: ImagePullBackOff", "imagePullAtSite"],
  ]; // prettier-ignore
  for (const [kind, words, code] of cases) {
    it(`${kind}: "${words.slice(0, 60)}" is ${code}`, () => {
      assert.equal(causeIn(BATCH_CAUSES, queueOf(kind), words)?.code, code);
    });
  }

  it("are nothing that could be guessed from words that nobody knows", () => {
    assert.equal(causeIn(BATCH_CAUSES, queueOf("slurm"), "something quite new"), null);
    assert.equal(causeIn(PILOT_CAUSES, queueOf("slurm"), "something quite new"), null);
  });
});

describe("a job's output", () => {
  const event = (level: string, text: string): string =>
    `{"time":"2026-01-01T00:00:00Z","level":"${level}","event":"probed","error":"${text}"}`;

  it("is looked at without what the pilot notes when all goes well", () => {
    const output = `${event("info", "docker: command not found")}\n${event("warn", "refused")}\n\n`;
    assert.deepEqual(tellingLines(output), [event("warn", "refused")]);
    assert.equal(lastWords(output), "probed: refused");
  });

  it("is named by its error, wherever that stands, else by its last line", () => {
    assert.equal(lastWords("one\n✗ E_CONFIG wrong\n  Do    this\n"), "✗ E_CONFIG wrong");
    assert.equal(lastWords("one\ntwo\n"), "two");
    assert.equal(lastWords('{"time":cut'), '{"time":cut');
    assert.equal(lastWords(""), "");
  });
});
