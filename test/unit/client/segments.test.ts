import assert from "node:assert/strict";
import { findSegment } from "../../../client/segments.ts";

const POINTS = {
  ready: 0,
  leased: 0,
  done: 0,
  diverged: 0,
  hopeless: 0,
  cancelled: 0,
  notEvaluated: 0,
};

function taskWith(...names: string[]) {
  const segments = names.map((name, segment) => ({
    segment,
    name,
    points: POINTS,
    generated: 0,
    best: null,
    askingEnded: null,
  }));
  return { taskId: 10_000_001, segments };
}

describe("a segment named on the command line", () => {
  it("is found by its name, and by its number where no name is that number", () => {
    assert.equal(findSegment(taskWith("barrel", "endcap"), "endcap"), 1);
    assert.equal(findSegment(taskWith("barrel", "endcap"), "1"), 1);
    assert.equal(findSegment(taskWith("1", "0"), "1"), 0);
  });

  it("that does not exist is an error with a near one, or with the task's being one search", () => {
    assert.throws(() => findSegment(taskWith("barrel", "endcap"), "endcpa"), {
      code: "E_NOT_FOUND",
      remedy: 'Did you mean "endcap"?',
    });
    assert.throws(() => findSegment(taskWith(), "barrel"), { why: /one search/ });
  });
});
