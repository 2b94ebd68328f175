import assert from "node:assert/strict";
import { World } from "../../support/reactor-world.ts";

describe("fencing", () => {
  it("raises the epoch with every grant", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 1 });
    const first = pilot.lease().epoch;
    pilot.fail();
    assert.deepEqual(
      [first, pilot.lease().epoch],
      [
        [1, 1],
        [1, 2],
      ],
    );
  });

  it("answers a repeated result accepted again, and records it once", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 2 });
    const result = pilot.loss(1);
    pilot.send({ ...result, next: null });
    assert.equal(pilot.received.filter((message) => message.type === "accepted").length, 2);
    assert.equal(task.counts.done, 1);
    assert.equal(world.eventsOf("attemptEnded").length, 1);
  });

  it("answers a result of an older epoch stale, and changes nothing", () => {
    const world = new World();
    const slow = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    const lease = slow.lease();
    world.tick(61);
    const other = world.pilot();
    assert.ok(!other.isIdle());
    slow.connect([lease]);
    assert.deepEqual(slow.last("stop")?.epoch, lease.epoch);
    slow.loss(5);
    assert.equal(slow.last("stale")?.seq, 1);
    assert.equal(task.counts.done, 0);
    other.loss(1);
    assert.equal(task.best?.loss, 1);
  });

  it("closes the session of a pilot that claims an epoch that was never granted", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 1 });
    const lease = pilot.lease();
    const effects = world.post({
      type: "pilot",
      session: pilot.session,
      pilotId: pilot.id,
      submissionId: pilot.submissionId,
      message: {
        type: "result",
        item: lease.item,
        epoch: [1, 99],
        seq: 1,
        outcome: { type: "loss", loss: 0, exitCode: 0, message: "" },
        durationSeconds: 1,
        log: "",
        next: null,
      },
    });
    assert.deepEqual(
      effects.map((effect) => effect.type),
      ["audit", "toPilot", "close"],
    );
  });

  it("refuses a result for a lease that another pilot holds", () => {
    const world = new World();
    const holder = world.pilot();
    const other = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    other.held.push(holder.lease());
    other.loss(0);
    assert.equal(other.last("refused")?.code, "E_PROTOCOL");
    assert.equal(task.counts.done, 0);
  });

  it("takes the result of an expired lease that was not granted again; the ended job is charged", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    const lease = pilot.lease();
    pilot.drop();
    world.tick(61);
    assert.deepEqual([task.counts.ready, task.interruptions, task.jobsCharged], [1, 1, 0]);
    pilot.connect([lease]);
    assert.equal(pilot.last("stop"), undefined);
    pilot.loss(4);
    assert.equal(task.state, "finished");
    assert.deepEqual([task.best?.loss, task.interruptions, task.jobsCharged], [4, 1, 1]);
  });

  it("ends no lease when a session is lost, and lets the pilot hand its result over when it is back", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.drop();
    world.tick(30);
    assert.equal(task.counts.leased, 1);
    pilot.connect();
    pilot.loss(4);
    assert.equal(task.state, "finished");
  });

  it("gives every lease fresh time after a start, by monotonic time", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.drop();
    world.reactor.live.pilots.clear();
    world.reactor.live.pilotOfSession.clear();
    world.nowMs += 1_000_000;
    world.post({ type: "started" });
    world.tick(59);
    assert.equal(task.counts.leased, 1);
    world.tick(2);
    assert.equal(task.counts.leased, 0);
  });

  it("asks again for an open run after a start", () => {
    const world = new World();
    world.answersAsks = false;
    world.submit();
    world.post({ type: "started" });
    assert.equal(world.asks.length, 2);
    assert.deepEqual(world.asks[0], world.asks[1]);
  });

  it("releases a lease that hello lacks, counting nothing", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.take();
    pilot.held.length = 0;
    pilot.connect();
    assert.deepEqual([task.counts.ready, task.interruptions], [1, 0]);
    pilot.requestAll();
    assert.equal(task.counts.leased, 1);
  });

  it("releases a lease that two beats lack, but not one whose grant was not seen yet", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    pilot.take();
    pilot.grantSeen = 0;
    pilot.send({ type: "beat", grantSeen: 0, leases: [] });
    pilot.send({ type: "beat", grantSeen: 0, leases: [] });
    assert.equal(task.counts.leased, 1);
    pilot.send({ type: "beat", grantSeen: 1, leases: [] });
    assert.equal(task.counts.leased, 1);
    pilot.send({ type: "beat", grantSeen: 1, leases: [] });
    assert.equal(task.counts.leased, 0);
  });

  it("answers a repeated request with the same grants", () => {
    const world = new World();
    const pilot = world.pilot();
    world.submit({}, { maxPoints: 2, nPointsPerIteration: 2, nParallelEvaluation: 2 });
    const grant = pilot.last("grant");
    pilot.send({ type: "request", slot: 0, requestNo: grant!.requestNo, want: 1 });
    const again = pilot.last("grant");
    assert.deepEqual(again?.items, grant!.items);
    assert.equal(world.eventsOf("leaseGranted").length, 1);
  });

  it("ends the leases of a pilot whose submission comes back as a new process", () => {
    const world = new World();
    const pilot = world.pilot();
    const task = world.submit({}, { maxPoints: 1 });
    const sha256 = pilot.submissionId.padEnd(64, "0");
    world.command({
      type: "exchangeBootSecret",
      sha256,
      instance: "another-instance",
      newPilotId: "new-pilot",
    });
    assert.deepEqual([task.counts.ready, task.interruptions], [1, 1]);
    assert.throws(
      () =>
        world.command({ type: "exchangeBootSecret", sha256: "0", instance: "x", newPilotId: "y" }),
      {
        code: "E_UNAUTHENTICATED",
      },
    );
  });

  it("lets a boot secret be exchanged at most twenty times", () => {
    const world = new World();
    const pilot = world.pilot();
    const sha256 = pilot.submissionId.padEnd(64, "0");
    const exchange = (n: number): unknown =>
      world.command({
        type: "exchangeBootSecret",
        sha256,
        instance: `instance-${n}`,
        newPilotId: `p${n}`,
      });
    for (let n = 2; n <= 20; n += 1) exchange(n);
    assert.throws(() => exchange(21), { code: "E_LIMIT" });
  });

  it("refuses hello of a pilot whose submission has ended, and of an unknown protocol version", () => {
    const world = new World();
    const pilot = world.pilot();
    world.fromHarvester({
      type: "hello",
      protocol: { min: 1, max: 1 },
      harvester: "h",
      sites: [],
    });
    world.fromHarvester({
      type: "ended",
      queue: "local",
      submissionId: pilot.submissionId,
      detail: "exit 0",
    });
    pilot.connect();
    assert.equal(pilot.last("refused")?.code, "E_UNAUTHENTICATED");
  });
});
