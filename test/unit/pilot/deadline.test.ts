import assert from "node:assert/strict";
import { watchWalltime } from "../../../pilot/deadline.ts";
import { TASK } from "../../../protocol/limits.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("the end of the walltime", () => {
  function watched(walltimeLeftSeconds: number | null): { clock: FakeClock; calls: string[] } {
    const clock = new FakeClock();
    const calls: string[] = [];
    const endMs = walltimeLeftSeconds === null ? null : walltimeLeftSeconds * 1_000;
    watchWalltime(clock, endMs, (reason) => calls.push(reason));
    return { clock, calls };
  }

  it("is told in time for results to reach the server, and once", () => {
    const { clock, calls } = watched(3_600);
    clock.advance((3_600 - TASK.walltimeReserveSeconds) * 1_000);
    assert.equal(calls.length, 0);
    clock.advance(TASK.walltimeReserveSeconds * 1_000);
    assert.equal(calls.length, 1);
  });

  it("is never told where it is unknown", () => {
    const { clock, calls } = watched(null);
    assert.equal(clock.pendingTimers, 0);
    clock.advance(1e12);
    assert.equal(calls.length, 0);
  });

  it("is not told at once when it is further away than a timer can wait", () => {
    const days60 = 60 * 86_400;
    const { clock, calls } = watched(days60);
    clock.advance(2 ** 31);
    assert.equal(calls.length, 0);
    clock.advance(days60 * 1_000 - 2 ** 31);
    assert.equal(calls.length, 1);
  });

  it("is not put off by the time that the pilot's start has taken", () => {
    const clock = new FakeClock();
    const calls: string[] = [];
    clock.advance(100_000);
    watchWalltime(clock, 120_000, (reason) => calls.push(reason));
    clock.advance(6_000);
    assert.equal(calls.length, 1);
  });

  it("can be called off", () => {
    const clock = new FakeClock();
    watchWalltime(clock, 60_000, () => assert.fail("called")).cancel();
    clock.advance(60_000);
  });
});
