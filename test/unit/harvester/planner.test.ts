import assert from "node:assert/strict";
import {
  healthyQueue,
  isPaused,
  noteConnected,
  noteEnded,
  noteSubmitFailed,
  noteSubmitted,
  planQueue,
  type KnownSubmission,
  type QueueHealth,
  type QueueSituation,
  type Step,
} from "../../../harvester/planner.ts";
import type { BatchTruth } from "../../../harvester/driver.ts";
import { HARVESTER } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";

const NOW_MS = 1_000_000;

interface Change extends Partial<Omit<QueueSituation, "queue">> {
  readonly state?: QueueConfig["state"];
  readonly limits?: Partial<QueueConfig["limits"]>;
}

function plan(change: Change, nowMs = NOW_MS): Step[] {
  const { state = "online", limits = {}, ...rest } = change;
  const all = { maxPilots: 100, maxQueued: 100, maxPerCycle: 100, maxSlotsPerPilot: null };
  const queue = QueueConfig.parse({ name: "q", state, limits: { ...all, ...limits } });
  return planQueue(
    {
      queue,
      wantedPilots: 0,
      submissions: [],
      freeSecrets: Array.from({ length: 1_000 }, (_, index) => `free-${index}`),
      health: healthyQueue(),
      secretsAsked: false,
      ...rest,
    },
    nowMs,
  );
}

function ofType<T extends Step["type"]>(
  steps: readonly Step[],
  type: T,
): Extract<Step, { type: T }>[] {
  return steps.filter((step): step is Extract<Step, { type: T }> => step.type === type);
}

const submits = (change: Change, nowMs?: number): number =>
  ofType(plan(change, nowMs), "submit").length;
const reportIn = (change: Change) => ofType(plan(change), "report")[0]!;

function pilots(
  count: number,
  truth: BatchTruth,
  change: Partial<KnownSubmission> = {},
): KnownSubmission[] {
  return Array.from({ length: count }, (_, index) => ({
    submissionId: `${truth.type}-${index}`,
    batchId: String(index),
    truth,
    submitError: null,
    connected: false,
    ...change,
  }));
}

const QUEUED: BatchTruth = { type: "active", phase: "queued", detail: "Priority" };
const RUNNING: BatchTruth = { type: "active", phase: "running", detail: "node1" };
const ENDED: BatchTruth = { type: "ended", detail: "exit status 1" };
const UNKNOWN: BatchTruth = { type: "unknown", detail: "not listed" };
const FAILED: BatchTruth = { type: "commandFailed", detail: "squeue: time-out" };

function pausedQueue(): QueueHealth {
  const health = healthyQueue();
  for (let count = 0; count < HARVESTER.submitFailuresToPause; count += 1) {
    noteSubmitFailed(health, "sbatch: invalid partition", NOW_MS);
  }
  return health;
}

describe("harvester planner: how many are submitted", () => {
  it("submits what is wanted and not there yet", () => {
    assert.equal(submits({ wantedPilots: 5, submissions: pilots(2, RUNNING) }), 3);
  });

  it("counts every submission that has not ended: queued, running, connected or not", () => {
    const submissions = [
      ...pilots(1, QUEUED),
      ...pilots(1, RUNNING, { submissionId: "b", connected: true }),
      ...pilots(1, RUNNING, { submissionId: "c" }),
    ];
    assert.equal(submits({ wantedPilots: 3, submissions }), 0);
  });

  for (const truth of [UNKNOWN, FAILED]) {
    it(`takes "${truth.type}" for no end and makes up for nothing`, () => {
      const steps = plan({ wantedPilots: 2, submissions: pilots(2, truth) });
      assert.deepEqual(
        steps.map(({ type }) => type),
        ["report"],
      );
      const states = ofType(steps, "report")[0]!.submissions.map(({ state }) => state);
      assert.deepEqual(states, ["unknown", "unknown"]);
    });
  }

  it("never exceeds maxPilots", () => {
    const limits = { maxPilots: 4 };
    assert.equal(submits({ wantedPilots: 50, limits, submissions: pilots(3, RUNNING) }), 1);
  });

  it("never exceeds maxQueued, where pilots that have connected do not count", () => {
    const submissions = [...pilots(2, QUEUED), ...pilots(5, RUNNING, { connected: true })];
    assert.equal(submits({ wantedPilots: 50, limits: { maxQueued: 3 }, submissions }), 1);
  });

  it("never exceeds maxPerCycle", () => {
    assert.equal(submits({ wantedPilots: 50, limits: { maxPerCycle: 7 } }), 7);
  });

  it("removes nothing when fewer are wanted than exist", () => {
    const steps = plan({ wantedPilots: 0, submissions: pilots(3, QUEUED) });
    assert.deepEqual(ofType(steps, "remove"), []);
  });

  it("makes up for a submission that has ended", () => {
    const steps = plan({ wantedPilots: 1, submissions: pilots(1, ENDED) });
    assert.deepEqual(
      steps.map(({ type }) => type),
      ["ended", "submit", "report"],
    );
  });
});

