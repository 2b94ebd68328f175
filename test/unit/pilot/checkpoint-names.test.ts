import assert from "node:assert/strict";
import { checkpointNames, type Selection } from "../../../pilot/checkpoint-names.ts";

function selection(names: readonly string[], path: string): Selection {
  return checkpointNames(names).selects(path.split("/"));
}

describe("names of what is saved", () => {
  const cases: readonly (readonly [string, string, Selection])[] = [
    ["model.pt", "model.pt", "whole"],
    ["model.pt", "model.pt.new", "no"],
    ["./state/model.pt", "state", "above"],
    ["state/model.pt", "state/model.pt", "whole"],
    ["state/model.pt", "state/other", "no"],
    ["state", "state/a/b", "whole"],
    ["state/", "state", "whole"],
    [".", ".hidden/file", "whole"],
    ["*.pt", "a.pt", "whole"],
    ["*.pt", "a.pt.gz", "no"],
    ["*.pt", ".a.pt", "no"],
    [".*.pt", ".a.pt", "whole"],
    ["*.pt", "d/a.pt", "no"],
    ["*/a.pt", "d", "above"],
    ["*/a.pt", "d/a.pt", "whole"],
    ["epoch-?.pt", "epoch-7.pt", "whole"],
    ["epoch-?.pt", "epoch-17.pt", "no"],
    ["epoch-[0-9].pt", "epoch-7.pt", "whole"],
    ["epoch-[!0-9].pt", "epoch-7.pt", "no"],
    ["epoch-[0-9].pt", "epoch-x.pt", "no"],
    ["a[", "a[", "whole"],
    ["**/*.pt", "a.pt", "whole"],
    ["**/*.pt", "a/b/c.pt", "whole"],
    ["**/*.pt", "a/b", "above"],
    ["runs/**", "runs/a/b", "whole"],
    ["runs/**", "runs", "above"],
    ["runs/**/last", "runs/a/b/last", "whole"],
    ["runs/**/last", "other/last", "no"],
    ["é?.pt", "é😀.pt", "whole"],
    ["a*b*c", "aXbYc", "whole"],
    ["a*b*c", "aXbY", "no"],
  ];
  for (const [name, path, expected] of cases)
    it(`"${name}" takes "${path}": ${expected}`, () => {
      assert.equal(selection([name], path), expected);
    });

  it("are joined: the strongest counts", () => {
    assert.equal(selection(["state/model.pt", "state"], "state/x"), "whole");
    assert.equal(selection(["x", "state/model.pt"], "state"), "above");
    assert.equal(selection([], "state"), "no");
  });

  it("must not lead out of the work directory", () => {
    for (const name of ["/etc", "../x", "a/../../x", "", "/", "a\0b"])
      assert.throws(() => checkpointNames([name]), { code: "E_PAYLOAD" }, name);
  });

  it("are looked at in linear time, whatever they are", () => {
    const stars = checkpointNames([`${"*a".repeat(400)}b`, "**/".repeat(300) + "x"]);
    const started = performance.now();
    assert.equal(stars.selects(["a".repeat(250)]), "above");
    assert.equal(stars.selects(Array.from({ length: 32 }, () => "a".repeat(250))), "above");
    assert.ok(performance.now() - started < 5_000);
  });
});
