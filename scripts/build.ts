/**
 * Builds the programs into dist/: few files instead of a thousand, so that a command answers in half the time. What a program
 * loads only when it is needed stays a file of its own. Says nothing of types: that is `npm run check:types`.
 */
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
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { BUNDLED } from "./bundled.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const out = join(root, "dist");
/** Files of the build; what else lies in dist/ was packed. */
const FOLDERS = ["chunks", "client", "common", "harvester", "pilot", "protocol", "server"];
const KEPT_MS = 24 * 3_600_000;
const COMMANDS = ["client/main.js", "client/phpo.js"];

const { outputFiles } = await build({
  ...BUNDLED,
  absWorkingDir: root,
  entryPoints: [
    "client/main.ts",
    "client/phpo.ts",
    "server/samplers/worker.ts",
    "server/journal/snapshot-worker.ts",
  ],
  outbase: root,
  outdir: out,
  // One folder deep, as common/program-files.ts is, which looks for entries from there.
  chunkNames: "chunks/[name]-[hash]",
  splitting: true,
  sourcemap: "linked",
  sourcesContent: false,
  write: false,
});
const built = new Map(outputFiles.map(({ path, contents }) => [relative(out, path), contents]));
// What is started comes last, when all that it loads is there.
for (const isEntry of [false, true])
  for (const [path, contents] of built)
    if (path.startsWith("chunks/") !== isEntry) replace(path, contents);
for (const folder of FOLDERS) removeOthers(folder);

/** Complete or not at all: another build may run at the same time. */
function replace(path: string, contents: Uint8Array): void {
  const file = join(out, path);
  if (existsSync(file) && readFileSync(file).equals(contents)) return;
  mkdirSync(dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}`;
  writeFileSync(temporary, contents);
  if (COMMANDS.includes(path)) chmodSync(temporary, 0o755);
  renameSync(temporary, file);
}

/** Programs that were started before a build may still load theirs: those of the last day stay. */
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
