import assert from "node:assert/strict";
import fc from "fast-check";
import {
  memberOf,
  parseJsonText,
  toValue,
  type ParseOptions,
} from "../../../protocol/json-text.ts";
import { USER_JSON } from "../../../protocol/limits.ts";

function refused(text: string, message: RegExp, options: Partial<ParseOptions> = {}): void {
  assert.throws(() => parseJsonText(text, { name: "file.json", ...options }), {
    code: "E_JSON",
    message,
  });
}

describe("JSON written by users", () => {
  it("means what JSON.parse says it means", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = JSON.stringify(value);
        // Through JSON again: our objects have no prototype.
        assert.deepEqual(
          JSON.parse(JSON.stringify(toValue(parseJsonText(text, { name: "f" })))),
          JSON.parse(text),
        );
      }),
    );
  });

  it("is read or refused with a place, never anything else", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60, unit: "binary" }), (text) => {
        try {
          parseJsonText(text, { name: "f" });
        } catch (error) {
          assert.equal((error as { code: string }).code, "E_JSON");
          assert.match((error as Error).message, /^f:\d+:\d+ /);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("keeps the text of every value, and the order of keys that look like numbers", () => {
    const root = parseJsonText('{"10": 1.0, "2": 1e2, "a": [ 1 ]}', { name: "f" });
    assert.deepEqual(
      root.type === "object" && root.members.map(({ key, value }) => [key, value.raw]),
      [
        ["10", "1.0"],
        ["2", "1e2"],
        ["a", "[ 1 ]"],
      ],
    );
    assert.equal(memberOf(root, "2")?.raw, "1e2");
  });

  it("is refused with line and column of what is wrong", () => {
    refused('{\n  "a": 1,\n  "b" 2\n}', /^file\.json:3:7 expected ':', found '2'$/);
    refused("[1, 2", /file\.json:1:6 expected ',' or '\]', found the end of the file/);
    refused('{"a": 1,}', /file\.json:1:9 expected a name in double quotes/);
    refused("{'a': 1}", /file\.json:1:2 expected a name in double quotes, found '''/);
    refused("[1] x", /file\.json:1:5 expected the end of the file, found 'x'/);
    refused('["a\nb"]', /file\.json:1:2 a line break in a string/);
    refused('["\\x"]', /an unknown escape/);
    refused("[01]", /file\.json:1:3 expected ',' or ']'/);
    refused("", /file\.json:1:1 expected a value, found the end of the file/);
    refused("\ufeff{}", /byte order mark, save the file as UTF-8 without BOM/);
  });

  it("names typographic quotes, wherever they stand", () => {
    refused("{“a”: 1}", /file\.json:1:2 typographic quote “, write "$/);
    refused('{"a": "metrics.tgz”}', /file\.json:1:19 typographic quote ”, write "$/);
    refused('["ä€𝄞", "x”]', /file\.json:1:11 typographic quote ”/);
  });

  it("may not say a name twice", () => {
    refused('{"a": 1, "a": 2}', /file\.json:1:10 "a" is there twice, keep one of them/);
  });

  it("takes NaN and the infinities only where they are allowed", () => {
    refused("[NaN]", /file\.json:1:2 NaN is not JSON, write a number or null/);
    refused("[1e999]", /too large a number/);
    const root = parseJsonText("[NaN, -Infinity, 1e999]", { name: "f", allowNonFinite: true });
    assert.deepEqual(toValue(root), [NaN, -Infinity, Infinity]);
  });

  it("is bounded in depth, number of values and size", () => {
    assert.doesNotThrow(() =>
      parseJsonText("[".repeat(USER_JSON.depthMax) + "]".repeat(USER_JSON.depthMax), { name: "f" }),
    );
    refused("[".repeat(1_000_000), /nested deeper than 64 levels/);
    refused(`[${"1,".repeat(USER_JSON.valuesMax)}1]`, /more than 1000000 values/);
    assert.throws(() => parseJsonText("[1, 2]", { name: "f", bytesMax: 5 }), {
      code: "E_TOO_LARGE",
    });
    assert.throws(() => parseJsonText(" ".repeat(USER_JSON.bytesMax + 1), { name: "f" }), {
      code: "E_TOO_LARGE",
    });
  });

  it("cannot touch the prototype of anything", () => {
    const value = toValue(
      parseJsonText('{"__proto__": {"isAdmin": true}}', { name: "f" }),
    ) as object;
    assert.equal(Object.getPrototypeOf(value), null);
    assert.equal(({} as { isAdmin?: boolean }).isAdmin, undefined);
  });
});
