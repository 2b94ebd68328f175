import assert from "node:assert/strict";
import { toldPoints } from "../../../server/tasks/steering.ts";
import { World } from "../../support/reactor-world.ts";

describe("steering", () => {
  it("runs maxPoints / nPointsPerIteration times when minUnevaluatedPoints is 0", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit(
      {},
      { maxPoints: 12, nPointsPerIteration: 3, minUnevaluatedPoints: 0 },
    );
    for (let point = 0; point < 12; point += 1) pilot.loss(point);
    assert.equal(task.state, "finished");
    assert.deepEqual(
      world.eventsOf("runOpened").map((run) => [run.pending, run.generated, run.wanted]),
      [
        [0, 0, 3],
        [0, 3, 3],
        [0, 6, 3],
        [0, 9, 3],
      ],
    );
  });

  it("refills while evaluations run when minUnevaluatedPoints is given", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 12, nPointsPerIteration: 3, minUnevaluatedPoints: 2 });
    for (let point = 0; point < 12; point += 1) pilot.loss(point);
    const runs = world.eventsOf("runOpened");
    assert.ok(runs.length > 4);
    for (const run of runs) assert.equal(run.wanted, Math.min(3 - run.pending, 12 - run.generated));
    assert.ok(runs.slice(1, -1).every((run) => run.pending === 1));
  });

  it("computes both numbers for built-in steering when neither is given, following nParallelEvaluation", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 100, nParallelEvaluation: 4 });
    assert.deepEqual(
      [task.effective.minUnevaluatedPoints, task.effective.nPointsPerIteration],
      [5, 6],
    );
    world.command({ type: "changeLimits", taskId: task.id, limits: { nParallelEvaluation: 8 } });
    assert.deepEqual(
      [task.effective.minUnevaluatedPoints, task.effective.nPointsPerIteration],
      [9, 10],
    );
  });

  it("refuses minUnevaluatedPoints that is not smaller than nPointsPerIteration, naming the numbers", () => {
    const world = new World();
    assert.throws(() => world.submit({}, { nPointsPerIteration: 2, minUnevaluatedPoints: 2 }), {
      code: "E_TASK_SPECIFICATION",
      remedy: /--nPointsPerIteration 3 or more/,
    });
  });

  it("is not run again before a point became final", () => {
    const world = new World();
    world.answersAsks = false;
    const task = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 4, minUnevaluatedPoints: 3 },
    );
    world.propose(world.asks[0]!, ['{"x":1}']);
    assert.equal(world.asks.length, 1, "pending is 1 < 3, but nothing is new since the last %IN");
    world.pilot().loss(1);
    assert.equal(world.asks.length, 2);
    assert.equal(task.run?.run, 1);
  });

  it("has surplus points cut", () => {
    const world = new World();
    world.answersAsks = false;
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 4 });
    world.propose(world.asks[0]!, ['{"x":1}', '{"x":2}', '{"x":3}']);
    assert.equal(task.generated, 2);
    assert.equal(world.eventsOf("runAnswered")[0]?.surplus, 1);
  });

  it("ends asking with [] only if its %IN had nothing pending", () => {
    const world = new World();
    world.answersAsks = false;
    const pilot = world.pilot();
    const task = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 2, minUnevaluatedPoints: 1 },
    );
    world.propose(world.asks[0]!, ['{"x":1}', '{"x":2}']);
    pilot.loss(1);
    pilot.loss(1);
    world.propose(world.asks[1]!, []);
    assert.equal(task.askingEnded, "the steering proposed no more points");
    assert.equal(task.state, "finished");
  });

  it("is tried three times; then asking ends, and a search without a loss has failed", () => {
    const world = new World();
    world.answersAsks = false;
    const task = world.submit();
    for (let attempt = 0; attempt < 3; attempt += 1)
      world.failAsk(world.asks[attempt]!, "out of ideas");
    assert.equal(world.asks.length, 3);
    assert.equal(task.state, "failed");
    assert.match(task.reason, /steering failed 3 times: out of ideas/);
  });

  it("ignores an answer of an older epoch", () => {
    const world = new World();
    world.answersAsks = false;
    const task = world.submit();
    world.failAsk(world.asks[0]!, "crashed");
    world.propose(world.asks[0]!, ['{"x":1}']);
    assert.equal(task.generated, 0);
    world.propose(world.asks[1]!, ['{"x":1}']);
    assert.equal(task.generated, 1);
  });

  it("ends a used-up space with its own words when all points are evaluated", () => {
    const world = new World();
    world.answersAsks = false;
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 10 });
    world.propose(world.asks[0]!, ['{"x":1}'], "all 1 combinations done");
    pilot.loss(1);
    assert.equal(task.state, "finished");
    assert.equal(task.reason, "all 1 combinations done");
  });

  it("is told a retried point as the new one only", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.loss(3);
    world.command({ type: "retryPoints", taskId: task.id, pointIds: ["0"] });
    assert.equal(task.state, "finishing");
    assert.equal(task.points.get("1")?.text, task.points.get("0")?.text);
    assert.deepEqual(
      toldPoints(task).map(({ loss }) => loss),
      [null],
    );
    pilot.loss(2);
    assert.equal(task.state, "finished");
    assert.equal(task.generated, 1);
  });

  it("has duplicates evaluated again, or their loss reused when the search says so", () => {
    const world = new World();
    world.answersAsks = false;
    const pilot = world.pilot();
    const task = world.submit({ duplicates: "reuse" }, { maxPoints: 2, nPointsPerIteration: 1 });
    world.propose(world.asks[0]!, ['{"x":1}']);
    pilot.loss(0.25);
    world.propose(world.asks[1]!, ['{"x":1}']);
    assert.equal(task.points.get("1")?.loss, 0.25);
    assert.equal(task.state, "finished");
  });
});
