import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { QuietTime, loopingSampleMs } from "../../../pilot/looping.ts";
import type { OutputFile } from "../../../pilot/output-file.ts";
import { type LoopingRule, watchPayload } from "../../../pilot/payload-watch.ts";
import type { Spawner } from "../../../pilot/spawner.ts";
import { PILOT, TASK } from "../../../protocol/limits.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const LIMIT = TASK.loopingSeconds;
const SAMPLE = loopingSampleMs(LIMIT) / 1_000;

/** Looks once a minute until it is looping or `seconds` are over; returns how long that took. */
function quietFor(
  seconds: number,
  look: (second: number) => { files: string | null; cpuSeconds: number },
): number | null {
  const quiet = new QuietTime(LIMIT, 0);
  for (let second = SAMPLE; second <= seconds; second += SAMPLE)
    if (quiet.observe(look(second), second * 1_000)) return second;
  return null;
}

describe("a looping payload", () => {
  it("has written no file and used no CPU time for 2 h", () => {
    assert.equal(LIMIT, 7_200);
    const sinceFirstLook = quietFor(3 * LIMIT, () => ({ files: "same", cpuSeconds: 5 }));
    assert.equal(sinceFirstLook, LIMIT + SAMPLE);
  });

  it("is none while files change, or while it computes without writing", () => {
    const files = (second: number): string => `epoch ${Math.floor(second / (LIMIT - 60))}`;
    assert.equal(
      quietFor(10 * LIMIT, (second) => ({ files: files(second), cpuSeconds: 0 })),
      null,
    );
    assert.equal(
      quietFor(10 * LIMIT, (second) => ({ files: "same", cpuSeconds: second * 0.01 })),
      null,
    );
  });

  it("may wake up now and then to look whether something has come", () => {
    const wakes = (second: number): number => second * PILOT.loopingCpuShare * 0.5;
    assert.ok(quietFor(2 * LIMIT, (second) => ({ files: "same", cpuSeconds: wakes(second) })));
  });

  it("is found although processes end whose CPU time nobody took over", () => {
    const sums = (second: number): number => (second < LIMIT / 2 ? 100 : 3);
    assert.ok(quietFor(2 * LIMIT, (second) => ({ files: "same", cpuSeconds: sums(second) })));
  });

  it("is never one whose files cannot all be looked at", () => {
    assert.equal(
      quietFor(10 * LIMIT, () => ({ files: null, cpuSeconds: 0 })),
      null,
    );
  });

  it("is not one that was stopped together with its pilot", () => {
    const quiet = new QuietTime(LIMIT, 0);
    const look = { files: "same", cpuSeconds: 1 };
    assert.equal(quiet.observe(look, 60_000), false);
    assert.equal(quiet.observe(look, 100 * LIMIT * 1_000), false);
  });
});

describe("the watch over a quiet payload", () => {
  async function watched(files: LoopingRule["files"]) {
    const clock = new FakeClock();
    const signals: string[] = [];
    const spawner: Partial<Spawner> = {
      kill: (signal) => Promise.resolve(void signals.push(signal)),
      processes: () => Promise.resolve([]),
    };
    const watch = watchPayload({
      spawner: spawner as Spawner,
      clock,
      log: { check: () => undefined } as OutputFile,
      timeoutSeconds: null,
      memoryBytesMax: 1e9,
      looping: { limitSeconds: 10, files },
      signal: new AbortController().signal,
    });
    for (let second = 0; second < 12; second += 1) {
      clock.advance(1_000);
      await setImmediate();
    }
    return { watch, signals, clock };
  }

  it("asks it to end, and ends it after the grace time", async () => {
    const { watch, signals, clock } = await watched(() => Promise.resolve("same"));
    assert.deepEqual(watch.ended, { type: "looping", quietSeconds: 10 });
    assert.deepEqual(signals, ["SIGTERM"]);
    clock.advance(PILOT.killGraceMs);
    assert.deepEqual(signals, ["SIGTERM", "SIGKILL"]);
    watch.stop();
    assert.equal(clock.pendingTimers, 0);
  });

  it("leaves one alone that writes", async () => {
    let written = 0;
    const { watch, signals } = await watched(() => Promise.resolve(String((written += 1))));
    assert.equal(watch.ended, null);
    assert.deepEqual(signals, []);
    watch.stop();
  });
});
