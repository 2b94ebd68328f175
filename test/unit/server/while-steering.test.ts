import assert from "node:assert/strict";
import type { PointView } from "../../../protocol/rest.ts";
import type { Task } from "../../../server/core.ts";
import { steeringInput } from "../../../server/tasks/steering-files.ts";
import { pointView } from "../../../server/views/points.ts";
import { answerRun, STEERING, worldWithCentral } from "../../support/central-steering.ts";
import { World } from "../../support/reactor-world.ts";

const SPACE = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';
const DRAWS = { steering: STEERING, searchSpace: SPACE, whileSteering: "random" } as const;
const LIMITS = { maxPoints: 20, nPointsPerIteration: 8, nParallelEvaluation: 3 };

/** A finite space of `count` points. */
function categories(count: number): string {
  const values = Array.from({ length: count }, (_, index) => index);
  return JSON.stringify({ x: { method: "categorical", dimension: { categories: values } } });
}

function drawnIn(task: Task): PointView[] {
  return [...task.points.values()]
    .map((point) => pointView(task, point))
    .filter((view) => view.origin === "random");
}

describe("slots that wait for steering", () => {
  it("stay idle unless the search wants random points", () => {
    const { world } = worldWithCentral();
    const worker = world.pilot({ slots: 3 });
    const task = world.submit({ steering: STEERING }, LIMITS);
    assert.ok(worker.isIdle());
    assert.equal(task.points.size, 0);
  });

  it("evaluate points drawn from the search space, shown as random, told to the steering, counted in maxPoints", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot({ slots: 2 });
    const task = world.submit(DRAWS, LIMITS);
    const drawn = drawnIn(task);
    assert.deepEqual(
      drawn.map((view) => [view.state, view.run, view.retryOf]),
      [
        ["leased", null, null],
        ["leased", null, null],
      ],
    );
    for (const { text } of drawn) assert.match(text, /^\{"x": 0\.\d+\}$/);
    assert.equal(task.generated, 2);
    worker.loss(0.5);
    const [first, second, third] = drawnIn(task).map((view) => view.text);
    assert.equal(
      steeringInput(task),
      `{"points": [[${first}, 0.5], [${second}, null], [${third}, null]], "opt_space": ${SPACE}}`,
    );
    answerRun(central, '[{"x":7}]');
    assert.deepEqual(pointView(task, task.points.get("3")!).origin, "steering");
  });

  it("leave the steering at least half of what a run was opened for, so it always gets a say", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot({ slots: 10 });
    const task = world.submit(DRAWS, { ...LIMITS, nParallelEvaluation: 10 });
    assert.equal(drawnIn(task).length, 4, "half of 8, though 10 slots are idle");
    for (const slot of [0, 1, 2, 3]) worker.loss(1, slot);
    assert.equal(drawnIn(task).length, 4, "also when they have ended before the answer");
    answerRun(central, `[${'{"x":1},'.repeat(9)}{"x":1}]`);
    assert.equal(task.counts.leased, 8);
  });

  it("never take a search above its maxPoints or its cadence", () => {
    const { world, central } = worldWithCentral();
    world.pilot({ slots: 10 });
    const task = world.submit(DRAWS, {
      maxPoints: 5,
      nPointsPerIteration: 4,
      nParallelEvaluation: 10,
    });
    assert.equal(task.generated, 2);
    answerRun(central, `[${'{"x":1},'.repeat(9)}{"x":1}]`);
    assert.deepEqual([task.generated, task.counts.leased], [4, 4], "no more than 4 are pending");
    assert.equal(task.run, null);
  });

  it("draw nothing more when maxPoints was lowered meanwhile", () => {
    const { world } = worldWithCentral();
    const task = world.submit(DRAWS, LIMITS);
    const limits = { maxPoints: 1, nPointsPerIteration: 1 };
    world.command({ type: "changeLimits", taskId: task.id, limits });
    world.pilot({ slots: 3 });
    assert.equal(task.generated, 1);
  });

  it("draw for no more slots than nParallelEvaluation allows", () => {
    const { world } = worldWithCentral();
    world.pilot({ slots: 8 });
    const task = world.submit(DRAWS, LIMITS);
    assert.equal(task.counts.leased, 3);
  });

  it("draw nothing while the search is paused, and nothing when no run is open", () => {
    const { world, central } = worldWithCentral();
    const task = world.submit(DRAWS, LIMITS);
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    const worker = world.pilot({ slots: 3 });
    assert.equal(task.points.size, 0);
    world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    assert.equal(task.points.size, 3);
    answerRun(central, '[{"x":1}]');
    for (const slot of [0, 1]) worker.loss(1, slot);
    assert.equal(task.counts.leased, 2, "two run on, and no run is due before they have ended");
    assert.equal(drawnIn(task).length, 3);
  });

  it("serve the ready points of other searches first", () => {
    const { world } = worldWithCentral();
    const draws = world.submit(DRAWS, LIMITS);
    const other = world.submit({}, { maxPoints: 2, nParallelEvaluation: 2 }, "bert");
    world.pilot({ slots: 3 });
    assert.deepEqual([other.counts.leased, draws.counts.leased], [2, 1]);
  });

  it("draw the same points in every run of the same search", () => {
    const texts = [0, 1].map(() => {
      const { world } = worldWithCentral();
      world.pilot({ slots: 3 });
      return drawnIn(world.submit({ ...DRAWS, seed: 11 }, LIMITS)).map((view) => view.text);
    });
    assert.equal(new Set(texts[0]).size, 3);
    assert.deepEqual(texts[0], texts[1]);
  });

  it("draw in the segments in turn, in each of its own space", () => {
    const { world } = worldWithCentral();
    world.pilot({ slots: 4 });
    const other = SPACE.replace('"x"', '"y"');
    const task = world.submit(
      {
        ...DRAWS,
        segments: [{ name: "a" }, { name: "b" }],
        searchSpace: `[{"model_id":0,"search_space":${SPACE}},{"model_id":1,"search_space":${other}}]`,
      },
      { ...LIMITS, nParallelEvaluation: 4 },
    );
    const drawn = drawnIn(task).map(({ segment, text }) => [segment, text.slice(0, 8)]);
    assert.deepEqual(drawn, [
      [0, '[0, {"x"'],
      [1, '[1, {"y"'],
      [0, '[0, {"x"'],
      [1, '[1, {"y"'],
    ]);
  });

  it("draw no point of a finite space twice, however the steering writes it, and none when all are known", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot({ slots: 2 });
    const task = world.submit(
      { ...DRAWS, searchSpace: categories(4) },
      { maxPoints: 40, nPointsPerIteration: 6, nParallelEvaluation: 2 },
    );
    answerRun(central, '[{"x":0},{"x":1},{"x":2}, { "x" : 3 }]');
    while (task.counts.leased > 0) worker.loss(1, worker.held[0]?.slot);
    assert.ok(task.run !== null && task.run.draws > 0, "it may draw, but there is nothing new");
    assert.equal(drawnIn(task).length, 2);
    assert.equal(new Set(drawnIn(task).map((view) => view.text)).size, 2);
  });

  it("start no job beyond maxEvaluationJobs", () => {
    const { world } = worldWithCentral();
    world.pilot({ slots: 3 });
    const task = world.submit(DRAWS, { ...LIMITS, maxEvaluationJobs: 2 });
    assert.equal(task.counts.leased, 2);
  });

  it("need a search space that the server can read; submission says so", () => {
    const { world } = worldWithCentral();
    for (const searchSpace of ["", "null", '{"x": {"method": "magic", "dimension": {}}}']) {
      assert.throws(() => world.submit({ ...DRAWS, searchSpace }), {
        code: "E_TASK_SPECIFICATION",
        message: /whileSteering random needs a search space/,
        remedy: /--whileSteering wait/,
      });
    }
  });
});

