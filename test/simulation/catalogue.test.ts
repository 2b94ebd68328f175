import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MORE_MUTANTS, MUTANTS } from "./mutants/list.ts";
import { root } from "./bundle.ts";
import { ACTIONS } from "./shape.ts";
import { CASES } from "./tally.ts";

const text = readFileSync(join(root, "docs", "reliability.md"), "utf8");
const catalogue = text.slice(text.indexOf("\n## Catalogue"));

/** Each file of tests that the catalogue names, with the titles behind it. */
function named(): { readonly file: string; readonly titles: readonly string[] }[] {
  return [...catalogue.matchAll(/`([\w./-]+\.ts)`((?:,? "[^"]+")+)/g)].map(
    ([, file = "", titles = ""]) => ({
      file,
      titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = ""]) => title),
    }),
  );
}

describe("the catalogue of faults in docs/reliability.md", () => {
  it("names tests that are there", () => {
    const all = named();
    assert.ok(all.length > 80, `${all.length} references`);
    const missing = all.flatMap(({ file, titles }) => {
      const path = join(root, "test", file);
      if (!existsSync(path)) return [`${file} is not there`];
      const source = readFileSync(path, "utf8");
      return titles
        .filter((title) => !source.includes(`("${title}`) && !source.includes(`(\`${title}`))
        .map((title) => `${file} has no "${title}"`);
    });
    assert.deepEqual(missing, []);
  });

  it("names faults, cases and seeded bugs of the simulator that are there", () => {
    const names = new Set([...MUTANTS, ...MORE_MUTANTS].map(({ name }) => name));
    const bugs = [...catalogue.matchAll(/seeded bug "([^"]+)"/g)].map(([, name = ""]) => name);
    assert.deepEqual(
      bugs.filter((name) => !names.has(name)),
      [],
    );
    const cases: readonly string[] = CASES;
    const reached = [...catalogue.matchAll(/case "([^"]+)"/g)].map(([, name = ""]) => name);
    assert.deepEqual(
      reached.filter((name) => !cases.includes(name)),
      [],
    );
    const actions: readonly string[] = ACTIONS;
    const faults = [...catalogue.matchAll(/sim \(((?:`\w+`(?:, )?)+)\)/g)].flatMap(
      ([, list = ""]) => [...list.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name),
    );
    assert.ok(faults.length > 5);
    assert.deepEqual(
      faults.filter((name) => !actions.includes(name)),
      [],
    );
  });

  it("counts the cases of the simulator as they are", () => {
    assert.match(text, new RegExp(`of ${CASES.length} cases`));
  });
});
