import assert from "node:assert/strict";
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { TASK } from "../../../protocol/limits.ts";
import { combinationsOf, parseSearchSpace } from "../../../protocol/search-space.ts";

function parse(space: unknown) {
  return parseSearchSpace(JSON.stringify(space), "space.json");
}

function refused(text: string, message: RegExp, remedy: RegExp = /./): void {
  assert.throws(() => parseSearchSpace(text, "space.json"), { message, remedy });
}

/** One parameter "x" with this method and dimension. */
function of(method: string, dimension: object): string {
  return JSON.stringify({ x: { method, dimension } });
}

describe("a search space", () => {
  it("is read in the order of its file, with the text of each category", () => {
    const { parameters } = parseSearchSpace(
      '{"lr": {"method": "loguniform", "dimension": {"low": 1e-5, "high": 0.1, "base": 10}},' +
        ' "auto": {"method": "categorical", "dimension": {"categories": [true, 1.0, "a"], "grid_search": 0}},' +
        ' "n": {"method": "uniformint", "dimension": {"low": 1, "high": 3}},' +
        ' "seed": {"method": "fixed", "dimension": {"value": 1.50}}}',
      "space.json",
    );
    assert.deepEqual(parameters, [
      { name: "lr", method: "loguniform", low: 1e-5, high: 0.1, step: null },
      { name: "auto", method: "categorical", categories: ["true", "1.0", '"a"'] },
      { name: "n", method: "uniformint", low: 1, high: 3, step: 1 },
      { name: "seed", method: "fixed", value: "1.50" },
    ]);
    assert.equal(combinationsOf(parameters), Infinity);
    assert.equal(combinationsOf(parameters.slice(1)), 9);
  });

  it("knows every method of hpogrid", () => {
    const { parameters } = parse({
      a: { method: "quniform", dimension: { low: 0, high: 1, q: 0.25 } },
      b: { method: "qloguniform", dimension: { low: 1, high: 100, q: 10 } },
      c: { method: "normal", dimension: { mu: 0, sigma: 1 } },
      d: { method: "qnormal", dimension: { mu: 0, sigma: 1, q: 2 } },
      e: { method: "lognormal", dimension: { mu: 0, sigma: 1 } },
      f: { method: "qlognormal", dimension: { mu: 0, sigma: 1, q: 0.5 } },
    });
    assert.deepEqual(
      parameters.map((parameter) => ("step" in parameter ? parameter.step : undefined)),
      [0.25, 10, null, 2, null, 0.5],
    );
    assert.equal(combinationsOf(parameters.slice(0, 2)), 5 * 10);
  });

  it("takes one value where low equals high", () => {
    assert.equal(
      combinationsOf(
        parse({ x: { method: "uniform", dimension: { low: 2, high: 2 } } }).parameters,
      ),
      1,
    );
  });

  it("is refused with place, reason and remedy", () => {
    refused(
      '{\n "x": {"method": "uniform", "dimension": {"low": 2, "high": 1}}}',
      /space\.json:2:50 "low" 2 of "x" is greater than "high" 1/,
      /swap them/,
    );
    refused(
      of("categorical", { categories: [] }),
      /"categories" of "x" is empty/,
      /add a category/,
    );
    refused(of("categorical", {}), /"x" has no categories/);
    refused(
      of("loguniform", { low: 0, high: 1 }),
      /"low" 0 of "x" must be greater than 0 on a logarithmic scale/,
    );
    refused(of("uniformint", { low: 0.5, high: 2 }), /"low" 0\.5 of "x" must be an integer/);
    refused(of("uniform", { low: "1", high: 2 }), /"low" of "x" must be a number/);
    refused(of("uniform", { high: 2 }), /"low" of "x" must be a number/);
    refused(of("quniform", { low: 0, high: 1, q: 0 }), /"q" 0 of "x" must be greater than 0/);
    refused(of("quniform", { low: 0.1, high: 0.2, q: 1 }), /no multiple of "q" 1 lies between/);
    refused(of("normal", { mu: 0, sigma: 0 }), /"sigma" 0 of "x" must be greater than 0/);
    refused('{"x": {"method": "uniform"}}', /"x" has no dimension/);
    refused('{"x": {"dimension": {}}}', /"x" has no method/);
    refused('{"x": 1}', /"x" must be an object/);
    refused("{}", /the search space is empty/);
    refused("[]", /the search space must be an object/);
    refused(
      of("loguniform", { low: 1, hi: 2 }),
      /unknown name "hi" in "x"/,
      /did you mean|known are low, high/,
    );
    refused(
      of("unifrom", { low: 1, high: 2 }),
      /unknown method "unifrom"/,
      /did you mean "uniform"\?/,
    );
  });

  it("is bounded in hyperparameters, categories and size", () => {
    const one = { method: "fixed", dimension: { value: 1 } };
    const many = Object.fromEntries(
      Array.from({ length: TASK.hyperparametersMax + 1 }, (_, n) => [`p${n}`, one]),
    );
    refused(JSON.stringify(many), /more than 1000 hyperparameters/);
    const categories = Array.from({ length: TASK.categoriesMax + 1 }, (_, n) => n);
    refused(of("categorical", { categories }), /has more than 10000 categories/);
    refused(
      of("categorical", { categories: ["x".repeat(TASK.searchSpaceBytesMax)] }),
      /has more than 1048576 bytes/,
    );
  });

  it("says that categories are repeated, and takes each once", () => {
    const { parameters, warnings } = parse({
      x: { method: "categorical", dimension: { categories: [1, 1, 2] } },
    });
    assert.equal(combinationsOf(parameters), 2);
    assert.match(warnings[0] ?? "", /repeated categories/);
  });
});

describe("did you mean", () => {
  it("finds a word with a letter too much, too few, wrong or swapped, and nothing far away", () => {
    for (const typo of ["--maxPoint", "--maxPointss", "--maxPoimts", "--maxPionts"]) {
      assert.equal(didYouMean(typo, ["--seed", "--maxPoints"]), "--maxPoints");
    }
    assert.equal(didYouMean("banana", ["--seed", "--maxPoints"]), null);
  });
});
