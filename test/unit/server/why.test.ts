import assert from "node:assert/strict";
import { explain } from "../../../server/tasks/why.ts";
import type { Task } from "../../../server/core.ts";
import { World } from "../../support/reactor-world.ts";

function why(world: World, task: Task) {
  return explain(world.core, world.reactor.live, task);
}

describe("why", () => {
  it("names every queue and what it lacks when none fits", () => {
    const world = new World();
    world.pilot();
    const needs = {
      cpus: 1,
      memoryBytes: 64e9,
      gpus: { count: 1, model: "A100", memoryBytes: null },
    };
    const answer = why(world, world.submit({ needs }));
    assert.equal(answer.code, "noQueueFits");
    assert.match(
      answer.sentence,
      /None of 1 queue fits: local has 2\.1 GB of memory per slot, the task asks for 64\.0 GB/,
    );
    assert.equal(answer.queues[0]?.lacks.length, 2);
  });

  it("says that there is no queue at all", () => {
    const world = new World(null);
    assert.match(why(world, world.submit()).sentence, /No queue is configured/);
  });

  it("says that no pilot is connected yet, and what the harvester last said", () => {
    const world = new World();
    const task = world.submit();
    assert.equal(why(world, task).code, "noPilotYet");
    assert.equal(why(world, task).cause, "harvesterNotRunning");
    assert.match(why(world, task).sentence, /local: No harvester serves site 'local'/);
    const protocol = { min: 1, max: 1 };
    world.fromHarvester({ type: "hello", protocol, harvester: "h", sites: [] });
    world.fromHarvester({
      type: "report",
      queue: "local",
      submissions: [],
      secretsNeeded: 0,
      lastError: "sbatch: error: invalid partition specified: x",
      health: { submitFailures: 1 },
    });
    assert.equal(why(world, task).cause, "wrongPartition");
    assert.match(why(world, task).sentence, /no partition or queue of this name/);
    assert.match(why(world, task).sentence, /invalid partition specified: x/);
  });

  it("tells steering that runs from evaluations that keep all slots busy", () => {
    const world = new World();
    world.pilot();
    world.answersAsks = false;
    const task = world.submit({}, { maxPoints: 3 });
    assert.equal(why(world, task).code, "steeringRunning");
    world.propose(world.asks[0]!, ['{"x":1}', '{"x":2}']);
    const answer = why(world, task);
    assert.equal(answer.code, "enoughJobs");
    assert.match(answer.sentence, /1 of 1 wanted evaluations run, 1 point ready/);
  });

  it("says that every point is being evaluated: the other half of a log line that confused people for years", () => {
    const world = new World();
    world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    assert.match(
      why(world, task).sentence,
      /Every point generated so far is evaluated or being evaluated/,
    );
  });

  it("names the numbers to set when they keep slots idle", () => {
    const world = new World();
    world.pilot({ slots: 8 });
    const task = world.submit(
      {},
      { maxPoints: 600, nPointsPerIteration: 2, nParallelEvaluation: 300 },
    );
    const answer = why(world, task);
    assert.equal(answer.code, "limitsKeepSlotsIdle");
    assert.match(answer.sentence, /6 slots stay idle/);
    assert.match(answer.remedy, /--nPointsPerIteration 302 --minUnevaluatedPoints 301/);
  });

  it("says when steering is asked again while slots wait for it", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 3 });
    const limits = { maxPoints: 9, nPointsPerIteration: 3, nParallelEvaluation: 3 };
    const task = world.submit({}, { ...limits, minUnevaluatedPoints: 0 });
    pilot.loss(1);
    const answer = why(world, task);
    assert.equal(answer.code, "limitsKeepSlotsIdle");
    assert.match(answer.sentence, /asked again when fewer than 1 point wait for a loss/);
    assert.match(answer.remedy, /--nPointsPerIteration 5 --minUnevaluatedPoints 4/);
  });

  it("says nothing of numbers when the last points are being evaluated", () => {
    const world = new World();
    world.pilot({ slots: 3 });
    const limits = { maxPoints: 2, nPointsPerIteration: 2, nParallelEvaluation: 3 };
    const answer = why(world, world.submit({}, limits));
    assert.equal(answer.code, "allPointsLeased");
  });

  it("names the numbers and the failed try while steering runs", () => {
    const world = new World();
    world.pilot();
    world.answersAsks = false;
    const limits = { maxPoints: 600, nPointsPerIteration: 2, nParallelEvaluation: 300 };
    const task = world.submit({}, limits);
    world.failAsk(world.asks[0]!, "no more memory");
    const answer = why(world, task);
    assert.equal(answer.code, "steeringRunning");
    assert.match(
      answer.sentence,
      /try 2, .*The try before failed: no more memory\. Then at most 2 of 300/,
    );
    assert.match(answer.remedy, /task limits 10000000 --nPointsPerIteration 302/);
  });

  it("says who paused the search, and how to go on", () => {
    const world = new World();
    const task = world.submit();
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    const answer = why(world, task);
    assert.deepEqual([answer.code, answer.remedy], ["paused", `hyperpilot task resume ${task.id}`]);
    assert.match(answer.sentence, /paused by anna/);
  });

  it("says that every queue that fits is switched off, and how to switch it on", () => {
    const world = new World({ name: "local", state: "offline" });
    const answer = why(world, world.submit());
    assert.equal(answer.code, "queueOffline");
    assert.match(answer.remedy, /site queue online local/);
  });

  it("says that a search has ended and why", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.loss(1);
    assert.match(why(world, task).sentence, /is finished: all 1 points are evaluated/);
  });

  it("says that other searches keep the slots busy", () => {
    const world = new World();
    world.pilot();
    world.submit({}, { maxPoints: 5 }, "bert");
    const task = world.submit({}, { maxPoints: 5 });
    const answer = why(world, task);
    assert.equal(answer.code, "slotsBusy");
    assert.match(answer.sentence, /busy with other searches/);
  });
});
