import assert from "node:assert/strict";
import { QueueConfig } from "../../../protocol/queue.ts";
import { World } from "../../support/reactor-world.ts";

describe("pilots of a queue that is changed", () => {
  function change(world: World, more: Partial<QueueConfig>): void {
    const queue = world.core.queues.get("local");
    assert.ok(queue);
    world.command({ type: "putQueue", config: QueueConfig.parse({ ...queue, ...more }) });
  }

  it("leave when its images or what payloads may see is another, so that new ones read it", () => {
    const changes: readonly Partial<QueueConfig>[] = [
      { images: { "hyperpilot/optuna": "/images/optuna.sif" } },
      { readOnlyPaths: ["/data"] },
      { environment: { A: "1" } },
      { runtime: "apptainer" },
    ];
    for (const more of changes) {
      const world = new World();
      const pilot = world.pilot();
      change(world, more);
      const drain = pilot.last("drain");
      assert.deepEqual([drain?.stopRunning, drain?.reason], [false, "the configuration of its queue was changed"]); // prettier-ignore
      world.submit({}, { maxPoints: 1 });
      assert.ok(pilot.isIdle(), "a pilot that leaves is granted nothing");
      const next = world.pilot({ node: "other" });
      assert.equal(next.lease().item.type, "evaluation");
    }
  });

  it("end what they run first", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    change(world, { images: { a: "/b" } });
    assert.equal(pilot.last("stop"), undefined);
    pilot.loss(0.5);
    assert.deepEqual([task.state, task.best?.loss], ["finished", 0.5]);
  });

  it("stay when only limits are changed, or nothing is", () => {
    const world = new World();
    const pilot = world.pilot();
    change(world, {});
    change(world, { limits: { maxPilots: 7, maxQueued: 1, maxPerCycle: 1, maxSlotsPerPilot: 1 } });
    assert.equal(pilot.last("drain"), undefined);
  });
});
