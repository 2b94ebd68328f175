import assert from "node:assert/strict";
import type { FromPilotOf } from "../../../protocol/pilot-messages.ts";
import { newIncarnation } from "../../../server/backup/incarnation.ts";
import { apply } from "../../../server/apply.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

const SECONDS = 1_700_000_000;

/** A world made of another's events up to now, as a restored backup is. */
function restoredFrom(world: World): World {
  const restored = new World(null);
  for (const event of world.events) apply(restored.core, event);
  for (const event of world.events) restored.events.push(event);
  restored.events.push(
    ...newIncarnation(restored.core, { monotonicMs: 0, wallMs: SECONDS * 1_000 }, 1),
  );
  return restored;
}

/** Lets a pilot of the former server come to the restored one and hand over a result. */
function comesWith(pilot: TestPilot, restored: World, result: FromPilotOf<"result">): string[] {
  const session = `${pilot.id}-again`;
  const { id: pilotId, submissionId } = pilot;
  const peer = { type: "pilot", session, pilotId, submissionId } as const;
  const resources = { cpus: 1, memoryBytes: 1e9, gpus: [] };
  const capacity = { node: "n1", scratchBytes: 1e9, runtimes: [], walltimeLeftSeconds: null };
  restored.post({
    ...peer,
    message: {
      type: "hello",
      protocol: { min: 1, max: 1 },
      instance: "instance-x",
      capacity: { ...capacity, ...resources, sources: {} },
      slots: [resources],
      leases: [{ item: result.item, epoch: result.epoch, slot: 0 }],
    },
  });
  return restored
    .post({ ...peer, message: { ...result, next: null } })
    .flatMap((effect) => (effect.type === "toPilot" ? [effect.message.type] : [effect.type]));
}

describe("a server that was restored from a backup", () => {
  it("ends every lease, counting nothing, and grants those points again at a higher epoch", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 4, nParallelEvaluation: 2 });
    world.pilot({ slots: 2 });
    assert.equal(task.counts.leased, 2);
    const restored = restoredFrom(world);
    const copy = restored.task(task.id);
    assert.equal(copy.counts.leased, 0);
    assert.equal(copy.interruptions, 0);
    assert.equal(restored.core.leasesByPilot.size, 0);
    const pilot = restored.pilot({ slots: 2 });
    for (const slot of [0, 1]) assert.equal(pilot.lease(slot).epoch[0], SECONDS);
    pilot.loss(0.5);
    assert.equal(copy.lossCount, 1);
  });

  it("takes results of leases from before the backup for stale", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 2, nParallelEvaluation: 2 });
    const pilot = world.pilot();
    const restored = restoredFrom(world);
    const result = pilot.loss(0.5);
    assert.deepEqual(comesWith(pilot, restored, result), ["stale"]);
    assert.equal(restored.task(task.id).lossCount, 0);
  });

  it("takes results of leases, points and tasks from after the backup for stale, not for violations", () => {
    const world = new World();
    const first = world.submit({}, { maxPoints: 40, nParallelEvaluation: 1 });
    const pilot = world.pilot();
    pilot.fail();
    const restored = restoredFrom(world);
    while (pilot.lease().epoch[1] < 2) pilot.loss(0.5);
    const regranted = pilot.loss(0.5);
    assert.deepEqual(regranted.epoch, [1, 2]);
    assert.deepEqual(comesWith(pilot, restored, regranted), ["stale"]);
    const known = restored.task(first.id).points;
    while (known.get((pilot.lease().item as { pointId: string }).pointId) !== undefined)
      pilot.loss(0.5);
    assert.deepEqual(comesWith(pilot, restored, pilot.loss(0.5)), ["stale"]);
    world.command({ type: "controlTask", taskId: first.id, action: "kill" });
    const later = world.submit({}, { maxPoints: 2 });
    pilot.held.length = 0;
    pilot.connect();
    pilot.requestAll();
    const ofLater = pilot.loss(0.5);
    assert.equal(ofLater.item.taskId, later.id);
    assert.deepEqual(comesWith(pilot, restored, ofLater), ["stale"]);
  });

  it("gives the new incarnation to what an ended search may still evaluate, and leaves what is final", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 2, nPointsPerIteration: 2, nParallelEvaluation: 1 });
    const pilot = world.pilot();
    world.command({ type: "controlTask", taskId: task.id, action: "finish" });
    pilot.loss(0.5);
    assert.equal(task.counts.notEvaluated, 1);
    const restored = restoredFrom(world);
    const [done, left] = [...restored.task(task.id).points.values()];
    assert.deepEqual([done?.state, done?.epoch], ["done", [1, 1]]);
    assert.deepEqual([left?.state, left?.epoch[0]], ["notEvaluated", restored.core.incarnation]);
    assert.notEqual(restored.core.incarnation, 1);
  });

  it("still answers accepted for a result that the backup holds", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 2, nParallelEvaluation: 2 });
    const pilot = world.pilot();
    const result = pilot.loss(0.5);
    const restored = restoredFrom(world);
    assert.deepEqual(comesWith(pilot, restored, result), ["accepted"]);
    assert.equal(restored.task(task.id).lossCount, 1);
  });

  it("gives new tasks ids that the former server has not given", () => {
    const world = new World();
    const { id } = world.submit();
    const restored = restoredFrom(world);
    assert.equal(restored.submit().id, id + 1_000_001);
  });

  it("opens an interrupted container run again, using no try", () => {
    const world = new World({ name: "central", role: "central" });
    const task = world.submit({ steering: { container: "host:", exec: "x" } });
    world.pilot({ queue: "central" });
    assert.ok(task.run?.lease !== null);
    const restored = restoredFrom(world);
    const { run } = restored.task(task.id);
    assert.equal(run?.lease, null);
    assert.equal(run.try, 1);
    const again = restored.pilot({ queue: "central" });
    assert.equal(again.lease().epoch[0], SECONDS);
  });
});
