import { strict as assert } from "node:assert";
import { createShutdown, type Shutdown } from "../../../common/shutdown.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("an orderly end", () => {
  let clock: FakeClock;
  let signals: Map<string, () => void>;
  let shutdown: Shutdown;
  let closed: string[];

  beforeEach(() => {
    clock = new FakeClock();
    signals = new Map();
    closed = [];
    shutdown = createShutdown({
      clock,
      log: { info: () => undefined, warn: () => undefined, error: () => undefined },
      deadlineMs: 1_000,
      onSignal: (signal, listener) => void signals.set(signal, listener),
    });
  });

  it("closes in the reverse order of registration", async () => {
    for (const name of ["first", "second"]) shutdown.onClose(name, () => void closed.push(name));
    signals.get("SIGTERM")?.();
    assert.equal(await shutdown.done, 0);
    assert.deepEqual(closed, ["second", "first"]);
  });

  it("leaves no timer behind, which would keep the process alive until the deadline", async () => {
    await shutdown.close("test", 0);
    assert.equal(clock.pendingTimers, 0);
  });

  it("closes once, however many signals come", async () => {
    shutdown.onClose("only", () => void closed.push("only"));
    for (const signal of ["SIGTERM", "SIGINT"]) signals.get(signal)?.();
    await shutdown.done;
    assert.deepEqual(closed, ["only"]);
  });

  it("goes on past a part that fails to close, and says so by its exit code", async () => {
    shutdown.onClose("first", () => void closed.push("first"));
    shutdown.onClose("second", () => {
      throw new Error("stuck");
    });
    assert.equal(await shutdown.close("test", 0), 1);
    assert.deepEqual(closed, ["first"]);
  });

  it("ends with exit code 1 at the deadline when a part never closes", async () => {
    shutdown.onClose("hangs", () => new Promise(() => undefined));
    const done = shutdown.close("test", 0);
    clock.advance(1_000);
    assert.equal(await done, 1);
  });
});
