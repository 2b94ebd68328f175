import assert from "node:assert/strict";
import type { ToHarvester } from "../../../protocol/harvester-messages.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { World } from "../../support/reactor-world.ts";

/** A harvester's session; returns all that the server has sent it. */
function harvester(world: World, sites: string[] = []): ToHarvester[] {
  const sent: ToHarvester[] = [];
  const post = world.post.bind(world);
  world.post = (item) => {
    const effects = post(item);
    for (const effect of effects) if (effect.type === "toHarvester") sent.push(effect.message);
    return effects;
  };
  const hello = { type: "hello" as const, protocol: { min: 1, max: 1 }, harvester: "h", sites };
  world.fromHarvester(hello);
  return sent;
}

function wanted(sent: readonly ToHarvester[]): number | undefined {
  const last = sent.findLast((message) => message.type === "wanted");
  return last?.type === "wanted" ? last.pilots : undefined;
}

describe("pilots wanted of a harvester", () => {
  it("are none without work, and as many as searches can use with it, up to maxPilots", () => {
    const world = new World({ name: "local", limits: { maxPilots: 3 } });
    const sent = harvester(world);
    assert.equal(wanted(sent), 0);
    world.submit({}, { maxPoints: 2, nPointsPerIteration: 2, nParallelEvaluation: 2 });
    world.tick();
    assert.equal(wanted(sent), 2);
    world.submit({}, { maxPoints: 20, nPointsPerIteration: 20, nParallelEvaluation: 20 });
    world.tick();
    assert.equal(wanted(sent), 3);
  });

  it("are told only when they change", () => {
    const world = new World();
    const sent = harvester(world);
    const before = sent.length;
    world.tick();
    world.tick();
    assert.equal(sent.length, before);
  });

  it("are none for a search that the queue does not fit, and for a queue that is offline", () => {
    const world = new World({ name: "local", state: "offline" });
    const sent = harvester(world);
    world.submit();
    world.tick();
    assert.equal(wanted(sent), 0);
    world.command({ type: "putQueue", config: QueueConfig.parse({ name: "local" }) });
    world.tick();
    assert.equal(wanted(sent), 1);
    const other = new World();
    const toOther = harvester(other);
    other.submit({ needs: { cpus: 1, memoryBytes: 1e12, gpus: null } });
    other.tick();
    assert.equal(wanted(toOther), 0);
  });

  it("of a site that is gone are wanted at the others, and its own again once it is back", () => {
    const world = new World({ name: "local", site: "here", limits: { maxPilots: 100 } });
    const other = { name: "other", site: "there", limits: { maxPilots: 4 } };
    world.command({ type: "putQueue", config: QueueConfig.parse(other) });
    const sent: ToHarvester[] = [];
    const take = (effects: ReturnType<World["post"]>): void => {
      for (const effect of effects) if (effect.type === "toHarvester") sent.push(effect.message);
    };
    const hello = (site: string): void => {
      const protocol = { min: 1, max: 1 };
      take(world.fromHarvester({ type: "hello", protocol, harvester: site, sites: [site] }, site));
    };
    const report = (lastError: string | null, probeInSeconds: number | null): void => {
      const what = { queue: "local", submissions: [], secretsNeeded: 0 };
      const health = { probeInSeconds };
      take(world.fromHarvester({ type: "report", ...what, lastError, health }, "here"));
    };
    const now = (): Record<string, number> => {
      take(world.post({ type: "tick" }));
      const last = (queue: string): number =>
        wanted(sent.filter((one) => one.type === "wanted" && one.queue.name === queue)) ?? 0;
      return { here: last("local"), there: last("other") };
    };
    hello("here");
    hello("there");
    world.submit({}, { maxPoints: 4, nPointsPerIteration: 4, nParallelEvaluation: 4 });
    assert.deepEqual(now(), { here: 4, there: 0 });
    report("paused: sbatch: no such partition", 60);
    assert.deepEqual(now(), { here: 1, there: 3 }, "a paused one is tried with one pilot");
    world.post({ type: "harvesterClosed", session: "here" });
    assert.equal(now()["there"], 4);
    hello("here");
    report(null, null);
    assert.deepEqual(now(), { here: 4, there: 0 });
  });

  it("of a site without its harvester are those that are connected", () => {
    const world = new World({ name: "local", site: "here", limits: { maxPilots: 100 } });
    world.pilot();
    const other = { name: "other", site: "there", limits: { maxPilots: 100 } };
    world.command({ type: "putQueue", config: QueueConfig.parse(other) });
    const sent = harvester(world, ["there"]);
    world.submit({}, { maxPoints: 9, nPointsPerIteration: 9, nParallelEvaluation: 9 });
    world.tick();
    assert.equal(wanted(sent), 8);
  });

  it("become none when the queue is removed", () => {
    const world = new World();
    const sent = harvester(world);
    world.submit();
    world.tick();
    assert.equal(wanted(sent), 1);
    world.command({ type: "removeQueue", name: "local" });
    world.tick();
    const last = sent.at(-1);
    assert.ok(last?.type === "wanted" && last.pilots === 0 && last.queue.state === "offline");
  });

  it("that the batch system has ended hold no lease and no valid secret any more", () => {
    const world = new World();
    harvester(world);
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    const { submissionId } = pilot;
    const message = {
      type: "ended" as const,
      queue: "local",
      submissionId,
      detail: "killed by the batch system",
    };
    world.fromHarvester(message);
    assert.deepEqual([task.counts.ready, task.interruptions], [1, 1]);
    const exchange = { type: "exchangeBootSecret", instance: "other", newPilotId: "p" } as const;
    assert.throws(() => world.command({ ...exchange, sha256: submissionId.padEnd(64, "0") }), {
      code: "E_UNAUTHENTICATED",
    });
  });

  it("give their place to a newer process of their submission, are told so, and never take it back by a late request", () => {
    const world = new World();
    harvester(world);
    const pilot = world.pilot();
    const sha256 = pilot.submissionId.padEnd(64, "0");
    const instance = world.core.submissions.get(pilot.submissionId)?.instance ?? "";
    const exchange = (name: string) =>
      world.command<"exchangeBootSecret">({
        type: "exchangeBootSecret",
        sha256,
        instance: name,
        newPilotId: `pilot of ${name}`,
      });
    assert.equal(exchange(instance).pilotId, pilot.id, "its answer was lost");
    assert.equal(exchange("newer").pilotId, "pilot of newer");
    const closed = world.effects.filter((one) => one.type === "close");
    assert.deepEqual(closed, [
      { type: "close", session: pilot.session, code: 4000, reason: "a newer pilot came" },
    ]);
    assert.throws(() => exchange(instance), {
      code: "E_UNAUTHENTICATED",
      message: "Another pilot has taken the place of this one.",
    });
    assert.equal(exchange("newer").pilotId, "pilot of newer");
    assert.equal(world.core.submissions.get(pilot.submissionId)?.pilotId, "pilot of newer");
  });
});

describe("a grant", () => {
  it("carries the task's specification once per session, without its search space", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 2, nPointsPerIteration: 2 });
    assert.equal(pilot.last("grant")?.specs[0]?.spec.searchSpace, "");
    pilot.loss(1);
    assert.deepEqual(pilot.last("grant")?.specs, []);
  });
});
