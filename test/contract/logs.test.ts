import assert from "node:assert/strict";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { SERVER } from "../../protocol/limits.ts";
import { createLogs, type Logs } from "../../server/logs.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const TASK = 10_000_001;

describe("logs of evaluations", () => {
  let directory: TemporaryDirectory;
  let logs: Logs;
  beforeEach(() => {
    directory = temporaryDirectory();
    logs = createLogs(join(directory.path, "logs"));
  });
  afterEach(() => directory.remove());

  it("keep the output of every attempt under its heading, in order", async () => {
    await logs.append(TASK, "7", "1.4", "first try\n");
    await logs.append(TASK, "7", "1.5", Buffer.from("second try: ü\n"));
    const text = await logs.read(TASK, "7");
    const parts = ["=== lease 1.4 ===", "first try", "=== lease 1.5 ===", "second try: ü"];
    const places = parts.map((part) => text.indexOf(part));
    assert.ok(places.every((place) => place >= 0));
    assert.deepEqual(
      places,
      [...places].sort((a, b) => a - b),
    );
  });

  it("are empty where nothing was printed", async () => {
    assert.equal(await logs.read(TASK, "7"), "");
  });

  it("end with their task, and only theirs", async () => {
    await logs.append(TASK, "0", "1.1", "a");
    await logs.append(TASK + 1, "0", "1.1", "b");
    await logs.removeTask(TASK);
    await logs.removeTask(TASK);
    assert.equal(await logs.read(TASK, "0"), "");
    assert.match(await logs.read(TASK + 1, "0"), /b/);
  });

  it("never leave their directory", async () => {
    for (const pointId of ["../0", "/etc/passwd", "", "1.log", "1234567890123", "1\n"]) {
      await assert.rejects(
        Promise.resolve().then(() => logs.append(TASK, pointId, "1.1", "x")),
        /not a point id/,
      );
      await assert.rejects(
        Promise.resolve().then(() => logs.read(TASK, pointId)),
        /not a point id/,
      );
    }
    assert.equal(existsSync(join(directory.path, "etc")), false);
    assert.deepEqual(readdirSync(directory.path), []);
  });

  it("keep the first and the last part of what is too long", async function () {
    this.timeout(30_000);
    const most = SERVER.logHeadBytesMax + SERVER.logTailBytesMax;
    const part = Buffer.alloc(4 * 1024 * 1024, "x");
    for (let n = 0; n < 9; n += 1) {
      await logs.append(TASK, "0", `1.${n + 1}`, Buffer.concat([part, Buffer.from(`end ${n}`)]));
      assert.ok(statSync(join(directory.path, "logs", String(TASK), "0.log")).size <= most);
    }
    const text = await logs.read(TASK, "0");
    assert.ok(text.startsWith("=== lease 1.1 ===\n"));
    assert.ok(text.endsWith("end 8\n"));
    assert.match(text, /=== \d+ bytes left out ===/);
  });
});
