/** Compiles the programs into dist/; quick when nothing changed. */
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const HASH_BANG = "#!/usr/bin/env node\n";
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");
const buildInfo = join("dist", "tsconfig.build.tsbuildinfo");

const compiled = spawnSync(
  process.execPath,
  [compiler, "-p", "tsconfig.build.json", "--incremental", "--tsBuildInfoFile", buildInfo],
  { cwd: root, stdio: "inherit" },
);
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
for (const program of ["main.js", "phpo.js"]) makeExecutable(join(root, "dist", "client", program));

function makeExecutable(file: string): void {
  if (!existsSync(file)) return;
  const text = readFileSync(file, "utf8");
  if (!text.startsWith("#!")) writeFileSync(file, HASH_BANG + text);
  chmodSync(file, 0o755);
}
