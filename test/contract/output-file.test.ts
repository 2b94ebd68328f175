import assert from "node:assert/strict";
import { appendFileSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createOutputFile } from "../../pilot/output-file.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

const BOUNDS = { headBytesMax: 10, tailBytesMax: 5 };

describe("Output file of a payload", () => {
  let directory: TemporaryDirectory;
  let path: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    path = join(directory.path, "output");
  });
  afterEach(async () => {
    await directory.remove();
  });

  /** What is kept when the payload writes `parts`, the file being looked at after each. */
  function kept(...parts: readonly string[]): string {
    const file = createOutputFile(path, BOUNDS);
    for (const part of parts) {
      appendFileSync(path, part);
      file.check();
    }
    file.finish();
    assert.deepEqual(readdirSync(directory.path), ["output"]);
    return readFileSync(path, "utf8");
  }

  it("is kept whole up to head and tail together", () => {
    assert.equal(kept("0123456789", "abcde"), "0123456789abcde");
  });

  it("loses its middle above that, and says how much", () => {
    assert.equal(kept("0123456789abcdef"), "0123456789\n[... 1 bytes left out ...]\nbcdef");
  });

  it("keeps head and tail when it was cut while the payload ran", () => {
    assert.equal(
      kept("0123456789", "x".repeat(100), "abc"),
      "0123456789\n[... 98 bytes left out ...]\nxxabc",
    );
  });

  it("keeps head and tail when it was cut many times", () => {
    const parts = Array.from({ length: 50 }, (_, n) =>
      `part ${String(n).padStart(3, "0")} `.repeat(3),
    );
    const all = parts.join("");
    const leftOutBytes = all.length - BOUNDS.headBytesMax - BOUNDS.tailBytesMax;
    assert.equal(
      kept(...parts),
      `${all.slice(0, 10)}\n[... ${leftOutBytes} bytes left out ...]\n${all.slice(-5)}`,
    );
  });

  it("keeps the tail when nothing was written after the last cut", () => {
    assert.equal(
      kept("0123456789", "x".repeat(96) + "abcd"),
      "0123456789\n[... 95 bytes left out ...]\nxabcd",
    );
  });

  it("shows its end while the payload runs, without broken characters at the front", () => {
    const file = createOutputFile(path, BOUNDS);
    appendFileSync(path, "aé");
    assert.equal(file.tail(2), "é");
    assert.equal(file.tail(1), "\ufffd");
    assert.equal(file.tail(100), "aé");
  });
});
