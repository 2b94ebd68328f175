import assert from "node:assert/strict";
import { QueueConfig } from "../../../protocol/queue.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

const NONE = { reason: "runtime", message: "", type: "interrupted" } as const;

describe("corner cases", () => {
  it("a slot that waits gets nothing any more once its node is drained", () => {
    const world = new World();
    const [a, b, c] = [1, 2, 3].map(() => world.pilot({ node: "bad" })) as [
      TestPilot,
      TestPilot,
      TestPilot,
    ];
    world.submit({}, { maxPoints: 1 }, "anna");
    a.interrupt(0, "runtime");
    world.submit({}, { maxPoints: 1 }, "bert");
    b.interrupt(0, "runtime");
    world.tick(10);
    const holder = [a, b, c].find((pilot) => !pilot.isIdle());
    holder?.interrupt(0, "runtime");
    assert.equal(world.core.nodes.get("local/bad")?.drained, true);
    const grants = world.eventsOf("leaseGranted").length;
    world.tick(30);
    assert.equal(world.eventsOf("leaseGranted").length, grants);
  });

  it("a job takes no further point in a queue that is drained or taken offline", () => {
    for (const state of ["drain", "offline"] as const) {
      const world = new World();
      const pilot = world.pilot();
      const task = world.submit({}, { maxPoints: 3, nPointsPerIteration: 3 });
      const config = QueueConfig.parse({ name: "local", leaseSeconds: 60, state });
      world.command({ type: "putQueue", config });
      pilot.loss(1);
      assert.ok(pilot.isIdle(), state);
      assert.equal(task.jobs.size, 0);
      world.command({ type: "putQueue", config: { ...config, state: "online" } });
      assert.equal(task.counts.leased, 1);
    }
  });

  it("a point that was retried is not evaluated once more by the next round", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    pilot.loss(1);
    assert.deepEqual([task.state, task.counts.notEvaluated], ["finished", 1]);
    world.command({ type: "retryPoints", taskId: task.id, pointIds: ["1"] });
    assert.deepEqual([task.round, task.counts.leased, task.counts.ready], [2, 1, 0]);
    pilot.loss(2);
    assert.deepEqual([task.state, task.points.get("1")?.state], ["finished", "notEvaluated"]);
    assert.equal(task.points.get("2")?.loss, 2);
  });

  it("a search whose pending points are all given up asks for others", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 1, maxEvaluationJobs: 4 });
    for (let count = 0; count < 10; count += 1) pilot.interrupt();
    assert.equal(task.points.get("0")?.state, "notEvaluated");
    assert.equal(task.generated, 2);
    pilot.loss(1);
    assert.equal(task.state, "finished");
  });

  it("an interruption that is told after its lease has expired is not counted again", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    const { item, epoch } = pilot.lease();
    pilot.drop();
    world.tick(61);
    const point = task.points.get("0");
    assert.deepEqual([point?.state, point?.interruptions], ["ready", 1]);
    pilot.connect();
    const node = world.core.nodes.get("local/node1")?.lossesInRow;
    const result = { item, epoch, seq: 1, outcome: NONE, durationSeconds: 1, log: "", next: null };
    pilot.send({ type: "result", ...result });
    assert.deepEqual(
      [point?.state, point?.interruptions, point?.interruptionsInRow],
      ["ready", 1, 1],
    );
    assert.equal(world.core.nodes.get("local/node1")?.lossesInRow, node);
    assert.equal(pilot.last("accepted")?.seq, 1);
  });

  it("the end of a submission is noted to the harvester, also when it is told again", () => {
    const world = new World();
    const pilot = world.pilot();
    const protocol = { min: 1, max: 1 };
    world.fromHarvester({ type: "hello", protocol, harvester: "h", sites: [] });
    const { submissionId } = pilot;
    const message = { type: "ended", queue: "local", submissionId, detail: "over" } as const;
    for (const time of ["first", "second"]) {
      const effects = world.fromHarvester(message);
      const noted = effects.filter(({ type }) => type === "toHarvester").slice(0, 1);
      const answer = { type: "endNoted", submissionId };
      assert.deepEqual(noted, [{ type: "toHarvester", session: "h", message: answer }], time);
    }
    assert.equal(world.core.submissions.size, 0);
  });
});
