/** What every batch driver promises, on a batch system that the bench brings along. */
import assert from "node:assert/strict";
import type { BatchDriver, BatchTruth, SubmitRequest } from "../../../harvester/driver.ts";
import { waitUntil } from "../../support/wait-until.ts";

export interface BatchDriverBench {
  readonly driver: BatchDriver;
  /** A job that stays until it is removed or `end` is called. */
  request(submissionId: string): SubmitRequest;
  /** Lets the job end by itself. */
  end(submissionId: string): void;
  /** A driver that remembers nothing, as after a restart of the harvester. */
  restarted(): BatchDriver;
  /** Ends whatever still runs. */
  close(): Promise<void>;
}

export async function truthOf(driver: BatchDriver, submissionId: string): Promise<BatchTruth> {
  const truth = (await driver.statusOf([submissionId])).get(submissionId);
  assert.ok(truth !== undefined, "every id asked for is in the answer");
  return truth;
}

function untilType(driver: BatchDriver, id: string, type: BatchTruth["type"]): Promise<BatchTruth> {
  return waitUntil(
    `${id} is ${type}`,
    async () => {
      const truth = await truthOf(driver, id);
      return truth.type === type ? truth : null;
    },
    { timeoutMs: 60_000 },
  );
}

export function describeBatchDriver(
  name: string,
  makeBench: () => Promise<BatchDriverBench>,
): void {
  describe(`batch driver: ${name}`, () => {
    let bench: BatchDriverBench;
    let tests = 0;
    /** Tags are new in each test: a batch system remembers the jobs of the one before. */
    const sub = (number: number): string => `sub-${tests}-${number}`;
    beforeEach(async () => {
      tests += 1;
      bench = await makeBench();
    });
    afterEach(() => bench.close());

    it("finds a submitted job by its tag, with an id that people can look up", async () => {
      const { batchId } = await bench.driver.submit(bench.request(sub(1)));
      assert.match(batchId, /\S/);
      await waitUntil(
        `${sub(1)} runs`,
        async () => {
          const truth = await truthOf(bench.driver, sub(1));
          return truth.type === "active" && truth.phase === "running" ? truth : null;
        },
        { timeoutMs: 60_000 },
      );
    });

    it("answers for every id of a long list, each by itself", async () => {
      for (const id of [sub(1), sub(2)]) await bench.driver.submit(bench.request(id));
      bench.end(sub(2));
      await untilType(bench.driver, sub(2), "ended");
      const ids = [sub(1), sub(2), ...Array.from({ length: 200 }, (_, index) => `never-${index}`)];
      const truths = await bench.driver.statusOf(ids);
      assert.deepEqual([...truths.keys()].sort(), [...ids].sort());
      assert.equal(truths.get(sub(1))?.type, "active", truths.get(sub(1))?.detail);
      assert.equal(truths.get(sub(2))?.type, "ended", truths.get(sub(2))?.detail);
      assert.notEqual(truths.get("never-0")?.type, "active");
    });

    it("answers an empty question", async () => {
      assert.equal((await bench.driver.statusOf([])).size, 0);
    });

    it("tells of a job that has ended, in words", async () => {
      await bench.driver.submit(bench.request(sub(1)));
      bench.end(sub(1));
      const truth = await untilType(bench.driver, sub(1), "ended");
      assert.match(truth.detail, /\S/);
    });

    it("removes a job, and takes the removal of one that is gone for done", async () => {
      await bench.driver.submit(bench.request(sub(1)));
      await bench.driver.remove(sub(1));
      await untilType(bench.driver, sub(1), "ended");
      await bench.driver.remove(sub(1));
      await bench.driver.remove("never-submitted");
    });

    it("knows the jobs of before its restart and can remove them", async () => {
      await bench.driver.submit(bench.request(sub(1)));
      const restarted = bench.restarted();
      await untilType(restarted, sub(1), "active");
      await restarted.remove(sub(1));
      await untilType(restarted, sub(1), "ended");
    });

    it("says how many jobs one question may hold", () => {
      assert.ok(bench.driver.capabilities().statusChunk >= 1);
    });
  });
}
