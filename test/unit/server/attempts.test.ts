import assert from "node:assert/strict";
import { toldPoints } from "../../../server/tasks/steering.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

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
    world.tick(30);
    pilot.interrupt(0, "runtime");
    assert.equal(world.eventsOf("nodeDrained").length, 1);
    assert.equal(pilot.last("drain")?.type, "drain");
  });
});

describe("a node that cannot run a search", () => {
  const failing = (world: World, pilot: TestPilot): number => {
    let failures = 0;
    for (let second = 0; second < 120; second += 1) {
      while (!pilot.isIdle()) {
        pilot.interrupt(0, "runtime");
        failures += 1;
      }
      world.tick(1);
    }
    return failures;
  };

  it("gets its points more and more seldom, so that good nodes are faster", () => {
    const world = new World();
    const bad = world.pilot({ node: "bad" });
    const task = world.submit(
      {},
      { maxPoints: 20, nPointsPerIteration: 20, nParallelEvaluation: 2 },
    );
    assert.ok(failing(world, bad) <= 6, "0, 5, 15, 35, 75 s");
    assert.equal(task.counts.notEvaluated, 0);
  });

  it("may run other searches meanwhile, and the same again at once after a resume", () => {
    const world = new World();
    const pilot = world.pilot({ node: "bad" });
    const task = world.submit({}, { maxPoints: 5 });
    pilot.interrupt(0, "runtime");
    assert.ok(pilot.isIdle());
    const other = world.submit({}, { maxPoints: 1 });
    assert.equal(pilot.lease().item.taskId, other.id);
    pilot.loss(1);
    for (const action of ["pause", "resume"] as const)
      world.command({ type: "controlTask", taskId: task.id, action });
    assert.equal(pilot.lease().item.taskId, task.id);
  });

  it("is trusted again after an attempt that ended there", () => {
    const world = new World();
    const pilot = world.pilot({ node: "good" });
    world.submit({}, { maxPoints: 9 });
    for (let time = 0; time < 5; time += 1) {
      pilot.interrupt(0, "diskFull");
      world.tick(5);
      pilot.loss(1);
    }
    assert.ok(!pilot.isIdle());
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

describe("an image that cannot be used", () => {
  /** And time passes until the node may have another try. */
  const noImage = (world: World, pilot: TestPilot): void => {
    const message = "image /x.sif cannot be read on this node; name one that exists";
    pilot.end({ type: "interrupted", reason: "imagePull", imageCause: "unfit", message });
    world.tick(60);
  };

  it("pauses a search on the only node after the second time, with what to do; no attempt is used", () => {
    const { world, central } = withCentral();
    const pilot = world.pilot({ node: "n1" });
    const task = world.submit({ failFast: false }, { maxPoints: 2 });
    noImage(world, pilot);
    assert.equal(task.state, "running");
    noImage(world, pilot);
    assert.equal(task.state, "paused");
    assert.match(
      task.reason,
      /^on the only node, image \/x\.sif cannot be read .*task resume 10000000/,
    );
    assert.equal(task.attemptsFailed, 0);
    assert.ok(central.isIdle(), "a pilot for steering is no further node");
    world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    pilot.loss(1);
    pilot.loss(1);
    assert.equal(task.state, "finished");
  });

  it("pauses a search when it is so on two nodes, and not while one of several nodes lacks it", () => {
    const world = new World();
    const [one, two] = [world.pilot({ node: "n1" }), world.pilot({ node: "n2" })];
    const task = world.submit({}, { maxPoints: 6, nParallelEvaluation: 2 });
    for (let time = 0; time < 4; time += 1) {
      noImage(world, one);
      two.beat();
    }
    assert.equal(task.state, "running");
    noImage(world, two);
    assert.equal(task.state, "paused");
    assert.match(task.reason, /^on 2 nodes, image/);
  });

  it("is forgotten with the next loss", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 6 });
    noImage(world, pilot);
    pilot.loss(1);
    noImage(world, pilot);
    assert.equal(task.state, "running");
  });

  it("does not drain the node for the mistyped names of two searches, but does once it was used elsewhere", () => {
    const world = new World();
    const pilot = world.pilot({ node: "n1" });
    for (const user of ["anna", "bert"]) {
      world.submit({}, { maxPoints: 2 }, user);
      noImage(world, pilot);
      noImage(world, pilot);
    }
    assert.equal(world.core.nodes.size, 0);
    const good = world.submit({}, { maxPoints: 6 }, "carl");
    pilot.loss(1);
    noImage(world, pilot);
    assert.equal(good.lossCount, 1);
    assert.equal(world.core.nodes.get("local/n1")?.lossesInRow, 1);
  });
});

describe("a search that fails on its only node", () => {
  it("is paused although a pilot for steering runs on another one", () => {
    const { world } = withCentral();
    const pilot = world.pilot({ node: "n1" });
    const task = world.submit({}, { maxPoints: 20, nPointsPerIteration: 10 });
    for (let attempt = 0; attempt < 5; attempt += 1) pilot.fail();
    assert.equal(task.state, "paused");
  });
});

function withCentral(): { world: World; central: TestPilot } {
  const world = new World();
  const config = QueueConfig.parse({ name: "central", role: "central", leaseSeconds: 60 });
  world.command({ type: "putQueue", config });
  return { world, central: world.pilot({ queue: "central", node: "c1" }) };
}
