import assert from "node:assert/strict";
import { createBackoff } from "../../../common/backoff.ts";

describe("delays between tries", () => {
  it("double from the smallest to the largest", () => {
    const backoff = createBackoff(500, 2_000, () => 1);
    assert.deepEqual(
      [1, 2, 3, 4].map(() => backoff.next()),
      [500, 1_000, 2_000, 2_000],
    );
  });

  it("are spread over half of their length, so that peers do not come back in step", () => {
    const backoff = createBackoff(500, 2_000, () => 0);
    assert.equal(backoff.next(), 250);
  });

  it("begin anew after a success", () => {
    const backoff = createBackoff(500, 2_000, () => 1);
    backoff.next();
    backoff.next();
    backoff.reset();
    assert.equal(backoff.next(), 500);
  });
});
