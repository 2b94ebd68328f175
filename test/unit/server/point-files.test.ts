import assert from "node:assert/strict";
import type { BlobRef, FromPilotOf, Outcome } from "../../../protocol/pilot-messages.ts";
import { TASK } from "../../../protocol/limits.ts";
import { apply } from "../../../server/apply.ts";
import { createCore, type Point } from "../../../server/core.ts";
import type { Effect } from "../../../server/inbox.ts";
import { type TestPilot, World } from "../../support/reactor-world.ts";

const SAVES = { checkpoint: { save: ["state.json"] } };
const LOSS: Outcome = { type: "loss", loss: 1, exitCode: 0, message: "" };
const FAILED: Outcome = {
  type: "failed",
  code: "E_PAYLOAD",
  exitCode: 1,
  signal: null,
  message: "it broke",
};

const blob = (letter: string): BlobRef => ({ sha256: letter.repeat(64), sizeBytes: 10 });

function save(pilot: TestPilot, letter: string, seq: number): FromPilotOf<"checkpoint"> {
  const { item, epoch } = pilot.lease();
  const message = { type: "checkpoint", item, epoch, seq, ...blob(letter) } as const;
  pilot.send(message);
  return message;
}

let requestNo = 1_000;

/** Ends the evaluation after the given number of checkpoints. */
function end(
  pilot: TestPilot,
  outcome: Outcome,
  more: Partial<FromPilotOf<"result">> = {},
): FromPilotOf<"result"> {
  const lease = pilot.lease();
  pilot.held.splice(pilot.held.indexOf(lease), 1);
  const { item, epoch } = lease;
  const result: FromPilotOf<"result"> = {
    type: "result",
    item,
    epoch,
    seq: 10,
    outcome,
    durationSeconds: 1,
    log: "",
    next: { slot: 0, requestNo: (requestNo += 1), want: 1 },
    ...more,
  };
  pilot.send(result);
  return result;
}

function evict(pilot: TestPilot): void {
  end(pilot, { type: "interrupted", reason: "eviction", message: "" });
}

/** Letters of the checkpoints that the newest grant offers. */
function offered(pilot: TestPilot): string {
  const checkpoints = pilot.last("grant")?.items[0]?.checkpoints ?? [];
  return checkpoints.map(({ sha256 }) => sha256[0]).join("");
}

function world(change = {}) {
  const made = new World();
  const pilot = made.pilot();
  const task = made.submit({ ...SAVES, ...change }, { maxPoints: 1, maxEvaluationJobs: 50 });
  const point = task.points.get("0") as Point;
  const blobEffects = (): Extract<Effect, { type: "blobs" }>[] =>
    (made as unknown as { effects: Effect[] }).effects.filter(
      (effect): effect is Extract<Effect, { type: "blobs" }> => effect.type === "blobs",
    );
  const deleted = (): string =>
    blobEffects()
      .flatMap(({ unreferenced }) => unreferenced)
      .map((sha256) => sha256[0])
      .join("");
  return { world: made, pilot, task, point, blobEffects, deleted };
}

