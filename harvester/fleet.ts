/** One driver for all batch systems of this harvester: routes each submission to its own, and asks no system too often. */
import type { Clock } from "../common/clock.ts";
import type { Batch } from "../protocol/batch.ts";
import { HARVESTER } from "../protocol/limits.ts";
import type { BatchDriver, BatchTruth } from "./driver.ts";

export interface FleetOptions {
  readonly clock: Clock;
  /** Where a submission went. */
  readonly batchOf: (submissionId: string) => Batch;
  /** A driver for a batch system as configured; equal configurations share one. */
  readonly createDriver: (batch: Batch) => BatchDriver;
}

export function createFleet({ clock, batchOf, createDriver }: FleetOptions): BatchDriver {
  const systems = new Map<string, PolledSystem>();
  const systemFor = (batch: Batch): PolledSystem => {
    const key = JSON.stringify(batch);
    const system = systems.get(key) ?? new PolledSystem(createDriver(batch), batch, clock);
    systems.set(key, system);
    return system;
  };
  return {
    async submit(request) {
      const system = systemFor(request.queue.batch);
      const answer = await system.driver.submit(request);
      system.noteSubmitted(request.submissionId);
      return answer;
    },
    async statusOf(ids) {
      const bySystem = new Map<PolledSystem, string[]>();
      for (const id of ids) {
        const system = systemFor(batchOf(id));
        bySystem.set(system, [...(bySystem.get(system) ?? []), id]);
      }
      const answers = await Promise.all([...bySystem].map(([system, own]) => system.statusOf(own)));
      return new Map(answers.flatMap((answer) => [...answer]));
    },
    fetchOutput: async (submissionId, directory) => {
      await systemFor(batchOf(submissionId)).driver.fetchOutput?.(submissionId, directory);
    },
    remove: (submissionId) => systemFor(batchOf(submissionId)).remove(submissionId),
    capabilities: () => ({ restartsJobs: true, statusChunk: HARVESTER.pilotsPerQueueMax }),
  };
}

/** A batch system that is asked about all of its jobs together, every so often, and later after failures. */
class PolledSystem {
  readonly driver: BatchDriver;
  readonly #clock: Clock;
  readonly #pollMs: number;
  #truths = new Map<string, BatchTruth>();
  #nextPollMs = Number.NEGATIVE_INFINITY;
  #failures = 0;

  constructor(driver: BatchDriver, batch: Batch, clock: Clock) {
    this.driver = driver;
    this.#clock = clock;
    this.#pollMs = batch.kind === "local" ? 0 : batch.pollSeconds * 1_000;
  }

  noteSubmitted(submissionId: string): void {
    this.#truths.set(submissionId, { type: "active", phase: "queued", detail: "just submitted" });
  }

  async remove(submissionId: string): Promise<void> {
    await this.driver.remove(submissionId);
    // What became of it is looked up with the next question.
    this.#nextPollMs = Math.min(this.#nextPollMs, this.#clock.monotonicMs());
  }

  async statusOf(ids: readonly string[]): Promise<ReadonlyMap<string, BatchTruth>> {
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#nextPollMs || ids.some((id) => !this.#truths.has(id)))
      await this.#poll(ids, nowMs);
    return new Map(
      ids.map((id) => [id, this.#truths.get(id) ?? { type: "unknown", detail: "not asked yet" }]),
    );
  }

  async #poll(ids: readonly string[], nowMs: number): Promise<void> {
    const truths = new Map<string, BatchTruth>();
    const { statusChunk } = this.driver.capabilities();
    for (let at = 0; at < ids.length; at += statusChunk) {
      for (const [id, truth] of await this.driver.statusOf(ids.slice(at, at + statusChunk)))
        truths.set(id, truth);
    }
    const hasFailed = [...truths.values()].some(({ type }) => type === "commandFailed");
    this.#failures = hasFailed ? this.#failures + 1 : 0;
    const pauseMs = this.#pollMs * 2 ** Math.max(0, this.#failures - 1);
    this.#nextPollMs = nowMs + Math.max(this.#pollMs, Math.min(HARVESTER.pollPauseMsMax, pauseMs));
    this.#truths = truths;
  }
}