describe("built-in steering beside points drawn for waiting slots", () => {
  it("makes none of them a second time", () => {
    const world = new World();
    world.answersAsks = false;
    world.pilot({ slots: 2 });
    const task = world.submit(
      { whileSteering: "random", searchSpace: categories(4) },
      { maxPoints: 20, nPointsPerIteration: 4, nParallelEvaluation: 2 },
    );
    const texts = [0, 1, 2, 3].map((x) => `{"x": ${x}}`);
    world.propose(world.asks[0]!, texts, "all 4 combinations done");
    assert.deepEqual([...task.points.values()].map((point) => point.text).sort(), texts);
    assert.equal(task.askingEnded, "all 4 combinations done");
  });

  it("is asked again for what was cut, although it said that it had proposed everything", () => {
    const world = new World();
    world.answersAsks = false;
    const worker = world.pilot({ slots: 2 });
    const task = world.submit(
      { whileSteering: "random" },
      { maxPoints: 20, nPointsPerIteration: 4, nParallelEvaluation: 2 },
    );
    assert.equal(task.generated, 2);
    const grid = [1, 2, 3, 4].map((x) => `{"x": ${x}}`);
    world.propose(world.asks[0]!, grid, "all 4 combinations done");
    assert.deepEqual([task.generated, task.askingEnded], [4, null]);
    while (task.counts.leased > 0) worker.loss(1, worker.held[0]?.slot);
    assert.equal(world.asks.length, 2);
  });
});
