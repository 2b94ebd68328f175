/**
 * Builds the programs into dist/: one file for each instead of a thousand, with its code compiled, so that a command answers in a
 * third of the time. Says nothing of types: that is `npm run check:types`.
 */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { SCRIPT } from "./bundled.ts";
import { compileAhead } from "./compile-ahead.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "dist");
const PROGRAMS = [
  "client/main",
  "client/phpo",
  "server/samplers/worker",
  "server/journal/snapshot-worker",
];
const COMMANDS = ["client/main", "client/phpo"];
const STARTER = "common/start-bundle";
/** Folders of the build; what else lies in dist/ was packed. */
const FOLDERS = ["chunks", "client", "common", "harvester", "pilot", "protocol", "server"];
/** A program that is being started has read the name of its bundle, and not yet the bundle. */
const KEPT_MS = 60_000;
const HASH_DIGITS = 16;

const options = {
  ...SCRIPT,
  absWorkingDir: root,
  outbase: root,
  outdir: out,
  write: false,
} as const;
const bundles = await build({
  ...options,
  entryPoints: PROGRAMS.map((name) => `${name}.ts`),
  sourcemap: "external",
  sourcesContent: false,
});
// What starts them is a module as any other.
const asModule = { banner: {}, footer: {} };
const starter = await build({ ...options, ...asModule, entryPoints: [`${STARTER}.ts`] });
const texts = new Map(
  [...bundles.outputFiles, ...starter.outputFiles].map(({ path, text }) => [
    relative(out, path),
    text,
  ]),
);

/** Files of this build. */
const built = new Set<string>();
replace("package.json", '{ "type": "commonjs" }\n');
replace(`${STARTER}.js`, textOf(`${STARTER}.js`));
const names = new Map(PROGRAMS.map((name) => [name, writeBundle(name)]));
const [main = "", phpo = ""] = COMMANDS.map((name) => names.get(name));
try {
  for (const path of await compileAhead({ out, main, phpo, write: replace })) built.add(path);
} catch (error) {
  console.error(
    `warning: programs will start more slowly, as they could not be compiled ahead: ${String(error)}`,
  );
}
// What is started comes last, when all that it loads is there.
for (const [name, bundle] of names) replace(`${name}.js`, starterText(name, bundle));
for (const folder of FOLDERS) removeOthers(folder);

function textOf(path: string): string {
  const text = texts.get(path);
  if (text === undefined) throw new Error(`${path} was not built`);
  return text;
}

/** Compiled code is looked for by the name: with a hash in it, it never meets another text. */
function writeBundle(name: string): string {
  const text = inAscii(textOf(`${name}.js`));
  const hash = createHash("sha256").update(text).digest("hex").slice(0, HASH_DIGITS);
  const path = `${name}-${hash}.js`;
  replace(`${path}.map`, textOf(`${name}.js.map`));
  replace(path, `${text}//# sourceMappingURL=${basename(path)}.map\n`);
  return path;
}

/** Files in ASCII are read in a third of the time. What esbuild leaves is in comments and in regular expressions. */
function inAscii(text: string): string {
  return text.replace(
    /[^\0-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function starterText(name: string, bundle: string): string {
  const starterFile = relative(dirname(name), STARTER);
  const use = name === "client/main" ? "codeUse(process.argv[2])" : `"${basename(name)}"`;
  return `#!/usr/bin/env node
const { codeUse, startBundle } = require("${starterFile}.js");
startBundle(require.resolve("./${basename(bundle)}"), ${use});
`;
}

/** Complete or not at all: another build may run at the same time. */
function replace(path: string, contents: Uint8Array | string): void {
  const file = join(out, path);
  built.add(path);
  if (existsSync(file) && readFileSync(file).equals(Buffer.from(contents))) return;
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, contents);
  if (COMMANDS.includes(path.replace(/\.js$/, ""))) chmodSync(temporary, 0o755);
  renameSync(temporary, file);
}

function removeOthers(folder: string): void {
  if (!existsSync(join(out, folder))) return;
  for (const entry of readdirSync(join(out, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) removeOthers(path);
    else if (!built.has(path) && statSync(join(out, path)).mtimeMs < Date.now() - KEPT_MS)
      rmSync(join(out, path), { force: true });
  }
  if (readdirSync(join(out, folder)).length === 0) rmSync(join(out, folder), { recursive: true });
}
