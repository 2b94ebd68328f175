import assert from "node:assert/strict";
import fc from "fast-check";
import { demandByQueue, wantedPilots, type QueueDemand } from "../../../server/queues/demand.ts";

function wanted(change: Partial<QueueDemand>): number {
  return wantedPilots({
    state: "online",
    maxPilots: 100,
    slotsWanted: 0,
    slotsPerPilot: 1,
    ...change,
  });
}

describe("demand: pilots of one queue", () => {
  it("wants as many pilots as hold the slots, the last one partly used", () => {
    assert.equal(wanted({ slotsWanted: 9, slotsPerPilot: 4 }), 3);
    assert.equal(wanted({ slotsWanted: 8, slotsPerPilot: 4 }), 2);
    assert.equal(wanted({ slotsWanted: 0, slotsPerPilot: 4 }), 0);
  });

  it("never wants more than maxPilots", () => {
    assert.equal(wanted({ slotsWanted: 1_000, maxPilots: 7 }), 7);
  });

  it("wants one pilot at most in test, and none in drain and offline", () => {
    assert.equal(wanted({ slotsWanted: 50, state: "test" }), 1);
    assert.equal(wanted({ slotsWanted: 50, state: "test", maxPilots: 0 }), 0);
    assert.equal(wanted({ slotsWanted: 50, state: "drain" }), 0);
    assert.equal(wanted({ slotsWanted: 50, state: "offline" }), 0);
  });

  it("counts a pilot of which nothing is known as one slot", () => {
    assert.equal(wanted({ slotsWanted: 3, slotsPerPilot: 0 }), 3);
  });
});

describe("demand: several queues", () => {
  const queue = (name: string, capacity: number) => ({ name, capacity });

  it("does not start pilots for the same points twice", () => {
    const demand = demandByQueue([{ slots: 10, queues: [queue("a", 100), queue("b", 100)] }]);
    assert.deepEqual(Object.fromEntries(demand), { a: 5, b: 5 });
  });

  it("shares in proportion to what the queues could offer", () => {
    const demand = demandByQueue([{ slots: 40, queues: [queue("a", 30), queue("b", 10)] }]);
    assert.deepEqual(Object.fromEntries(demand), { a: 30, b: 10 });
  });

  it("adds up the searches of a queue", () => {
    const demand = demandByQueue([
      { slots: 3, queues: [queue("a", 10)] },
      { slots: 4, queues: [queue("a", 10)] },
    ]);
    assert.equal(demand.get("a"), 7);
  });

  it("asks queues that offer nothing for nothing", () => {
    const demand = demandByQueue([{ slots: 3, queues: [queue("a", 0)] }]);
    assert.equal(demand.get("a"), 0);
  });

  it("covers every slot exactly once, however the queues are sized", () => {
    const capacities = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(fc.nat(10_000), capacities, (slots, sizes) => {
        const queues = sizes.map((capacity, index) => queue(`q${index}`, capacity));
        const shares = [...demandByQueue([{ slots, queues }]).values()];
        const sum = shares.reduce((total, share) => total + share, 0);
        assert.equal(sum, sizes.some((capacity) => capacity > 0) ? slots : 0);
        assert.ok(shares.every((share) => share >= 0));
      }),
    );
  });
});