describe("harvester planner: states of a queue", () => {
  for (const state of ["drain", "offline"] as const) {
    it(`submits nothing in ${state}`, () => {
      assert.equal(submits({ wantedPilots: 3, state }), 0);
    });
  }

  it("has one pilot at most in test", () => {
    assert.equal(submits({ wantedPilots: 3, state: "test" }), 1);
    assert.equal(submits({ wantedPilots: 3, state: "test", submissions: pilots(1, RUNNING) }), 0);
  });

  it("takes back in offline what has not connected, and leaves pilots that have to end by themselves", () => {
    const submissions = [
      ...pilots(1, QUEUED, { submissionId: "waits" }),
      ...pilots(1, RUNNING, { submissionId: "works", connected: true }),
      ...pilots(1, UNKNOWN, { submissionId: "who knows" }),
    ];
    const removed = ofType(plan({ state: "offline", submissions }), "remove");
    assert.deepEqual(
      removed.map(({ submissionId }) => submissionId),
      ["waits"],
    );
    assert.deepEqual(ofType(plan({ state: "drain", submissions }), "remove"), []);
  });
});

describe("harvester planner: secrets", () => {
  it("asks for what it lacks, and not again before the answer", () => {
    const change = { wantedPilots: 5, freeSecrets: ["a", "b"] };
    assert.equal(submits(change), 2);
    assert.equal(reportIn(change).secretsNeeded, 3);
    assert.equal(reportIn({ ...change, secretsAsked: true }).secretsNeeded, 0);
  });

  it("asks for no more, and reports no more, than one report may hold", () => {
    const over = HARVESTER.submissionsPerReportMax + 1;
    const limits = { maxPilots: 2_000, maxQueued: 2_000, maxPerCycle: 1_000 };
    const submissions = pilots(over, QUEUED);
    const report = reportIn({ wantedPilots: 2_000, limits, freeSecrets: [], submissions });
    assert.equal(report.secretsNeeded, HARVESTER.submissionsPerReportMax);
    assert.equal(report.submissions.length, HARVESTER.submissionsPerReportMax);
  });

  it("cuts long words of the batch system, which would not fit into a message", () => {
    const detail = "x".repeat(100_000);
    const health = { ...healthyQueue(), lastError: detail };
    const submissions = pilots(1, { type: "active", phase: "queued", detail });
    const report = reportIn({ submissions, health });
    assert.equal(report.submissions[0]!.detail.length, 1_000);
    assert.equal(report.lastError!.length, 1_000);
  });
});

describe("harvester planner: a queue pauses and probes itself", () => {
  it("pauses after 10 failed submits in a row, with the cause", () => {
    const health = pausedQueue();
    assert.equal(submits({ wantedPilots: 5, health }), 0);
    assert.equal(reportIn({ health }).lastError, "paused: sbatch: invalid partition");
    assert.equal(isPaused(health, NOW_MS), true);
  });

  it("does not pause when a submit works in between", () => {
    const health = healthyQueue();
    for (let count = 0; count < 3 * HARVESTER.submitFailuresToPause; count += 1) {
      noteSubmitFailed(health, "sbatch: busy", NOW_MS);
      if (count % 5 === 0) noteSubmitted(health);
    }
    assert.equal(submits({ wantedPilots: 5, health }), 5);
  });

  it("pauses after 3 pilots in a row that ended without ever connecting, with the cause", () => {
    const health = healthyQueue();
    for (let count = 0; count < HARVESTER.neverConnectedToPause; count += 1) {
      assert.equal(submits({ wantedPilots: 5, health }), 5);
      noteEnded(health, false, "node: not found", NOW_MS);
    }
    assert.equal(submits({ wantedPilots: 5, health }), 0);
    assert.match(reportIn({ health }).lastError!, /^paused: .*node: not found$/);
  });

  it("tries one submission when the delay is over, and no second one while the first waits", () => {
    const health = pausedQueue();
    const due = health.probeAtMs!;
    assert.equal(submits({ wantedPilots: 5, health }, due - 1), 0);
    assert.equal(submits({ wantedPilots: 5, health }, due), 1);
    assert.equal(submits({ wantedPilots: 5, health, submissions: pilots(1, QUEUED) }, due), 0);
  });

  it("waits twice as long after each failed probe, ten minutes at most", () => {
    const health = pausedQueue();
    const delays: number[] = [];
    for (let probe = 0; probe < 7; probe += 1) {
      delays.push((health.probeAtMs! - NOW_MS) / 1_000);
      noteSubmitFailed(health, "still so", NOW_MS);
    }
    assert.deepEqual(delays, [30, 60, 120, 240, 480, 600, 600]);
  });

  it("goes on when the submit that failed works again", () => {
    const health = pausedQueue();
    noteSubmitted(health);
    assert.equal(submits({ wantedPilots: 5, health }), 5);
    assert.equal(health.lastError, null);
  });

  it("goes on when a pilot connects, but not because an old one ends", () => {
    const health = healthyQueue();
    for (let count = 0; count < HARVESTER.neverConnectedToPause; count += 1) {
      noteEnded(health, false, "no route to the server", NOW_MS);
    }
    noteEnded(health, true, "idle", NOW_MS);
    assert.equal(submits({ wantedPilots: 5, health }), 0);
    noteConnected(health);
    assert.equal(submits({ wantedPilots: 5, health }), 5);
  });

  it("stays paused for failed submits when a pilot of earlier days connects", () => {
    const health = pausedQueue();
    noteConnected(health);
    assert.equal(submits({ wantedPilots: 5, health }), 0);
  });
});
