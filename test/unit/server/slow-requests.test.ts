import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { SERVER, TASK } from "../../../protocol/limits.ts";
import { endIfSlow, receiveDeadlineMs } from "../../../server/rest/uploads.ts";
import { FakeClock } from "../../support/fake-clock.ts";

describe("requests that come slowly", () => {
  function request(contentLength: string | undefined) {
    const clock = new FakeClock();
    const raw = Object.assign(new EventEmitter(), {
      complete: false,
      destroyed: false,
      socket: new EventEmitter(),
      destroy: () => {
        raw.destroyed = true;
      },
    });
    const headers = contentLength === undefined ? {} : { "content-length": contentLength };
    endIfSlow({ headers, raw } as unknown as Parameters<typeof endIfSlow>[0], clock);
    return { clock, raw };
  }

  it("have a minute, and for what they announce as long as 64 KiB/s take", () => {
    for (const [length, ms] of [
      [undefined, SERVER.requestTimeoutMs],
      ["0", SERVER.requestTimeoutMs],
      ["65536000", SERVER.requestTimeoutMs + 1_000_000],
      ["nonsense", SERVER.requestTimeoutMs],
      ["99999999999999", receiveDeadlineMs(TASK.metricsBytesMax)],
    ] as const) {
      const { clock, raw } = request(length);
      clock.advance(ms - 1);
      assert.equal(raw.destroyed, false, length);
      clock.advance(1);
      assert.equal(raw.destroyed, true, length);
    }
  });

  it("are left alone when they are complete, or over", () => {
    const complete = request("10");
    complete.raw.complete = true;
    complete.clock.advance(1e9);
    assert.equal(complete.raw.destroyed, false);
    const over = request("10");
    over.raw.emit("close");
    assert.equal(over.clock.pendingTimers, 0);
    assert.equal(over.raw.socket.listenerCount("close"), 0, "the connection may serve more");
    const unread = request("10");
    unread.raw.socket.emit("close");
    assert.equal(unread.clock.pendingTimers, 0);
  });
});
