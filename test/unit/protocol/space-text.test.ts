import assert from "node:assert/strict";
import fc from "fast-check";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { parseSearchSpace } from "../../../protocol/search-space.ts";
import { isSpaceText, spaceFromText } from "../../../protocol/space-text.ts";
import { TASK } from "../../../protocol/limits.ts";

const parsed = (text: string) =>
  parseSearchSpace(spaceFromText(text, "--space"), "space").parameters;

function refusal(text: string): HyperpilotError {
  try {
    spaceFromText(text, "--space");
  } catch (error) {
    assert.ok(error instanceof HyperpilotError, String(error));
    assert.equal(error.code, "E_SEARCH_SPACE");
    return error;
  }
  throw new Error(`${text} was taken`);
}

describe("a search space in one line", () => {
  it("has a form for every method of the search-space file", () => {
    const cases: readonly (readonly [string, object])[] = [
      ["x=uniform(0,1)", { method: "uniform", low: 0, high: 1, step: null }],
      ["x=0..1", { method: "uniform", low: 0, high: 1, step: null }],
      ["x=-1.5..+2e3", { method: "uniform", low: -1.5, high: 2_000, step: null }],
      ["x=log(1e-5,1e-1)", { method: "loguniform", low: 1e-5, high: 0.1, step: null }],
      ["x=int(10,30)", { method: "uniformint", low: 10, high: 30, step: 1 }],
      ["x=int(1,64,log)", { method: "loguniformint", low: 1, high: 64, step: 1 }],
      ["x=int(16,128,16)", { method: "quniform", low: 16, high: 128, step: 16 }],
      ["x=int(16,128,16,log)", { method: "qloguniform", low: 16, high: 128, step: 16 }],
      ["x=step(0,1,0.1)", { method: "quniform", low: 0, high: 1, step: 0.1 }],
      ["x=log(.5,8.,.5)", { method: "qloguniform", low: 0.5, high: 8, step: 0.5 }],
      ["x=normal(0,1)", { method: "normal", mu: 0, sigma: 1, step: null }],
      ["x=normal(0,1,0.5)", { method: "qnormal", mu: 0, sigma: 1, step: 0.5 }],
      ["x=lognormal(0,1)", { method: "lognormal", mu: 0, sigma: 1, step: null }],
      ["x=qlognormal(0,1,1)", { method: "qlognormal", mu: 0, sigma: 1, step: 1 }],
      ["x=loguniform(1,2)", { method: "loguniform", low: 1, high: 2, step: null }],
      ["x=relu|tanh|gelu", { method: "categorical", categories: ['"relu"', '"tanh"', '"gelu"'] }],
      [
        "x=32|6.40|true|null",
        { method: "categorical", categories: ["32", "6.40", "true", "null"] },
      ],
      [`x="two words"|'3'`, { method: "categorical", categories: ['"two words"', '"3"'] }],
      ["x=choice(a, 1e3)", { method: "categorical", categories: ['"a"', "1e3"] }],
      ["x=3x3|5x5", { method: "categorical", categories: ['"3x3"', '"5x5"'] }],
      ["x=3", { method: "fixed", value: "3" }],
      ["x=1.0", { method: "fixed", value: "1.0" }],
      ["x=adam", { method: "fixed", value: '"adam"' }],
      ["x=true", { method: "fixed", value: "true" }],
      ['x="0..1"', { method: "fixed", value: '"0..1"' }],
    ];
    for (const [text, expected] of cases)
      assert.deepEqual(parsed(text), [{ name: "x", ...expected }], text);
  });

  it("keeps the order, and takes spaces and lines between and around", () => {
    const text = "  lr = log( 1e-5 , 1e-1 )\n batch=int(10,30)\tact=a|b seed=3 ";
    assert.deepEqual(
      parsed(text).map(({ name, method }) => `${name} ${method}`),
      ["lr loguniform", "batch uniformint", "act categorical", "seed fixed"],
    );
  });

  it("points at the column of a mistake and says what to write", () => {
    const cases: readonly (readonly [string, number, RegExp, RegExp])[] = [
      ["lr=lag(1,2)", 4, /unknown kind "lag"/, /did you mean "log"/i],
      ["lr=gauss(1,2)", 4, /unknown kind "gauss"/, /uniform, log, int, step, normal/i],
      ["lr:log(1,2)", 3, /"=" is expected after "lr"/, /lr=/i],
      ["lr=log(1,2", 11, /the "\)" of "lr" is missing/, /add/i],
      ["lr=log(1 2)", 10, /"," or "\)" is expected/, /log\(1e-5,1e-1\)/i],
      ["lr=log(1)", 4, /"lr" has 1 of the 2 or 3 numbers/, /log\(/i],
      ["lr=step(0,1)", 4, /"lr" has 2 of the 3 numbers/, /./],
      ["lr=log(0,1)", 8, /0 of "lr" must be greater than 0/, /raise it/i],
      ["a=1 lr=uniform(2,1)", 16, /2 is greater than 1 in "lr"/, /swap/i],
      ["n=int(1.5,3)", 7, /1\.5 of "n" is not a whole number/, /round it/i],
      ["q=step(0,1,0)", 12, /the step 0 of "q"/, /raise it/i],
      ["q=step(0.1,0.2,1)", 16, /no multiple of 1 lies between 0\.1 and 0\.2/, /smaller/i],
      ["w=normal(0,-1)", 12, /standard deviation -1/, /raise it/i],
      ["lr=log(a,1)", 8, /"a" of "lr" is not a number/, /1e-5/],
      ["lr=[1,2]", 4, /"\[" is not understood/, /lr=a\|b\|c/i],
      ["lr=(1,2)", 4, /"\(" is not understood/, /lr=uniform\(0,1\)/i],
      ["lr=log(1,2),n=3", 12, /"," is not understood/, /by spaces/i],
      ["lr=", 4, /the value of "lr" is missing/, /lr=3/i],
      ["lr=a|", 6, /the value of "lr" is missing/, /lr=3/i],
      ["lr=a|b|a", 8, /"a" comes twice/, /leave one out/i],
      ["lr=1 lr=2", 6, /"lr" comes twice/, /leave one out/i],
      ["lr=1e-5-1e-1", 4, /neither a number nor a range/, /lr=1e-5\.\.1e-1/i],
      ["lr=0..x", 7, /"x" of "lr" is not a number/, /./],
      ['lr="a', 4, /the closing " is missing/, /add/i],
      ["=3", 1, /a name is expected/, /lr=/i],
      ["  ", 1, /empty/, /lr=/i],
    ];
    for (const [text, column, message, remedy] of cases) {
      const error = refusal(text);
      assert.match(error.message, new RegExp(`^--space:1:${column} `), `${text}: ${error.message}`);
      assert.match(error.message, message, text);
      assert.match(error.remedy ?? "", remedy, text);
      assert.match(error.remedy ?? "", /^[A-Z].*[.?]$/s, text);
    }
    assert.match(refusal("a=1\nlr=lag(1,2)").message, /^--space:2:4 /);
  });

  it("holds the bounds of a search space", () => {
    const many = (count: number): string =>
      Array.from({ length: count }, (_, index) => `p${index}=1`).join(" ");
    assert.equal(parsed(many(TASK.hyperparametersMax)).length, TASK.hyperparametersMax);
    assert.match(refusal(many(TASK.hyperparametersMax + 1)).message, /more than 1000 hyper/);
    const categories = Array.from({ length: TASK.categoriesMax + 1 }, (_, index) => index);
    assert.match(refusal(`a=${categories.join("|")}`).message, /more than 10000 categories/);
    assert.match(refusal(`a=${"x".repeat(TASK.searchSpaceBytesMax)}`).message, /characters/);
  });

  it("is told from a file's name and from JSON", () => {
    assert.ok(isSpaceText("lr=log(1,2)") && isSpaceText(" lr = 3"));
    for (const text of ["space.json", '{"lr": 1}', "./a=b.json", ""]) assert.ok(!isSpaceText(text));
  });

  it("of any numbers in their order is a search space of these numbers", () => {
    const real = fc.double({ min: -1e9, max: 1e9, noNaN: true });
    fc.assert(
      fc.property(real, real, (a, b) => {
        const [low, high] = [Math.min(a, b), Math.max(a, b)];
        const [parameter] = parsed(`x=uniform(${low},${high})`);
        assert.ok(parameter !== undefined && "low" in parameter);
        // -0 is written "0".
        assert.deepEqual([parameter.low + 0, parameter.high + 0], [low + 0, high + 0]);
      }),
    );
  });

  it("of any characters is taken by the search-space reader, or refused at a place within it", () => {
    const piece = fc.constantFrom(
      ..."a b = ( ) , | .. 1 0.5 1e-5 -3 log int uniform step normal choice fixed \" ' [ é \n true".split(
        " ",
      ),
      " ",
    );
    const value = fc.constantFrom(
      "1",
      "a|b",
      "0..1",
      "int(1,8)",
      "log(1e-3,1)",
      "normal(0,1)",
      "a.b",
    );
    const texts = fc.oneof(
      fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join("")),
      // Nearly right ones.
      fc.array(fc.tuple(piece, value), { maxLength: 4 }).map((pairs) => {
        return pairs.map(([before, one], index) => `p${index}=${one}${before}`).join(" ");
      }),
      fc.string({ unit: "binary" }),
    );
    let taken = 0;
    fc.assert(
      fc.property(texts, (text) => {
        let json: string;
        try {
          json = spaceFromText(text, "--space");
        } catch (error) {
          assert.ok(
            error instanceof HyperpilotError && error.code === "E_SEARCH_SPACE",
            String(error),
          );
          const [, line = "0", column = "0"] = /^--space:(\d+):(\d+) /.exec(error.message) ?? [];
          const lines = text.split("\n");
          const width = Array.from(lines[Number(line) - 1] ?? "").length;
          assert.ok(Number(line) >= 1 && Number(line) <= lines.length, error.message);
          assert.ok(Number(column) >= 1 && Number(column) <= width + 1, error.message);
          return;
        }
        taken += 1;
        parseSearchSpace(json, "space");
      }),
      { numRuns: 6_000 },
    );
    assert.ok(taken > 100, `${taken} were taken`);
  });
});
