import assert from "node:assert/strict";
import { END_SIGNALS, endBySignal, handOverMs } from "../../../pilot/eviction.ts";
import { PILOT } from "../../../protocol/limits.ts";

describe("a signal of the batch system", () => {
  const unknown = { noticeSeconds: 120, walltimeLeftSeconds: null };

  it("ends a pilot by each of those that batch systems send", () => {
    const names = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU"];
    assert.deepEqual([...END_SIGNALS], names);
    for (const signal of END_SIGNALS)
      assert.match(endBySignal(signal, unknown).reason, new RegExp(`\\(${signal}\\)$`));
  });

  it("that comes before SIGKILL leaves the usual time, and is an eviction even near the end of the walltime", () => {
    for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) {
      const end = endBySignal(signal, { noticeSeconds: 120, walltimeLeftSeconds: 20 });
      assert.deepEqual([end.graceMs, end.walltimeOver], [undefined, false]);
    }
  });

  it("that is a notice leaves the time of notice which the harvester has asked for", () => {
    for (const signal of ["SIGUSR1", "SIGUSR2", "SIGXCPU"] as const) {
      const end = endBySignal(signal, unknown);
      assert.deepEqual([end.graceMs, end.walltimeOver], [120_000, false]);
      assert.equal(endBySignal(signal, { ...unknown, noticeSeconds: 0 }).graceMs, undefined);
    }
  });

  it("that is a notice of the end of the walltime is no eviction, also when it comes a minute too early", () => {
    const at = (walltimeLeftSeconds: number) =>
      endBySignal("SIGUSR1", { noticeSeconds: 120, walltimeLeftSeconds }).walltimeOver;
    assert.deepEqual([at(120), at(180), at(181)], [true, true, false]);
  });

  it("leaves results two thirds of the time, or all but 10 s, and no more than a minute", () => {
    assert.deepEqual([6_000, 60_000, 3_600_000].map(handOverMs), [4_000, 50_000, 60_000]);
    assert.equal(handOverMs(PILOT.evictionGraceMs), PILOT.stopDeadlineMs);
  });
});
