import assert from "node:assert/strict";
import { apply } from "../../../server/apply.ts";
import { createCoreReader, sectionsOf } from "../../../server/core-form.ts";
import { createCore, type Core, type Point, type Task } from "../../../server/core.ts";
import { decodeTrusted, encode } from "../../../protocol/codec.ts";
import { busyWorld } from "../../support/busy-world.ts";

/** As a file would give it back. */
function copyOf(core: Core): Core {
  const reader = createCoreReader();
  for (const section of sectionsOf(core)) reader.add(decodeTrusted(encode(section)));
  return reader.finish();
}

/** Segments in a fixed order: whose turn it is may be another one's after a restart. */
function waiting(task: Task): Point[] {
  const points = task.ready.waiting(({ state }) => state === "ready");
  return points.sort((a, b) => a.segment - b.segment);
}

/** Everything; of ready queues what would come up. */
function comparable(core: Core): unknown {
  return {
    ...core,
    tasks: [...core.tasks.values()].map((task) => ({
      ...task,
      points: [...task.points.values()],
      bySegment: task.segments.map(({ index }) => task.points.ofSegment(index)),
      ready: waiting(task),
    })),
    activeTasks: [...core.activeTasks].map(({ id }) => id),
    leasesByPilot: [...core.leasesByPilot].map(([pilot, leases]) => [
      pilot,
      [...leases].map(([key, { task, point }]) => [key, task.id, point]),
    ]),
  };
}

describe("the written form of the core", () => {
  it("brings back everything, references and orders included", () => {
    const { core } = busyWorld();
    assert.ok(core.leasesByPilot.size > 0 && core.tasks.size > 3);
    assert.deepEqual(comparable(copyOf(core)), comparable(core));
  });

  it("points to the same points from leases, ready queue and best as from their task", () => {
    const copy = copyOf(busyWorld().core);
    let seen = 0;
    for (const leases of copy.leasesByPilot.values())
      for (const { task, point } of leases.values()) {
        assert.equal(task, copy.tasks.get(task.id));
        if (point !== null) assert.equal(point, task.points.get(point.id));
        seen += 1;
      }
    for (const task of copy.tasks.values()) {
      if (task.best !== null) assert.equal(task.best, task.points.get(task.best.id));
      for (const point of waiting(task)) assert.equal(point, task.points.get(point.id));
    }
    assert.ok(seen > 0);
  });

  it("goes on from there as the original does", () => {
    const { core, events } = busyWorld();
    const rebuilt = createCore();
    for (const [index, event] of events.entries()) {
      apply(rebuilt, event);
      if (index % 50 !== 0) continue;
      const copy = copyOf(rebuilt);
      for (const later of events.slice(index + 1)) apply(copy, later);
      assert.deepEqual(comparable(copy), comparable(core), `from event ${index + 1} on`);
    }
  });

  it("keeps sections small, however many points there are", () => {
    const { core } = busyWorld({ points: 2_500 });
    const blocks = [...sectionsOf(core)].filter(([name]) => name === "points");
    assert.ok(blocks.length >= 3);
    for (const [, , rows] of blocks) assert.ok((rows as unknown[]).length <= 1_000);
  });
});