describe("checkpoints of a point", () => {
  it("are accepted once, journaled, and the newest two are offered with the next grant", () => {
    const { world: made, pilot, deleted } = world();
    assert.equal(offered(pilot), "");
    const first = save(pilot, "a", 1);
    assert.deepEqual(pilot.last("accepted"), {
      type: "accepted",
      item: first.item,
      epoch: first.epoch,
      seq: 1,
    });
    pilot.send(first);
    save(pilot, "b", 2);
    save(pilot, "c", 3);
    assert.equal(made.eventsOf("checkpointStored").length, 3);
    assert.equal(deleted(), "a");
    evict(pilot);
    assert.equal(offered(pilot), "cb");
  });

  it("are stale under an older epoch, and a violation under one that was never granted", () => {
    const { world: made, pilot, point } = world();
    const { item, epoch } = pilot.lease();
    evict(pilot);
    const message = { type: "checkpoint", item, epoch, seq: 1, ...blob("a") } as const;
    pilot.send(message);
    assert.equal(pilot.last("stale")?.seq, 1);
    pilot.send({ ...message, epoch: [1, epoch[1] + 7] });
    assert.equal(pilot.last("refused")?.code, "E_PROTOCOL");
    assert.equal(point.files, null);
    assert.equal(made.eventsOf("checkpointStored").length, 0);
  });

  it("count after the lease has expired, as long as nobody else has the point", () => {
    const { world: made, pilot, point } = world();
    const message = { type: "checkpoint", ...pilot.lease(), seq: 1, ...blob("a") } as const;
    pilot.drop();
    made.tick(61);
    assert.deepEqual([point.state, point.interruptionsInRow], ["ready", 1]);
    pilot.connect([]);
    pilot.send(message);
    assert.equal(point.interruptionsInRow, 0);
    assert.equal(point.files?.checkpoints[0]?.sha256, message.sha256);
  });

  it("reset the count of interruptions in a row when they are newer, not when they are the same again", () => {
    const { pilot, task, point } = world();
    for (let turn = 0; turn < 3 * TASK.interruptionsInRowMax; turn += 1) {
      save(pilot, turn % 2 === 0 ? "a" : "b", 1);
      evict(pilot);
    }
    assert.equal(point.interruptions, 30);
    assert.equal(task.endedAtMs, null);
    for (let turn = 0; turn < TASK.interruptionsInRowMax; turn += 1) {
      save(pilot, "b", 1);
      evict(pilot);
      if (point.state !== "leased") break;
    }
    assert.equal(point.state, "notEvaluated");
  });

  it("go on under the same lease: the result has a higher number", () => {
    const { pilot, point } = world();
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    end(pilot, LOSS, { seq: 3 });
    assert.equal(point.state, "done");
  });

  it("are given up one by one when an attempt fails that began from them; the third begins anew", () => {
    const { pilot, deleted } = world();
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    evict(pilot);
    assert.equal(offered(pilot), "ba");
    end(pilot, FAILED, { restored: blob("b").sha256 });
    assert.equal(offered(pilot), "a");
    end(pilot, FAILED, { restored: blob("a").sha256 });
    assert.equal(offered(pilot), "");
    assert.equal(deleted(), "ba");
  });

  it("stay when an attempt fails that began anew", () => {
    const { pilot } = world();
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    end(pilot, FAILED);
    assert.equal(offered(pilot), "ba");
  });

  it("that came before a failure are doubted from the newest on, those of the restored kind too", () => {
    const { pilot } = world();
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    evict(pilot);
    save(pilot, "c", 1);
    end(pilot, FAILED, { restored: blob("b").sha256 });
    assert.equal(offered(pilot), "b");
    // It had fallen back to the older one by itself.
    save(pilot, "d", 1);
    evict(pilot);
    assert.equal(offered(pilot), "db");
    end(pilot, FAILED, { restored: blob("b").sha256 });
    assert.equal(offered(pilot), "");
  });

  it("are trusted after a time-out with progress, and not after one without", () => {
    const timeout: Outcome = { type: "timeout", afterSeconds: 9, message: "" };
    const { pilot } = world();
    save(pilot, "a", 1);
    evict(pilot);
    save(pilot, "b", 1);
    end(pilot, timeout, { restored: blob("a").sha256 });
    assert.equal(offered(pilot), "ba");
    end(pilot, timeout, { restored: blob("b").sha256 });
    assert.equal(offered(pilot), "a");
  });

  it("are dropped when they are damaged, which the history tells", () => {
    const { world: made, pilot, task, point, deleted } = world();
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    const command = { type: "dropCheckpoint", taskId: task.id, pointId: "0" } as const;
    made.command<"dropCheckpoint">({ ...command, sha256: blob("b").sha256, reason: "damaged" });
    made.command<"dropCheckpoint">({ ...command, sha256: blob("b").sha256, reason: "damaged" });
    assert.equal(deleted(), "b");
    evict(pilot);
    assert.equal(offered(pilot), "a");
    const [dropped, ...more] = made.eventsOf("checkpointDropped");
    assert.deepEqual([dropped?.reason, more], ["damaged", []]);
    assert.equal(made.eventsOf("leaseEnded")[0]?.previousSeq, made.events.indexOf(dropped!) + 1);
    assert.ok(point.historySeq > 0);
  });

  for (const keep of [false, true])
    it(`${keep ? "stay, the newest one," : "go"} when the point is final${keep ? " and the task keeps them" : ""}`, () => {
      const { pilot, point, deleted } = world({ checkpoint: { save: ["x"], keep } });
      save(pilot, "a", 1);
      save(pilot, "b", 2);
      end(pilot, LOSS);
      assert.equal(deleted(), keep ? "a" : "ba");
      assert.equal(point.files?.checkpoints.length, keep ? 1 : 0);
    });

  it("stay with a point that is not evaluated, as the next round may go on from them", () => {
    const { world: made, pilot, task } = world();
    save(pilot, "a", 1);
    made.command({ type: "controlTask", taskId: task.id, action: "finish" });
    evict(pilot);
    assert.equal(task.points.get("0")?.state, "notEvaluated");
    made.command({ type: "changeLimits", taskId: task.id, limits: { maxPoints: 2 } });
    assert.equal(offered(pilot), "a");
  });
});

