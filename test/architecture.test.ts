import { strict as assert } from "node:assert";
import { existsSync } from "node:fs";
import { basename } from "node:path";
import {
  cyclesOf,
  importsOf,
  readSources,
  type Folder,
  type SourceFile,
} from "./support/sources.ts";

const FILES_SEEN_MIN = 40;
const LINES_MAX = 500;

/** Folders that each folder may import besides itself; drawn in docs/architecture.md. */
const MAY_IMPORT: Readonly<Record<Folder, readonly Folder[]>> = {
  protocol: [],
  common: ["protocol"],
  server: ["protocol", "common"],
  pilot: ["protocol", "common"],
  harvester: ["protocol", "common"],
  client: ["protocol", "common"],
};

/** What the client may start the other programs from, and by which files. */
const PROGRAM_ENTRIES = [
  "server/main.ts",
  "server/maintenance.ts",
  "pilot/main.ts",
  "pilot/shell.ts",
  "harvester/main.ts",
];
const PROGRAM_STARTERS = [
  /^client\/main[^/]*\.ts$/,
  /^client\/up\.ts$/,
  /^client\/program[^/]*\.ts$/,
  /^client\/commands\//,
];

/** Files without a node: module, a clock or randomness. */
const PURE = [
  /^protocol\//,
  /^server\/core(\.ts|\/)/,
  /^server\/reactor(\.ts|\/)/,
  /^server\/(points|tasks|queues)\//,
  /^server\/samplers\/(?!worker\.ts|asker\.ts)/,
  /^harvester\/planner\.ts$/,
  /^pilot\/(agent(-slot|-times|-messages|-port)?|slots|outbox|known-tasks|checkpoint-names)\.ts$/,
];
const IMPURE_CALLS = /\b(Date\.now|Math\.random|performance\.now|new Date\(\))/;

/** Packages with one importer, so that each can be replaced in one place. */
const IMPORTERS: Readonly<Record<string, RegExp>> = {
  msgpackr: /^protocol\/codec\.ts$/,
  tar: /^common\/archive\.ts$/,
  execa: /^common\/child\.ts$/,
  chokidar: /^pilot\/checkpoint\.ts$/,
  level: /^server\/journal\/level-journal\.ts$/,
  systeminformation: /^pilot\/probe\.ts$/,
  ws: /^(common\/link\.ts|server\/gateway\/.*)$/,
};

describe("architecture", () => {
  const sources = readSources();
  const pure = sources.filter((source) => PURE.some((pattern) => pattern.test(source.path)));

  it("is checked on the source files, not on an empty list", () => {
    assert.ok(sources.length > FILES_SEEN_MIN, `${sources.length} files seen`);
    assert.ok(pure.length > 20, `${pure.length} pure files seen`);
    for (const { path, files } of sources) {
      for (const file of files) assert.ok(existsSync(file), `${path} imports ${file}, not found`);
    }
  });

  it("sees imports of every form", () => {
    const text = `
      import a from "./a.ts"; import type { B } from "../b.ts"; export * from "./c.ts"; import "./d.ts";
      export { e } from "./e.ts"; const f = await import("./f.ts"); import g from "@scope/g/deep"; import h from "node:h";`;
    const loaded = ["a", "c", "d", "e"].map((name) => `server/x/${name}.ts`);
    loaded.splice(1, 0, "server/b.ts");
    assert.deepEqual(importsOf("server/x/y.ts", text), {
      files: [...loaded, "server/x/f.ts"],
      loaded,
      packages: ["@scope/g", "node:h"],
    });
  });

  it("imports in the directions protocol <- common <- programs only", () => {
    assertNone(sources, ({ path, folder, files }) =>
      files.filter((file) => !mayImport(folder, file) && !isProgramStart(path, file)),
    );
  });

  it("keeps node: modules out of pure files", () => {
    assertNone(pure, ({ packages }) => packages.filter((name) => name.startsWith("node:")));
  });

  it("keeps clock and randomness out of pure files", () => {
    assertNone(pure, ({ text }) => {
      const call = IMPURE_CALLS.exec(withoutComments(text))?.[0];
      return call === undefined ? [] : [call];
    });
  });

  for (const [name, importer] of Object.entries(IMPORTERS)) {
    it(`imports ${name} where it belongs only`, () => {
      assertNone(sources, ({ path, packages }) =>
        packages.filter((each) => each === name && !importer.test(path)),
      );
    });
  }

  it("loads no schema for the help: it is there at once", () => {
    const byPath = new Map(sources.map((source) => [source.path, source]));
    const seen = new Set<string>();
    const open = ["client/main.ts"];
    for (let path = open.pop(); path !== undefined; path = open.pop()) {
      if (seen.has(path)) continue;
      seen.add(path);
      const source = byPath.get(path);
      assert.ok(source !== undefined, path);
      const text = source.text.replace(/^import type [^;]*;/gm, "");
      const { loaded, packages } = importsOf(path, text);
      assert.ok(!packages.includes("zod"), `${path} imports zod`);
      open.push(...loaded);
    }
    assert.ok(seen.has("client/commands/site/table.ts"), [...seen].join(" "));
  });

  it("has no circle of imports", () => {
    const imports = new Map(sources.map(({ path, loaded }) => [path, loaded]));
    assert.deepEqual(cyclesOf(imports), []);
  });

  it("finds circles where there are some", () => {
    const imports = new Map([
      ["a", ["b"]],
      ["b", ["c"]],
      ["c", ["b", "d"]],
      ["d", []],
    ]);
    assert.deepEqual(cyclesOf(imports), [["b", "c"]]);
  });

  it(`has no file of more than ${LINES_MAX} lines`, () => {
    assertNone(sources, ({ lines }) => (lines > LINES_MAX ? [`${lines} lines`] : []));
  });

  it("names files after what they hold", () => {
    assertNone(sources, ({ path }) =>
      /(^|-)(util|utils|helper|helpers|manager|misc)(-|\.)/.test(basename(path))
        ? ["its name"]
        : [],
    );
  });
});

function mayImport(folder: Folder, file: string): boolean {
  const target = file.split("/")[0];
  return target === folder || MAY_IMPORT[folder].some((each) => each === target);
}

function isProgramStart(path: string, file: string): boolean {
  return PROGRAM_ENTRIES.includes(file) && PROGRAM_STARTERS.some((pattern) => pattern.test(path));
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

/** Fails with every file that breaks the rule, and with what it does. */
function assertNone(
  files: readonly SourceFile[],
  broken: (source: SourceFile) => readonly string[],
): void {
  const found = files.flatMap((source) => broken(source).map((what) => `${source.path}: ${what}`));
  assert.deepEqual(found, []);
}
