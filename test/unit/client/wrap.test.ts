import assert from "node:assert/strict";
import { displayWidth } from "../../../client/format.ts";
import { labelled, wrappedTalk } from "../../../client/wrap.ts";

describe("talk on a narrow terminal", () => {
  it("is broken between words, what stands behind a label below itself", () => {
    const text = `It takes no work.\n  Do    See what the user may use: sacctmgr show assoc user=hp`;
    assert.deepEqual(wrappedTalk(text, 30).split("\n"), [
      "It takes no work.",
      "  Do    See what the user may",
      "        use: sacctmgr show",
      "        assoc user=hp",
    ]);
  });

  it("is left as it is where it fits, spaces included", () => {
    const text = "Next  hyperpilot  site   why q";
    assert.equal(wrappedTalk(text, 80), text);
  });

  it("never cuts a word, however long", () => {
    const path = `/data/${"x".repeat(100)}`;
    assert.ok(wrappedTalk(`The file is ${path} .`, 40).includes(path));
  });

  it("has lines of at most the width", () => {
    const lines = labelled("Cause ", "word ".repeat(60).trim(), 40);
    assert.ok(lines.length > 5);
    for (const line of lines) assert.ok(displayWidth(line) <= 40, line);
  });
});
