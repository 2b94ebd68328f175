import assert from "node:assert/strict";
import { toldPoints } from "../../../server/tasks/steering.ts";
import { World } from "../../support/reactor-world.ts";

describe("attempts", () => {
  it("of a point are at most three, in any mix of failures and time-outs; then it is hopeless and the search goes on", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 1 });
    pilot.fail();
    pilot.timeOut();
    pilot.fail();
    assert.equal(task.points.get("0")?.state, "hopeless");
    assert.equal(task.points.get("0")?.attempts, 3);
    assert.equal(task.counts.leased, 1, "the next point is evaluated");
    pilot.loss(0.1);
    assert.equal(task.state, "finished");
  });

  it("are numbered in the grant, with the same seed in each", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    const first = pilot.last("grant")?.items[0];
    pilot.fail();
    // The other point of the iteration comes first, then the failed one again.
    pilot.loss(1);
    const again = pilot.last("grant")?.items[0];
    assert.equal(again?.attempt, 2);
    assert.equal(again.seed, first?.seed);
  });

  it("that diverge are final at once, with a penalty told and no number stored", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 3, nPointsPerIteration: 3 });
    pilot.loss(-20);
    pilot.end({ type: "diverged", value: "NaN", exitCode: 0, message: "" });
    const point = task.points.get("1");
    assert.equal(point?.state, "diverged");
    assert.equal(point.loss, null);
    assert.deepEqual(
      toldPoints(task).map(({ loss, failed }) => [loss, failed]),
      [
        [-20, false],
        [1e5, true],
        [null, false],
      ],
    );
    assert.equal(task.best?.id, "0");
  });

  it("tell a very large loss that grows with the worst real one, bounded, with the sign of the direction", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({ direction: "max" }, { maxPoints: 3, nPointsPerIteration: 3 });
    pilot.loss(-5e6);
    pilot.end({ type: "diverged", value: "inf", exitCode: 0, message: "" });
    assert.equal(toldPoints(task)[1]?.loss, -5e7);
    const huge = world.submit({}, { maxPoints: 3, nPointsPerIteration: 3 });
    pilot.loss(1);
    pilot.loss(5e29);
    pilot.end({ type: "diverged", value: "inf", exitCode: 0, message: "" });
    assert.equal(toldPoints(huge).find((point) => point.failed)?.loss, 1e30);
  });

  it("omit failed points from %IN when the penalty says so", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({ penalty: "omit" }, { maxPoints: 2, nPointsPerIteration: 2 });
    pilot.end({ type: "diverged", value: "inf", exitCode: 0, message: "" });
    assert.equal(toldPoints(task).length, 1);
  });
});

describe("interruptions", () => {
  it("use no attempt and are counted apart", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.interrupt();
    const point = task.points.get("0");
    assert.deepEqual([point?.attempts, point?.interruptions, point?.state], [0, 1, "leased"]);
  });

  it("ten in a row without progress end the point as not evaluated, told to nobody", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    for (let turn = 0; turn < 10; turn += 1) pilot.interrupt();
    assert.equal(task.points.get("0")?.state, "notEvaluated");
    assert.deepEqual(toldPoints(task), []);
    assert.equal(task.state, "failed");
  });

  it("of three in a row from two searches by infrastructure drain the node; evictions never do", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 2 });
    world.submit({}, { maxPoints: 5 });
    world.submit({}, { maxPoints: 5 });
    pilot.interrupt(0, "eviction");
    pilot.interrupt(1, "eviction");
    pilot.interrupt(0, "eviction");
    assert.equal(world.eventsOf("nodeDrained").length, 0);
    pilot.interrupt(0, "runtime");
    pilot.interrupt(1, "diskFull");
    pilot.interrupt(0, "runtime");
    assert.equal(world.eventsOf("nodeDrained").length, 1);
    assert.equal(pilot.last("drain")?.type, "drain");
  });
});

