import assert from "node:assert/strict";
import { apply } from "../../../server/apply.ts";
import { createCore } from "../../../server/core.ts";
import type { Task } from "../../../server/core.ts";
import { World } from "../../support/reactor-world.ts";

function running(world: World, points = 4): { task: Task; pilot: ReturnType<World["pilot"]> } {
  const pilot = world.pilot();
  const task = world.submit({}, { maxPoints: points, nPointsPerIteration: points });
  return { task, pilot };
}

describe("control of a task", () => {
  it("pause grants nothing more, lets running points end and count, and resume goes on", () => {
    const world = new World();
    const { task, pilot } = running(world);
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    pilot.loss(1);
    assert.deepEqual([task.state, task.counts.done, task.counts.leased], ["paused", 1, 0]);
    world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    assert.deepEqual([task.state, task.counts.leased], ["running", 1]);
  });

  it("finish lets running points end and count and evaluates no other", () => {
    const world = new World();
    const { task, pilot } = running(world);
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    assert.deepEqual([task.state, task.counts.notEvaluated], ["finishing", 3]);
    pilot.loss(1);
    assert.deepEqual([task.state, task.counts.done], ["finished", 1]);
  });

  it("finish does not evaluate again a point whose last running attempt failed", () => {
    const world = new World();
    const { task, pilot } = running(world);
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    pilot.fail();
    assert.deepEqual([task.state, task.counts.notEvaluated], ["failed", 4]);
  });

  it("hard finish stops running points, kill aborts; later losses change nothing", () => {
    for (const [action, state] of [
      ["hardFinish", "finished"],
      ["kill", "aborted"],
    ] as const) {
      const world = new World();
      const { task, pilot } = running(world);
      pilot.loss(1);
      const lease = pilot.lease();
      world.command({ type: "controlTask", taskId: task.id, action });
      assert.deepEqual(
        [task.state, task.counts.cancelled, task.counts.notEvaluated],
        [state, 1, 2],
      );
      assert.deepEqual(pilot.last("stop")?.epoch, lease.epoch);
      pilot.loss(0);
      assert.equal(pilot.last("stale")?.seq, 1);
      assert.equal(task.counts.done, 1);
    }
  });

  it("finish drains a task that was finishing by itself, too", () => {
    const world = new World();
    const { task, pilot } = running(world, 1);
    assert.equal(task.state, "finishing");
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    pilot.fail();
    assert.deepEqual([task.state, task.counts.notEvaluated], ["failed", 1]);
  });

  it("hard finish ends a paused task", () => {
    const world = new World();
    const { task, pilot } = running(world);
    pilot.loss(1);
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    world.command({ type: "controlTask", taskId: task.id, action: "hardFinish" });
    assert.equal(task.state, "finished");
  });

  it("retry is refused while a finishing task evaluates nothing more", () => {
    const world = new World();
    const { task, pilot } = running(world);
    pilot.loss(1);
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    const command = { type: "retryPoints", taskId: task.id, pointIds: ["0"] } as const;
    assert.throws(() => world.command(command), { code: "E_CONFLICT" });
    pilot.loss(1);
    world.command(command);
    assert.equal(task.round, 2);
  });

  it("is refused on an ended task, with its state and reason", () => {
    const world = new World();
    const { task, pilot } = running(world, 1);
    pilot.loss(1);
    assert.throws(() => world.command({ type: "controlTask", taskId: task.id, action: "pause" }), {
      code: "E_CONFLICT",
      why: /it has ended: all 1 points are evaluated/,
    });
  });

  it("starts the next round when limits of an ended task are raised: points not evaluated become ready", () => {
    const world = new World();
    const { task, pilot } = running(world, 3);
    pilot.loss(1);
    world.command({ type: "controlTask", taskId: task.id, action: "hardFinish" });
    assert.equal(task.state, "finished");
    world.command({ type: "changeLimits", taskId: task.id, limits: { maxPoints: 4 } });
    assert.deepEqual([task.state, task.round], ["running", 2]);
    pilot.loss(1);
    assert.equal(pilot.last("stale")?.seq, 1, "the stopped evaluation counts no more");
    pilot.loss(1);
    pilot.loss(1);
    assert.equal(task.state, "finished");
    assert.deepEqual([task.counts.done, task.counts.cancelled], [3, 1]);
  });

  it("submitting the same specification under the same uuid again is the same task, another one a conflict", () => {
    const world = new World();
    const task = world.submit();
    const again = world.command<"submitTask">({ type: "submitTask", spec: task.spec });
    assert.deepEqual([again.taskId, again.existed], [task.id, true]);
    assert.throws(
      () => world.command({ type: "submitTask", spec: { ...task.spec, name: "other" } }),
      {
        code: "E_CONFLICT",
      },
    );
  });

  it("numbers tasks from ten million", () => {
    assert.equal(new World().submit().id, 10_000_000);
  });

  it("is rebuilt from the journal exactly", () => {
    const world = new World();
    const pilot = world.pilot({ slots: 2 });
    const task = world.submit({}, { maxPoints: 8, nPointsPerIteration: 4, nParallelEvaluation: 2 });
    pilot.loss(2, 0);
    pilot.fail(1);
    pilot.interrupt(0);
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    pilot.loss(1, 1);
    const rebuilt = createCore();
    for (const event of world.events) apply(rebuilt, event);
    const { ready: _one, ...expected } = task;
    const { ready: _other, ...actual } = rebuilt.tasks.get(task.id)!;
    assert.deepEqual(actual, expected);
    assert.equal(rebuilt.seq, world.core.seq);
  });
});
