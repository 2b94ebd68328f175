import assert from "node:assert/strict";
import { availableParallelism } from "node:os";
import { withBundle } from "./bundle.ts";
import { hunt, isFound, mutated } from "./mutants/hunting.ts";
import { MORE_MUTANTS, MUTANTS } from "./mutants/list.ts";
import type { Mutant } from "./mutants/mutant.ts";
import { shortenList } from "./shorten.ts";
import { planOfSeed, simulate } from "./simulate.ts";
import { CASES } from "./tally.ts";
import { runOnWorkers } from "./workers.ts";

const SEEDS = 2_000;
/** Each seed has this many faults and deeds of people on average, or more. */
const ACTIONS_MEAN_MIN = 30;
/** The machine may be busy: these are for what hangs. */
const MINUTES = 60_000;

describe("simulation", function () {
  this.timeout(20 * MINUTES);

  it(`breaks no invariant with ${SEEDS} seeds, and reaches every case`, async () => {
    const range = { from: 1, seeds: SEEDS };
    const workers = availableParallelism();
    const totals = await withBundle(({ file }) => runOnWorkers(file, range, workers));
    assert.deepEqual(
      totals.broken,
      [],
      "npm run simulate shows the first of these seeds with SEED=",
    );
    assert.equal(totals.seeds, SEEDS);
    assert.ok(totals.actions > ACTIONS_MEAN_MIN * SEEDS, `${totals.actions} actions and faults`);
    const missing = CASES.filter((name) => (totals.tally[name] ?? 0) === 0);
    assert.deepEqual(missing, []);
  });

  it("repeats a seed step by step", async () => {
    for (const seed of [3, 10, 14]) {
      const [first, second] = [
        await simulate({ seed, isTraced: true }),
        await simulate({ seed, isTraced: true }),
      ];
      assert.ok(first.trace.length > 100);
      assert.deepEqual(second.trace, first.trace);
      assert.equal(second.events, first.events);
    }
  });

  it("does the same with and without a trace, and less with a shorter plan", async () => {
    const plain = await simulate({ seed: 4 });
    const traced = await simulate({ seed: 4, isTraced: true });
    assert.equal(traced.events, plain.events);
    const { plan } = planOfSeed(4);
    const shorter = await simulate({ seed: 4, plan: plan.slice(0, 1) });
    assert.ok(shorter.journaled < plain.journaled);
    assert.equal(shorter.actions, 1);
  });

  it("shortens a list to what still fails, with a bound on its runs", async () => {
    const list = Array.from({ length: 40 }, (_, index) => index);
    const needs = (...needed: number[]) => {
      return (shorter: readonly number[]) =>
        Promise.resolve(needed.every((one) => shorter.includes(one)));
    };
    assert.deepEqual((await shortenList(list, needs(7, 31), 1_000)).items, [7, 31]);
    assert.deepEqual((await shortenList(list, needs(), 1_000)).items, []);
    assert.equal((await shortenList(list, needs(7, 31), 5)).runs, 5);
  });
});

describe("simulation: seeded bugs", function () {
  this.timeout(10 * MINUTES);

  it("are 25, and all of them fit the present sources", () => {
    assert.equal(MUTANTS.length, 25);
    const all = [...MUTANTS, ...MORE_MUTANTS];
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    for (const mutant of all) assert.notEqual(mutated(mutant), "");
  });

  it("whose place has moved are refused", async () => {
    const moved: Mutant = { ...MUTANTS[0]!, find: "this stands nowhere" };
    await assert.rejects(hunt(moved, 1), /is out of date: its text stands 0 times/);
  });

  it("are found, and nothing is found without one", async () => {
    const names = ["answers before durable", "late result dropped", "outbox drops when offline"];
    for (const mutant of MUTANTS.filter(({ name }) => names.includes(name))) {
      const hunted = await hunt(mutant, 200);
      assert.ok(isFound(mutant, hunted), `${mutant.name}: ${JSON.stringify(hunted)}`);
    }
    assert.deepEqual(await hunt(null, 20), { seeds: 20, broken: null });
  });
});
