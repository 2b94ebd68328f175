import assert from "node:assert/strict";
import type { OutputFile } from "../../../pilot/output-file.ts";
import { type Watch, watchPayload } from "../../../pilot/payload-watch.ts";
import type { Spawner } from "../../../pilot/spawner.ts";
import { PILOT } from "../../../protocol/limits.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("a payload that is evicted", () => {
  let clock: FakeClock;
  let signals: string[];
  let eviction: AbortController;
  let stop: AbortController;
  let watch: Watch;

  beforeEach(() => {
    clock = new FakeClock();
    signals = [];
    eviction = new AbortController();
    stop = new AbortController();
    const spawner: Partial<Spawner> = {
      pid: null,
      kill: (signal) => {
        signals.push(`${signal} ${clock.monotonicMs()}`);
        return Promise.resolve();
      },
    };
    watch = watchPayload({
      spawner: spawner as Spawner,
      clock,
      log: { check: () => undefined } as OutputFile,
      timeoutSeconds: 1_000,
      memoryBytesMax: 1e9,
      signal: stop.signal,
      eviction: eviction.signal,
    });
  });
  afterEach(() => watch.stop());

  for (const [graceMs, killedMs] of [
    [PILOT.evictionGraceMs, 10_000],
    [PILOT.walltimeGraceMs, 5_000],
    [600_000, PILOT.evictedPayloadMsMax],
  ] as const)
    it(`is asked to end, and ended after a third of ${graceMs / 1_000} s, 20 s at most`, () => {
      eviction.abort(graceMs);
      assert.deepEqual(signals, ["SIGTERM 0"]);
      clock.advance(killedMs - 1);
      assert.equal(signals.length, 1);
      clock.advance(1);
      assert.deepEqual(signals, ["SIGTERM 0", `SIGKILL ${killedMs}`]);
      assert.deepEqual(watch.ended, { type: "evicted" });
    });

  it("is ended at once when it is stopped meanwhile", () => {
    eviction.abort(PILOT.evictionGraceMs);
    stop.abort();
    assert.deepEqual(signals, ["SIGTERM 0", "SIGKILL 0"]);
    assert.deepEqual(watch.ended, { type: "stopped" });
  });

  it("is not asked twice when it runs out of its time meanwhile, and the other way round", () => {
    eviction.abort(3_000_000);
    clock.advance(2_000_000);
    assert.equal(signals.filter((signal) => signal.startsWith("SIGTERM")).length, 1);
    assert.deepEqual(watch.ended, { type: "evicted" });
  });
});
