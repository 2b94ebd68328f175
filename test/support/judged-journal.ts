/** What a journal says of a search after faults: whether anything was lost, doubled or counted wrongly. */
import assert from "node:assert/strict";
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";

export interface JudgedJournal {
  readonly attempts: readonly EventOf<"attemptEnded">[];
  readonly failedAttempts: readonly EventOf<"attemptEnded">[];
  readonly interruptions: readonly EventOf<"leaseEnded">[];
  readonly losses: ReadonlyMap<string, number>;
}

/**
 * Checks what holds of every search in which the loss is the point's x: each point has one final state and at most one loss, which
 * is its own; no lease gave two results, and interruptions use no attempt.
 */
export function judgeJournal(events: readonly HyperpilotEvent[], taskId: number): JudgedJournal {
  const ofTask = events.filter((event) => "taskId" in event && event.taskId === taskId);
  const of = <T extends HyperpilotEvent["type"]>(type: T): EventOf<T>[] =>
    ofTask.filter((event): event is EventOf<T> => event.type === type);
  const texts = new Map(of("pointGenerated").map(({ pointId, text }) => [pointId, text]));
  const losses = new Map<string, number>();
  for (const { pointId, loss } of of("pointFinal")) {
    assert.ok(!losses.has(pointId), `point ${pointId} has two ends`);
    if (loss !== null) losses.set(pointId, loss);
  }
  const attempts = of("attemptEnded");
  const leases = new Set<string>();
  const attemptsOf = new Map<string, number>();
  for (const { pointId, epoch, attempt, outcome } of attempts) {
    const lease = `${pointId}@${epoch.join(".")}`;
    assert.ok(!leases.has(lease), `lease ${lease} gave two results`);
    leases.add(lease);
    attemptsOf.set(pointId, (attemptsOf.get(pointId) ?? 0) + 1);
    assert.equal(attempt, attemptsOf.get(pointId), `attempts of point ${pointId}`);
    if (outcome.type !== "loss") continue;
    const { x } = JSON.parse(texts.get(pointId) ?? "{}") as { x?: number };
    assert.deepEqual([outcome.loss, losses.get(pointId)], [x, x], `loss of point ${pointId}`);
  }
  return {
    attempts,
    failedAttempts: attempts.filter(({ outcome }) => outcome.type !== "loss"),
    interruptions: of("leaseEnded").filter(({ interruption }) => interruption),
    losses,
  };
}
