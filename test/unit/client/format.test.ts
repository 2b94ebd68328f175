import assert from "node:assert/strict";
import {
  cutTo,
  displayWidth,
  formatAgo,
  formatDuration,
  formatLoss,
  neutralise,
  neutraliseLines,
  sparkline,
  toAscii,
} from "../../../client/format.ts";

describe("texts for people", () => {
  it("losses are shown as C's %.6g shows them", () => {
    const expected: readonly (readonly [number, string])[] = [
      [0, "0"],
      [1, "1"],
      [0.1 + 0.2, "0.3"],
      [123456, "123456"],
      [1234567, "1.23457e+06"],
      [999999.5, "1e+06"],
      [0.0001, "0.0001"],
      [0.00001234567, "1.23457e-05"],
      [-2.5, "-2.5"],
      [1e-300, "1e-300"],
      [-1e100, "-1e+100"],
    ];
    for (const [loss, text] of expected) assert.equal(formatLoss(loss), text);
  });

  it("durations have at most two units", () => {
    const texts = [0, 0.2, 45, 60, 250, 3_600, 11_100, 90_000].map(formatDuration);
    assert.deepEqual(texts, [
      "0 s",
      "0.2 s",
      "45 s",
      "1 min",
      "4 min 10 s",
      "1 h",
      "3 h 5 min",
      "1 d 1 h",
    ]);
  });

  it("times are told relative to now", () => {
    const now = Date.parse("2026-01-01T12:00:00Z");
    const ago = (seconds: number) => formatAgo(new Date(now - seconds * 1_000).toISOString(), now);
    assert.deepEqual([1, 30, 240, 7_300, 200_000].map(ago), [
      "just now",
      "30 s ago",
      "4 min ago",
      "2 h ago",
      "2 d ago",
    ]);
    assert.equal(ago(-50), "just now");
  });

  it("nothing in a user's text reaches the terminal as a command", () => {
    const hostile =
      "a\u001b]0;title\u0007\u001b[2Jb\u009b31mc\u202egnp.exe\u2066\u200bd\r\n\te\ud800";
    const shown = neutralise(hostile);

    assert.doesNotMatch(
      shown,
      /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069]/,
    );
    assert.match(shown, /^a\\x1b\]0;title\\x07\\x1b/);
    assert.equal(neutraliseLines("a\r\n\tb\u001b[31m"), "a\n\tb\\x1b[31m");
    assert.equal(neutralise("naïve 日本 👍"), "naïve 日本 👍");
  });

  it("ASCII stands in where the locale has no Unicode", () => {
    assert.equal(toAscii("✓ done … ✗ é"), "+ done ~ x \\xe9");
  });

  it("wide characters count as two columns and are never cut in half", () => {
    assert.equal(displayWidth("日本"), 4);
    assert.equal(cutTo("日本語", 4), "日…");
    assert.equal(cutTo("abcdef", 4), "abc…");
    assert.equal(cutTo("abcd", 4), "abcd");
  });

  it("a sparkline is as long as its room and spans low to high", () => {
    assert.equal(sparkline([3, 2, 1], 10), "█▅▁");
    assert.equal(sparkline([1, 1], 10), "▁▁");
    assert.equal(sparkline([], 10), "");
    assert.equal(
      sparkline(
        Array.from({ length: 200 }, (_, i) => i),
        20,
      ).length,
      20,
    );
  });
});
