import assert from "node:assert/strict";
import { explain } from "../../../server/tasks/why.ts";
import { World } from "../../support/reactor-world.ts";

const TEN = { maxPoints: 10, nPointsPerIteration: 10 };

describe("jobs", () => {
  it("begin at once when a slot waits, a point is ready and fewer than nParallelEvaluation are active", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 3 });
    const task = world.submit({}, { nParallelEvaluation: 2, nPointsPerIteration: 4 });
    assert.equal(task.jobs.size, 2);
    assert.equal(pilot.held.length, 0);
    pilot.take();
    assert.equal(pilot.held.length, 2);
    assert.equal(task.counts.ready, 2);
  });

  it("go on to further points while there are any, and end when there are none", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    pilot.loss(0.5);
    assert.equal(world.eventsOf("jobStarted").length, 1);
    assert.equal(task.counts.leased, 1);
    pilot.loss(0.4);
    assert.deepEqual(
      world.eventsOf("jobEnded").map((event) => event.reason),
      ["noWork"],
    );
    assert.equal(task.state, "finished");
  });

  it("do not begin on the other slots of a pilot that is evicted: they would only be interrupted, too", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 3 });
    const task = world.submit({}, { maxPoints: 1 });
    pilot.end({ type: "interrupted", reason: "eviction", message: "" }, 0, { stops: true });
    assert.deepEqual([task.counts.ready, task.points.get("0")?.interruptions], [1, 1]);
    pilot.send({ type: "bye", reason: "evicted" });
    assert.equal(task.points.get("0")?.interruptions, 1);
    world.pilot();
    assert.equal(task.counts.leased, 1);
  });

  it("take at most maxPointsPerEvaluationJob points", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 4, nPointsPerIteration: 4, maxPointsPerEvaluationJob: 2 });
    for (let point = 0; point < 4; point += 1) pilot.loss(1);
    assert.equal(world.eventsOf("jobStarted").length, 2);
    assert.equal(world.eventsOf("jobEnded")[0]?.reason, "pointsCap");
  });

  it("go on after a failing point", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    pilot.fail();
    assert.equal(world.eventsOf("jobEnded").length, 0);
    assert.equal(pilot.lease().item.type === "evaluation" && pilot.lease().item.type, "evaluation");
  });

  it("give way to a search whose user has fewer leased points, after the point", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 2 });
    const first = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 10, nParallelEvaluation: 2 },
      "anna",
    );
    const second = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 10, nParallelEvaluation: 2 },
      "bert",
    );
    assert.equal(first.counts.leased, 2);
    pilot.loss(1, 0);
    assert.equal(second.counts.leased, 1);
    assert.equal(world.eventsOf("jobEnded")[0]?.reason, "fairShare");
    pilot.loss(1, 1);
    assert.deepEqual([first.counts.leased, second.counts.leased], [1, 1]);
  });

  it("go on beside a search with fewer leased points that stays away from the node", () => {
    const world = new World();
    const pilot = world.pilot();
    const failing = world.submit({}, TEN, "bert");
    pilot.interrupt(0, "runtime");
    assert.equal(failing.counts.leased, 0);
    const task = world.submit({}, TEN, "anna");
    pilot.loss(1);
    pilot.loss(1);
    assert.deepEqual([task.counts.leased, task.nextJobId], [1, 1]);
    world.tick(5);
    pilot.loss(1);
    assert.deepEqual([task.counts.leased, failing.counts.leased], [0, 1]);
  });

  it("go on beside a search with fewer leased points whose evaluations take longer than the pilot lives", () => {
    const world = new World();
    const pilot = world.pilot({ walltimeLeftSeconds: 1_000 });
    const evaluation = { container: "host:", exec: "true", timeoutSeconds: 3_600 };
    const long = world.submit({ evaluation }, TEN, "bert");
    const task = world.submit({}, TEN, "anna");
    pilot.loss(1);
    pilot.loss(1);
    assert.deepEqual([task.counts.leased, task.nextJobId], [1, 1]);
    assert.equal(long.counts.leased, 0);
  });

  it("are charged to maxEvaluationJobs when an attempt ended in them; interrupted ones are counted apart", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 3, nPointsPerIteration: 3 });
    pilot.interrupt();
    assert.deepEqual([task.jobsCharged, task.interruptedJobs.size], [0, 1]);
    pilot.loss(1);
    pilot.loss(1);
    assert.deepEqual([task.jobsCharged, task.interruptedJobs.size], [1, 1]);
  });

  it("are not started beyond maxEvaluationJobs: active ones go on, then ready points are not evaluated", () => {
    const world = new World();
    const pilot = world.pilot();
    const limits = {
      maxPoints: 5,
      nPointsPerIteration: 5,
      maxEvaluationJobs: 2,
      maxPointsPerEvaluationJob: 2,
    };
    const task = world.submit({}, limits);
    for (let point = 0; point < 4; point += 1) pilot.loss(1);
    assert.equal(task.state, "finished");
    assert.match(task.reason, /maxEvaluationJobs/);
    assert.deepEqual([task.counts.done, task.counts.notEvaluated], [4, 1]);
  });

  it("stop after ten times maxEvaluationJobs interrupted jobs", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2, maxEvaluationJobs: 1 });
    const pilot = world.pilot();
    for (let job = 0; job < 10; job += 1) pilot.interrupt();
    assert.equal(task.state, "failed");
    assert.match(task.reason, /only interruptions/);
  });

  it("end with the pilot that is lost between points, and touch no point", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    pilot.end({ type: "loss", loss: 1, exitCode: 0, message: "" }, 0, { stops: true });
    pilot.send({ type: "bye", reason: "idle" });
    assert.equal(task.jobs.size, 0);
    assert.deepEqual([task.counts.done, task.counts.ready, task.interruptions], [1, 1, 0]);
  });

  it("end when their point ends on a pilot that is being drained", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    for (const live of world.reactor.live.pilots.values()) live.draining = true;
    pilot.loss(1);
    assert.deepEqual([task.jobs.size, task.counts.ready], [0, 1]);
  });

  it("act on a lowered nParallelEvaluation at point boundaries", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 2 });
    const task = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 10, nParallelEvaluation: 2 },
    );
    world.command({ type: "changeLimits", taskId: task.id, limits: { nParallelEvaluation: 1 } });
    assert.equal(task.counts.leased, 2);
    pilot.loss(1, 0);
    assert.equal(task.counts.leased, 1);
    pilot.loss(1, 1);
    assert.equal(task.counts.leased, 1);
  });

  it("are not begun on a pilot whose walltime does not suffice", () => {
    const world = new World();
    const pilot = world.pilot({ walltimeLeftSeconds: 60 });
    world.submit({
      evaluation: {
        container: "host:",
        exec: "true",
        input: "i",
        output: "o",
        timeoutSeconds: 100,
      },
    });
    assert.ok(pilot.isIdle());
  });

  it("are begun there by a search that saves checkpoints, while a save still fits", () => {
    const world = new World();
    const evaluation = { container: "host:", exec: "true", timeoutSeconds: 36_000 };
    const checkpoint = { save: ["state"], intervalMinutes: 5 };
    const late = world.pilot({ walltimeLeftSeconds: 300 });
    world.submit({ evaluation, checkpoint });
    assert.ok(late.isIdle(), "not even one interval and the reserve are left");
    assert.ok(!world.pilot({ walltimeLeftSeconds: 7_200 }).isIdle());
  });

  it("are never begun in a queue whose walltime is shorter than one evaluation, and that is said", () => {
    const world = new World({ name: "local", leaseSeconds: 60, slot: { walltimeSeconds: 3_600 } });
    const pilot = world.pilot();
    const evaluation = { container: "host:", exec: "true", timeoutSeconds: 3_600 };
    const task = world.submit({ evaluation });
    assert.ok(pilot.isIdle());
    const { code, sentence } = explain(world.core, world.reactor.live, task);
    assert.equal(code, "noQueueFits");
    assert.match(
      sentence,
      /local has 3600 s as walltime of its pilots, and an evaluation may take 3600 s/,
    );
    world.submit({ evaluation, checkpoint: { save: ["state"] } });
    assert.ok(!pilot.isIdle(), "with checkpoints it comes further each time");
  });

  it("reach only slots that offer what the search needs", () => {
    const world = new World();
    const small = world.pilot();
    const gpu = { uuid: "GPU-1", model: "NVIDIA A100", memoryBytes: 40e9, driver: null };
    const needs = {
      cpus: 0.5,
      memoryBytes: 8e9,
      gpus: { count: 1, model: "a100", memoryBytes: null },
    };
    world.submit({ needs });
    assert.ok(small.isIdle());
    const big = world.pilot({ resources: { memoryBytes: 16e9, gpus: [gpu] } });
    assert.ok(!big.isIdle());
    assert.ok(small.isIdle());
  });

  it("of CPU searches prefer slots without GPUs", () => {
    const world = new World();
    const gpu = { uuid: "GPU-1", model: "NVIDIA A100", memoryBytes: 40e9, driver: null };
    const withGpu = world.pilot({ resources: { gpus: [gpu] } });
    const without = world.pilot();
    world.submit({}, { nParallelEvaluation: 1 });
    assert.ok(withGpu.isIdle());
    assert.ok(!without.isIdle());
  });
});
