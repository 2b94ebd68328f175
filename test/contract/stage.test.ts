import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { LeaseCall } from "../../pilot/server-api.ts";
import { type Stage, createStage } from "../../pilot/stage.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");
const UNREACHABLE = new HyperpilotError({ code: "E_UNREACHABLE", message: "gone" });

describe("the stage of tasks' files", () => {
  const never = new AbortController().signal;
  let directory: TemporaryDirectory;
  let clock: FakeClock;
  let calls: LeaseCall[];
  /** Content by checksum, or what the call fails with. */
  let answers: Map<string, string | Error>;
  let stage: Stage;

  beforeEach(() => {
    directory = temporaryDirectory();
    clock = new FakeClock();
    calls = [];
    answers = new Map([[sha256("files"), "files"]]);
    stage = createStage({
      directory: directory.path,
      clock,
      random: () => 0.5,
      api: {
        getSandbox: async (wanted, call) => {
          calls.push(call);
          const answer = answers.get(wanted) ?? new Error("unknown");
          if (answer instanceof Error) throw answer;
          await Promise.resolve();
          writeFileSync(call.file, answer);
        },
      },
    });
  });

  afterEach(() => directory.remove());

  it("fetches a tarball once, with the token of the lease that needs it first", async () => {
    const [first, second] = await Promise.all([
      stage.hold(sha256("files"), "token-1", never),
      stage.hold(sha256("files"), "token-2", never),
    ]);
    assert.equal(readFileSync(first.file, "utf8"), "files");
    assert.equal(second.file, first.file);
    assert.deepEqual(
      calls.map(({ token }) => token),
      ["token-1"],
    );
  });

  it("refuses what arrives damaged, and leaves nothing of it", async () => {
    answers.set(sha256("files"), "damaged");
    await assert.rejects(stage.hold(sha256("files"), "token", never), { code: "E_CHECKSUM" });
    assert.deepEqual(readdirSync(directory.path), []);
  });

  it("tries again while the server cannot be reached", async () => {
    answers.set(sha256("files"), UNREACHABLE);
    const held = stage.hold(sha256("files"), "token", never);
    await waitUntil("it waits", () => clock.pendingTimers === 1);
    answers.set(sha256("files"), "files");
    clock.advance(1_000);
    assert.ok(existsSync((await held).file));
  });

  it("gives up when the server stays away", async () => {
    answers.set(sha256("files"), UNREACHABLE);
    const held = assert.rejects(stage.hold(sha256("files"), "token", never), UNREACHABLE);
    await waitUntil("it waits", () => clock.pendingTimers === 1);
    clock.advance(PILOT.stageTimeoutMs);
    await held;
  });

  it("does not try again when the lease is over", async () => {
    const stale = new HyperpilotError({ code: "E_STALE", message: "over" });
    answers.set(sha256("files"), stale);
    await assert.rejects(stage.hold(sha256("files"), "token", never), stale);
    assert.equal(calls.length, 1);
  });

  it("ends its waiting when the evaluation is stopped", async () => {
    answers.set(sha256("files"), UNREACHABLE);
    const stop = new AbortController();
    const held = assert.rejects(stage.hold(sha256("files"), "token", stop.signal));
    await waitUntil("it waits", () => clock.pendingTimers === 1);
    stop.abort();
    await held;
    assert.equal(clock.pendingTimers, 0);
  });

  it("keeps a bounded number of tarballs, and those in use in any case", async () => {
    const texts = Array.from({ length: PILOT.stagedSandboxesMax + 2 }, (_none, n) => `files ${n}`);
    for (const [index, text] of texts.entries()) {
      answers.set(sha256(text), text);
      const held = await stage.hold(sha256(text), "token", never);
      if (index > 0) held.release();
    }
    const left = readdirSync(directory.path);
    assert.equal(left.length, PILOT.stagedSandboxesMax);
    assert.ok(left.includes(sha256("files 0")));
    assert.ok(!left.includes(sha256("files 1")));
    assert.ok(existsSync(join(directory.path, sha256(texts.at(-1) ?? ""))));
  });
});
