import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { runInChunks } from "./chunks.ts";
import { noTotals, type SeedRange, type Totals } from "./run-seeds.ts";

const RANGE = { from: 11, seeds: 25 };

describe("simulation: very many seeds", () => {
  let directory: TemporaryDirectory;
  let ran: string[] = [];

  beforeEach(() => {
    directory = temporaryDirectory();
    ran = [];
  });
  afterEach(() => directory.remove());

  /** Runs chunks of ten; the one that begins with `failing` ends the program. */
  function run(failing: number | null, state = "this one"): Promise<Totals> {
    const work = ({ from, seeds }: SeedRange): Promise<Totals> => {
      if (from === failing) return Promise.reject(new Error("killed"));
      ran.push(`${from}+${seeds}`);
      const broken = [
        { seed: from, violation: { invariant: "sound", text: "", atMs: 1 } as const },
      ];
      return Promise.resolve({ ...noTotals(), seeds, broken, tally: { case: 2 }, calmMsMax: from });
    };
    const file = join(directory.path, "chunks");
    const onChunk = (): void => undefined;
    return runInChunks(RANGE, { chunkSeeds: 10, file, state, run: work, onChunk });
  }

  it("go on where they were ended, and sum up all of them", async () => {
    await assert.rejects(run(21), /killed/);
    assert.deepEqual(ran, ["11+10"]);
    const totals = await run(null);
    assert.deepEqual(ran, ["11+10", "21+10", "31+5"]);
    assert.deepEqual([totals.seeds, totals.calmMsMax, totals.tally["case"]], [25, 31, 6]);
    assert.deepEqual(
      totals.broken.map(({ seed }) => seed),
      [11, 21, 31],
    );
  });

  it("run a chunk again whose line was cut", async () => {
    await assert.rejects(run(21), /killed/);
    appendFileSync(join(directory.path, "chunks"), '{"from":21,"se');
    await run(null);
    assert.deepEqual(ran, ["11+10", "21+10", "31+5"]);
  });

  it("run all again when the sources are others", async () => {
    await run(null, "the one before");
    const before = ran.splice(0);
    await run(null);
    assert.deepEqual(ran, before);
  });
});
