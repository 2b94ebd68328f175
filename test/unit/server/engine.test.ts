import assert from "node:assert/strict";
import { SERVER } from "../../../protocol/limits.ts";
import type { Batcher } from "../../../server/batch.ts";
import { createCore } from "../../../server/core.ts";
import { createEngine } from "../../../server/engine-loop.ts";
import type { Effect } from "../../../server/inbox.ts";
import { createLive } from "../../../server/live.ts";
import { QueueConfig } from "../../../protocol/queue.ts";

const PRINCIPAL = { user: "anna", roles: ["admin"] } as const;

/** An engine whose batches become durable, and whose turns are taken, when the test says so. */
function setUp() {
  const held: (() => void)[] = [];
  const turns: (() => void)[] = [];
  const executed: Effect[] = [];
  let pending = 0;
  const batcher: Batcher = {
    add: (events, effects) => {
      pending += events.length;
      held.push(...effects);
    },
    idle: () => Promise.resolve(),
    pendingEvents: () => pending,
    syncMsP99: () => 0,
  };
  const clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    setTimer: () => ({ cancel: () => undefined }),
    sleep: () => Promise.resolve(),
  };
  const reactor = {
    core: createCore(),
    live: createLive(),
    ports: { sha256: () => "", leaseToken: () => "" },
  };
  const engine = createEngine({
    reactor,
    clock,
    batcher,
    execute: (effect) => executed.push(effect),
    defer: (work) => turns.push(work),
  });
  return {
    engine,
    executed,
    take: () => turns.splice(0).forEach((work) => work()),
    makeDurable: () => {
      pending = 0;
      held.splice(0).forEach((run) => run());
    },
    overload: () => (pending = SERVER.unsyncedEventsMax + 1),
  };
}

const putQueue = { type: "putQueue", config: QueueConfig.parse({ name: "q" }) } as const;

describe("the engine", () => {
  it("answers a command only when its events are durable", async () => {
    const { engine, take, makeDurable } = setUp();
    let answered = false;
    const answer = engine.execute<"putQueue">(PRINCIPAL, putQueue).then(() => (answered = true));
    take();
    await Promise.resolve();
    assert.equal(answered, false);
    makeDurable();
    await answer;
    assert.equal(answered, true);
  });

  it("answers a read only when the state that it saw is durable", async () => {
    const { engine, take, makeDurable } = setUp();
    void engine.execute<"putQueue">(PRINCIPAL, putQueue);
    take();
    let seen: number | null = null;
    const read = engine.read((core) => core.queues.size).then((size) => (seen = size));
    await Promise.resolve();
    assert.equal(seen, null);
    makeDurable();
    await read;
    assert.equal(seen, 1);
  });

  it("rejects a command with the error's parts, and a view that throws", async () => {
    const { engine, take, makeDurable } = setUp();
    const answer = engine.execute<"removeQueue">(PRINCIPAL, { type: "removeQueue", name: "none" });
    take();
    makeDurable();
    await assert.rejects(answer, { code: "E_NOT_FOUND" });
    await assert.rejects(
      engine.read(() => {
        throw new Error("broken view");
      }),
      /broken view/,
    );
  });

  it("refuses commands when the inbox is at its bound, and tells when it is below again", async () => {
    const { engine, take } = setUp();
    let drained = 0;
    engine.onDrained(() => (drained += 1));
    for (let item = 0; item < SERVER.inboxItemsMax; item += 1)
      engine.post({ type: "pilotClosed", session: "x" });
    assert.ok(engine.isFull());
    await assert.rejects(engine.execute<"putQueue">(PRINCIPAL, putQueue), {
      code: "E_UNREACHABLE",
    });
    take();
    assert.equal(engine.isFull(), false);
    assert.equal(drained, 1);
  });

  it("takes nothing off the inbox while the disk owes more events than the bound", () => {
    const { engine, take, makeDurable, overload } = setUp();
    overload();
    engine.post({ type: "pilotClosed", session: "x" });
    take();
    assert.equal(engine.statistics().inboxItems, 1);
    makeDurable();
    take();
    assert.equal(engine.statistics().inboxItems, 0);
  });

  it("refuses commands after it has stopped", async () => {
    const { engine } = setUp();
    await engine.stop();
    await assert.rejects(engine.execute<"putQueue">(PRINCIPAL, putQueue), {
      code: "E_UNREACHABLE",
    });
  });
});