describe("failing fast", () => {
  it("pauses a search after five attempts that failed alike on the only node, and resume goes on", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 10, nPointsPerIteration: 10 });
    for (let attempt = 0; attempt < 5; attempt += 1) pilot.fail();
    assert.equal(task.state, "paused");
    assert.match(task.reason, /5 attempts failed alike on the only node \(E_PAYLOAD exit 1\)/);
    world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    assert.equal(task.state, "running");
    assert.equal(task.counts.leased, 1);
  });

  it("waits for a second node when there are two", () => {
    const world = new World();
    const pilot = world.pilot();
    const other = world.pilot({ node: "node2" });
    const task = world.submit(
      {},
      { maxPoints: 10, nPointsPerIteration: 10, nParallelEvaluation: 2 },
    );
    for (let attempt = 0; attempt < 6; attempt += 1) pilot.fail();
    assert.equal(task.state, "running");
    other.fail();
    assert.equal(task.state, "paused");
  });

  it("tells causes apart by code and exit code, and never counts time-outs", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 10, nPointsPerIteration: 10 });
    for (let attempt = 0; attempt < 8; attempt += 1) pilot.timeOut();
    for (const exitCode of [1, 2, 3, 4]) pilot.fail(0, "E_PAYLOAD", exitCode);
    assert.equal(task.state, "running");
  });

  it("does nothing once a loss is there, or when the search says so", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 10, nPointsPerIteration: 10 });
    pilot.loss(1);
    for (let attempt = 0; attempt < 6; attempt += 1) pilot.fail();
    assert.equal(task.state, "running");
    world.command({ type: "controlTask", taskId: task.id, action: "kill" });
    const stubborn = world.submit({ failFast: false }, { maxPoints: 10, nPointsPerIteration: 10 });
    for (let attempt = 0; attempt < 6; attempt += 1) pilot.fail();
    assert.equal(stubborn.state, "running");
  });
});

describe("an image that cannot be had", () => {
  const REFUSED = {
    type: "interrupted",
    reason: "imagePull",
    message: "image docker://x was not found",
  } as const;

  it("pauses the search when two nodes say so, with their words; it uses no attempt and blames no node", () => {
    const world = new World();
    const first = world.pilot({ node: "node1" });
    const second = world.pilot({ node: "node2" });
    const limits = { maxPoints: 10, nPointsPerIteration: 10, nParallelEvaluation: 2 };
    const task = world.submit({}, limits);
    first.end({ ...REFUSED, imageCause: "notFound" });
    first.end({ ...REFUSED, imageCause: "notFound" });
    assert.equal(task.state, "running");
    second.end({ ...REFUSED, imageCause: "denied" });
    assert.equal(task.state, "paused");
    assert.match(
      task.reason,
      /the image cannot be had on 2 nodes: imagePull: image docker:\/\/x was not found; then 'hyperpilot task resume \d+'/,
    );
    assert.equal(
      [...task.points.values()].every(({ attempts }) => attempts === 0),
      true,
    );
    assert.equal(world.core.nodes.size, 0);
    world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    assert.equal(task.state, "running");
    first.end({ ...REFUSED, imageCause: "denied" });
    assert.equal(task.state, "running", "it counts anew");
  });

  it("pauses it on the only node at the second time, but not when images could be had in between", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 10, nPointsPerIteration: 10 });
    pilot.end({ ...REFUSED, imageCause: "notFound" });
    pilot.loss(1);
    pilot.end({ ...REFUSED, imageCause: "notFound" });
    assert.equal(task.state, "running");
    pilot.end({ ...REFUSED, imageCause: "notFound" });
    assert.equal(task.state, "paused");
    assert.match(task.reason, /on the only node/);
  });

  it("does not pause it when the registry could only not be reached, or with --noFailFast", () => {
    const world = new World();
    const pilot = world.pilot();
    const limits = { maxPoints: 10, nPointsPerIteration: 10 };
    const task = world.submit({}, limits);
    for (let time = 0; time < 5; time += 1) pilot.end(REFUSED);
    assert.equal(task.state, "running");
    world.command({ type: "controlTask", taskId: task.id, action: "kill" });
    const stubborn = world.submit({ failFast: false }, limits);
    for (let time = 0; time < 5; time += 1) pilot.end({ ...REFUSED, imageCause: "notFound" });
    assert.equal(stubborn.state, "running");
  });
});
