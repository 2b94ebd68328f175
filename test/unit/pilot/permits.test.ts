import assert from "node:assert/strict";
import { Permits } from "../../../pilot/permits.ts";
import { tryAgain } from "../../../pilot/try-again.ts";
import { HyperpilotError, type ErrorCode } from "../../../protocol/errors.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

describe("permits", () => {
  it("let so many work at a time, the others in their order, also after an error", async () => {
    const permits = new Permits(2);
    const events: string[] = [];
    let running = 0;
    let most = 0;
    const work = (name: string) =>
      permits.run(async () => {
        running += 1;
        most = Math.max(most, running);
        await Promise.resolve();
        events.push(name);
        running -= 1;
        if (name === "b") throw new Error("b failed");
      });
    await Promise.allSettled(["a", "b", "c", "d", "e"].map(work));
    assert.deepEqual([events.join(""), most], ["abcde", 2]);
    await work("f");
    assert.equal(events.at(-1), "f");
  });
});

describe("trying again", () => {
  const failure = (code: ErrorCode): HyperpilotError =>
    new HyperpilotError({ code, message: code });

  it("goes on while the server is away, its disk full, or too many come, and ends with the answer", async () => {
    const clock = new FakeClock();
    const codes: ErrorCode[] = ["E_UNREACHABLE", "E_STORAGE_FULL", "E_LIMIT"];
    let calls = 0;
    const done = tryAgain(
      { clock, random: () => 1, timeoutMs: 60_000, signal: new AbortController().signal },
      () => {
        const code = codes[calls];
        calls += 1;
        return code === undefined ? Promise.resolve("kept") : Promise.reject(failure(code));
      },
    );
    for (let tries = 1; tries <= codes.length; tries += 1) {
      await waitUntil("it waits", () => clock.pendingTimers === 1);
      clock.advance(10_000);
    }
    assert.equal(await done, "kept");
    assert.equal(calls, 4);
  });

  it("gives up after its time, at once for what does not pass, and when it is stopped", async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const patience = { clock, random: () => 1, timeoutMs: 1_000, signal: stop.signal };
    const full = tryAgain(patience, () => Promise.reject(failure("E_STORAGE_FULL")));
    full.catch(() => undefined);
    for (let seconds = 0; seconds < 5; seconds += 1) {
      await new Promise(setImmediate);
      clock.advance(1_000);
    }
    await assert.rejects(full, { code: "E_STORAGE_FULL" });
    await assert.rejects(
      tryAgain(patience, () => Promise.reject(failure("E_STALE"))),
      { code: "E_STALE" },
    );
    const stopped = tryAgain(patience, () => Promise.reject(failure("E_UNREACHABLE")));
    await waitUntil("it waits", () => clock.pendingTimers === 1);
    stop.abort(new Error("stopped"));
    await assert.rejects(stopped, /stopped/);
  });
});
