import assert from "node:assert/strict";
import type { Effect } from "../../../server/inbox.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { World } from "../../support/reactor-world.ts";

function withHarvester(sites: string[] = []): World {
  const world = new World();
  const protocol = { min: 1, max: 1 };
  const identity = { harvester: "h", id: "id-h", instance: "i-1", version: "1", host: "login" };
  world.fromHarvester({ type: "hello", protocol, sites, ...identity });
  world.fromHarvester({ type: "holds", submissionIds: [], more: false });
  return world;
}

const TEST = {
  submissionId: "sub-test",
  sha256: "sub-test".padEnd(64, "0"),
  secret: "s",
};

function toHarvester(effects: readonly Effect[], type: string): Effect[] {
  return effects.filter((one) => one.type === "toHarvester" && one.message.type === type);
}

describe("a test pilot", () => {
  it("goes to the harvester in the same moment in which its queue is added", () => {
    const world = withHarvester();
    const config = QueueConfig.parse({ name: "new" });
    world.command({ type: "putQueue", config });
    world.command({ type: "testQueue", ...TEST, name: "new" });
    assert.equal(toHarvester(world.effects, "test").length, 1);
  });

  it("of a queue that no harvester serves is refused, with what to ask", () => {
    const world = withHarvester(["elsewhere"]);
    assert.throws(
      () => world.command({ type: "testQueue", ...TEST, name: "local" }),
      /No harvester serves queue local/,
    );
    assert.equal(world.core.submissions.size, 0, "no secret was made for it");
  });

  it("is refused by a queue that is offline or drained", () => {
    for (const state of ["offline", "drain"] as const) {
      const world = withHarvester();
      const queue = world.core.queues.get("local");
      world.command({ type: "putQueue", config: QueueConfig.parse({ ...queue, state }) });
      const test = (): unknown => world.command({ type: "testQueue", ...TEST, name: "local" });
      assert.throws(test, new RegExp(`is ${state}`));
    }
  });

  it("takes no work once it has connected, and leaves", () => {
    const world = withHarvester();
    world.command({ type: "testQueue", ...TEST, name: "local" });
    world.submit();
    const pilot = world.pilot({ submissionId: "sub-test" });
    assert.ok(pilot.last("drain") !== undefined);
    assert.ok(pilot.isIdle());
  });
});

describe("an operator", () => {
  it("drains a pilot by its id: it ends what it runs and takes nothing more", () => {
    const world = withHarvester();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 1 });
    world.command({ type: "drainPilot", id: pilot.submissionId, kill: false });
    assert.equal(pilot.last("drain")?.stopRunning, false);
    assert.equal(toHarvester(world.effects, "remove").length, 0);
  });

  it("drains a node: its pilots take nothing more, one that comes later is turned away", () => {
    const world = withHarvester();
    const pilot = world.pilot();
    const node = { queue: "local", node: "node1", reason: "disk" };
    world.command({ type: "drainNode", ...node, drained: true });
    assert.match(pilot.last("drain")?.reason ?? "", /disk \(by anna\)/);
    const later = world.pilot({ node: "node1" });
    assert.ok(later.last("drain") !== undefined);
    world.command({ type: "drainNode", ...node, drained: false });
    const well = world.pilot({ node: "node1" });
    assert.equal(well.last("drain"), undefined);
  });

  it("is told of a node, a queue and a pilot that are not there", () => {
    const world = withHarvester();
    const node = { node: "x", reason: "", drained: false };
    assert.throws(
      () => world.command({ type: "drainNode", queue: "local", ...node }),
      /Nothing is held against node x/,
    );
    assert.throws(
      () => world.command({ type: "drainNode", queue: "lokal", ...node }),
      /There is no queue lokal/,
    );
    assert.throws(() => world.command({ type: "drainPilot", id: "p", kill: true }), /p/);
  });
});