describe("metadata and metrics of a point", () => {
  it("are those of its last attempt", () => {
    const { pilot, point, deleted } = world();
    end(pilot, FAILED, { metadata: blob("a"), metrics: blob("b"), warnings: ["w"] });
    assert.deepEqual([point.files?.metadata, point.files?.metrics], [blob("a"), blob("b")]);
    end(pilot, LOSS, { metadata: blob("c") });
    assert.deepEqual([point.files?.metadata, point.files?.metrics], [blob("c"), null]);
    assert.match(deleted(), /^(ab|ba)$/);
  });

  it("are journaled with the attempt, by checksum and size only", () => {
    const { world: made, pilot } = world();
    end(pilot, LOSS, { metadata: blob("a"), warnings: ["metrics.tgz was not written"] });
    const [ended] = made.eventsOf("attemptEnded");
    assert.deepEqual(ended?.metadata, blob("a"));
    assert.deepEqual(ended.warnings, ["metrics.tgz was not written"]);
  });

  it("of equal content are one blob that stays until the last one goes", () => {
    const { world: made, pilot, task } = world({ sandboxSha256: blob("f").sha256 });
    assert.equal(made.core.blobs.get(blob("f").sha256), 1);
    end(pilot, FAILED, { metadata: blob("a"), metrics: blob("a") });
    assert.equal(made.core.blobs.get(blob("a").sha256), 2);
    end(pilot, FAILED, { metadata: blob("a") });
    assert.equal(made.core.blobs.get(blob("a").sha256), 1);
    end(pilot, LOSS);
    assert.equal(made.core.blobs.has(blob("a").sha256), false);
    assert.equal(task.state, "finished");
  });

  it("of a stale result change nothing", () => {
    const { pilot, point } = world();
    const { item, epoch } = pilot.lease();
    evict(pilot);
    pilot.send({
      type: "result",
      item,
      epoch,
      seq: 9,
      outcome: LOSS,
      durationSeconds: 1,
      log: "",
      next: null,
      metadata: blob("a"),
    });
    assert.equal(pilot.last("stale")?.seq, 9);
    assert.equal(point.files, null);
  });

  it("tell the store once for each reference that begins", () => {
    const { pilot, blobEffects } = world();
    save(pilot, "a", 1);
    end(pilot, LOSS, { metadata: blob("b") });
    assert.deepEqual(
      blobEffects().map(({ referred, unreferenced }) => [
        referred.map((sha256) => sha256[0]).join(""),
        unreferenced.map((sha256) => sha256[0]).join(""),
      ]),
      [
        ["a", ""],
        ["b", "a"],
      ],
    );
  });

  it("are rebuilt from the journal with all references", () => {
    const { world: made, pilot, task } = world({ sandboxSha256: blob("f").sha256 });
    save(pilot, "a", 1);
    save(pilot, "b", 2);
    end(pilot, FAILED, { metadata: blob("c"), restored: blob("a").sha256 });
    const rebuilt = createCore();
    for (const event of made.events) apply(rebuilt, event);
    assert.deepEqual(rebuilt.blobs, made.core.blobs);
    assert.deepEqual(
      rebuilt.tasks.get(task.id)?.points.get("0")?.files,
      task.points.get("0")?.files,
    );
  });
});
