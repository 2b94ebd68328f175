import assert from "node:assert/strict";
import { parseSearchSpaces } from "../../../protocol/segmented-space.ts";

const X = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';
const Y = '{"y":{"method":"categorical","dimension":{"categories":[1,1]}}}';

function names(text: string, segments: number): (string | undefined)[] {
  return parseSearchSpaces(text, segments, "space.json").spaces.map((space) => space[0]?.name);
}

describe("search spaces of segments", () => {
  it("are all the same where the file is one object", () => {
    assert.deepEqual(names(X, 3), ["x", "x", "x"]);
    assert.deepEqual(names(X, 0), ["x"]);
  });

  it("are found by model_id where it is a list, in any order, with the warnings of all", () => {
    const list = `[{"model_id":1,"search_space":${X}},{"search_space":${Y},"model_id":0}]`;
    assert.deepEqual(names(list, 2), ["y", "x"]);
    assert.equal(parseSearchSpaces(list, 2, "space.json").warnings.length, 1);
  });

  for (const [what, text, segments, message] of [
    ["a list without segments", "[]", 0, /space\.json:1:1 the search space must be an object/],
    ["a missing segment", `[{"model_id":0,"search_space":${X}}]`, 2, /segment 1 has no entry/],
    [
      "no model_id",
      `[{"search_space":${X}}]`,
      1,
      /space\.json:1:2 an entry has no number model_id/,
    ],
    [
      "an unknown segment",
      `[{"model_id":2,"search_space":${X}}]`,
      2,
      /model_id 2 is no segment: .* 0 to 1/,
    ],
    [
      "a segment that is there twice",
      `[${`{"model_id":0,"search_space":${X}},`.repeat(2).slice(0, -1)}]`,
      1,
      /model_id 0 is there twice/,
    ],
    ["no search_space", '[{"model_id":0}]', 1, /model_id 0 has no search_space/],
    [
      "a wrong space, at its place in the file",
      '[{"model_id":0,"search_space":{"x":{}}}]',
      1,
      /space\.json:1:36 "x" has no method/,
    ],
  ] as const) {
    it(`are refused with ${what}`, () => {
      assert.throws(() => parseSearchSpaces(text, segments, "space.json"), {
        code: "E_SEARCH_SPACE",
        message,
      });
    });
  }
});
