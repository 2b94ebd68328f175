import assert from "node:assert/strict";
import { QueueConfig } from "../../../protocol/queue.ts";
import type { TaskSpecificationInput } from "../../../protocol/task.ts";
import type { Task } from "../../../server/core.ts";
import { steeringWarnings } from "../../../server/tasks/steering.ts";
import { steeringInput } from "../../../server/tasks/steering-files.ts";
import { explain } from "../../../server/tasks/why.ts";
import { answerRun, STEERING, worldWithCentral } from "../../support/central-steering.ts";
import { World, specification } from "../../support/reactor-world.ts";

function search(world: World, limits = { maxPoints: 4, nPointsPerIteration: 2 }): Task {
  return world.submit({ steering: STEERING }, limits);
}

describe("container steering", () => {
  it("runs on a central slot with the unreduced numbers, and its points are evaluated elsewhere", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const task = search(world);
    const granted = central.last("grant")?.items[0];
    assert.deepEqual(granted?.item, { type: "steering", taskId: task.id, run: 0 });
    assert.deepEqual(granted.steering, { numPoints: 2, maxPoints: 4 });
    answerRun(central, '[{"x": 1.0}, {"x":2}]');
    assert.equal(task.points.get("0")?.text, '{"x": 1.0}');
    assert.equal(worker.lease().item.type, "evaluation");
    worker.loss(3);
    worker.loss(2);
    answerRun(central, '[{"x": 3}, {"x": 4}]');
    worker.loss(5);
    worker.loss(4);
    assert.deepEqual([task.state, task.best?.loss], ["finished", 2]);
    assert.ok(central.isIdle());
  });

  it("is told every point with its loss or null, byte for byte, and the search space as it was written", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const searchSpace = '{ "10": 1, "2": {"method": "anything"} }';
    const task = world.submit(
      { steering: STEERING, searchSpace },
      { maxPoints: 4, nPointsPerIteration: 2 },
    );
    answerRun(central, '[{"x": 1.0, "2": 1, "1": 2}, {"x":2}]');
    worker.loss(0.5);
    assert.equal(
      steeringInput(task),
      `{"points": [[{"x": 1.0, "2": 1, "1": 2}, 0.5], [{"x":2}, null]], "opt_space": ${searchSpace}}`,
    );
  });

  it("is refused without a central queue, with the remedy", () => {
    const world = new World();
    assert.throws(() => search(world), { code: "E_CONFLICT", remedy: /role = "central"/ });
  });

  it("with a predefined image is refused until a central queue knows it, with the command that builds it", () => {
    const { world } = worldWithCentral();
    const submit = (container: string): Task =>
      world.submit({ steering: { container, exec: "hpogrid generate" } }, { maxPoints: 2 });
    assert.throws(() => submit("hyperpilot/optuna"), {
      code: "E_IMAGE",
      remedy: /hyperpilot admin steering build optuna/,
    });
    assert.throws(() => submit("docker://hyperpilot/optuna"), { code: "E_IMAGE" });
    assert.throws(() => submit("hyperpilot/optun"), { remedy: /hyperpilot\/nevergrad, / });
    const images = { "hyperpilot/optuna": "/images/optuna.sif" };
    world.command({
      type: "putQueue",
      config: QueueConfig.parse({ name: "central", role: "central", images }),
    });
    assert.equal(submit("hyperpilot/optuna").state, "running");
    assert.throws(() => submit("hyperpilot/skopt"), { code: "E_IMAGE" });
  });

  it("is tried three times when it fails or prints no list of points; then the search ends with the cause", () => {
    for (const [text, cause] of [
      [null, /it broke/],
      ["", /expected a value, found the end of the file/],
      ["not json", /%OUT:1:1 expected a value/],
      ["[1]", /its entry 0 is a number, not a point/],
      ['{"points": []}', /it is an object, not a list/],
    ] as const) {
      const { world, central } = worldWithCentral();
      const task = search(world);
      answerRun(central, text);
      assert.match(
        steeringWarnings(task).join(),
        /^try 1 of 3 of steering run 0 failed and it is tried again: /,
      );
      assert.match(steeringWarnings(task).join(), cause);
      for (let attempt = 1; attempt < 3; attempt += 1) answerRun(central, text);
      assert.equal(task.state, "failed");
      assert.deepEqual(steeringWarnings(task), []);
      assert.match(task.reason, /Its output: hyperpilot task logs 10000000 run-0$/);
      const why = explain(world.core, world.reactor.live, task);
      assert.match(why.remedy, /Correct the steering .*task logs 10000000 run-0/);
      assert.match(task.reason, /steering failed 3 times/);
      assert.match(task.reason, cause);
      assert.ok(central.isIdle());
    }
  });

  it("whose reason is long still names where its output is, within a sentence's bound", () => {
    const { world, central } = worldWithCentral();
    const task = search(world);
    for (let attempt = 0; attempt < 3; attempt += 1)
      answerRun(central, null, { message: "x".repeat(4_000) });
    assert.match(task.reason, /x{1500}\. Its output: hyperpilot task logs 10000000 run-0$/);
  });

  it("that answers [] at once ends the search, which says that no point came", () => {
    const { world, central } = worldWithCentral();
    const task = search(world);
    answerRun(central, "[]");
    assert.equal(task.state, "failed");
    assert.match(task.reason, /the steering proposed no point at all/);
  });

  it("without a search space is submitted without a warning, and with a queue that is not there with one", () => {
    const { world } = worldWithCentral();
    world.pilot();
    const warnings = (change: Partial<TaskSpecificationInput>): readonly string[] => {
      const spec = specification({ steering: STEERING, searchSpace: "null", ...change });
      return world.command<"submitTask">({ type: "submitTask", spec }).warnings;
    };
    assert.deepEqual(warnings({}), []);
    assert.deepEqual(warnings({ queues: ["local", "XYZ"] }), [
      'there is no queue "XYZ" here (--site, --queue); there are: local',
    ]);
  });

  it("that answers too many points has the surplus cut; [] with points pending does not end asking", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const limits = { maxPoints: 10, nPointsPerIteration: 3, minUnevaluatedPoints: 2 };
    const task = world.submit({ steering: STEERING }, limits);
    answerRun(central, '[{"x":1},{"x":2},{"x":3},{"x":4}]');
    assert.equal(task.generated, 3);
    assert.match(
      steeringWarnings(task).join(),
      /1 were left out; let it write at most %NUM_POINTS \(3\)/,
    );
    worker.loss(1);
    worker.loss(1);
    answerRun(central, "[]");
    assert.deepEqual([task.state, task.askingEnded], ["running", null]);
    worker.loss(1);
    answerRun(central, "[]");
    assert.equal(task.askingEnded, "the steering proposed no more points");
    assert.equal(task.state, "finished");
  });

  it("goes to another slot when its pilot is lost, which uses no try; the late answer is stale", () => {
    const { world, central } = worldWithCentral();
    const task = search(world);
    const lost = central.lease();
    central.drop();
    world.tick(61);
    const other = world.pilot({ queue: "central", node: "c2" });
    assert.deepEqual([other.lease().item, task.run?.try], [lost.item, 1]);
    central.connect([lost]);
    assert.equal(central.last("stop")?.item.type, "steering");
    central.send({ type: "runAnswer", ...lost, seq: 1, points: "[]", message: "", log: "" });
    assert.equal(central.last("stale")?.seq, 1);
    answerRun(other, '[{"x":1}]');
    assert.equal(task.generated, 1);
  });

  it("that is given back is granted again; one that two beats lack is too", () => {
    const { world, central } = worldWithCentral();
    const task = search(world);
    const { item, epoch } = central.lease();
    central.held.length = 0;
    central.send({ type: "release", item, epoch, reason: "drain" });
    assert.equal(task.run?.lease, null);
    central.request(0);
    assert.ok(!central.isIdle());
    central.send({ type: "beat", grantSeen: central.grantSeen, leases: [] });
    central.send({ type: "beat", grantSeen: central.grantSeen, leases: [] });
    assert.equal(task.run.lease, null);
  });

  it("is stopped when the search is killed", () => {
    const { world, central } = worldWithCentral();
    const task = search(world);
    const { epoch } = central.lease();
    world.command({ type: "controlTask", taskId: task.id, action: "kill" });
    assert.deepEqual(central.last("stop")?.epoch, epoch);
    assert.equal(world.core.leasesByPilot.size, 0);
  });

  it("serves searches in the order in which their runs were opened, one run each", () => {
    const { world, central } = worldWithCentral();
    const first = search(world);
    const second = search(world);
    const third = search(world);
    const served = [];
    for (let turn = 0; turn < 3; turn += 1) {
      served.push(central.lease().item.taskId);
      answerRun(central, '[{"x":1},{"x":2}]');
    }
    assert.deepEqual(served, [first.id, second.id, third.id]);
  });

  it("takes no evaluations on its slots, and evaluation slots take no steering", () => {
    const { world, central } = worldWithCentral();
    world.submit({}, { maxPoints: 1 });
    assert.ok(central.isIdle());
    const worker = world.pilot();
    world.command({ type: "removeQueue", name: "central" });
    assert.ok(!worker.isIdle());
  });

  it("that waits for a central slot is explained as that", () => {
    const world = new World();
    world.command({
      type: "putQueue",
      config: QueueConfig.parse({ name: "central", role: "central" }),
    });
    const task = search(world);
    const why = (): string => explain(world.core, world.reactor.live, task).sentence;
    assert.match(why(), /waits for a central slot: no pilot is connected in central \(online\)/);
    world.pilot({ queue: "central" });
    assert.match(why(), /Steering is proposing points|No pilot is connected/);
    const second = search(world);
    assert.match(
      explain(world.core, world.reactor.live, second).sentence,
      /the 1 pilot of central \(online\) run the steering of other searches/,
    );
  });

  it("counts on the harvester to start a central pilot while a run is open", () => {
    const world = new World();
    world.command({
      type: "putQueue",
      config: QueueConfig.parse({ name: "central", role: "central" }),
    });
    const hello = {
      type: "hello" as const,
      protocol: { min: 1, max: 1 },
      harvester: "h",
      sites: [],
    };
    world.fromHarvester(hello);
    search(world);
    world.tick();
    assert.equal(world.reactor.live.queues.get("central")?.wantedPilots, 1);
  });
});
