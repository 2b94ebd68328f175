/**
 * Makes the pilot into one file for batch nodes, and an archive with that file, a start script and Node itself, for nodes that
 * have none: dist/pilot/ and dist/hyperpilot-pilot-linux-ARCH.tar.gz.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { MODULE } from "./bundled.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const directory = join(root, "dist", "pilot-package");
const archive = join(root, "dist", `hyperpilot-pilot-linux-${process.arch}.tar.gz`);
const files = ["pilot.mjs", "start.sh", "node"];

rmSync(directory, { recursive: true, force: true });
mkdirSync(directory, { recursive: true });
await build({
  entryPoints: [join(root, "pilot", "standalone.ts")],
  outfile: join(directory, "pilot.mjs"),
  ...MODULE,
});
copyFileSync(join(root, "pilot", "start.sh"), join(directory, "start.sh"));
copyFileSync(process.execPath, join(directory, "node"));
// Symbols are most of the size, and a node needs none.
spawnSync("strip", ["--strip-unneeded", join(directory, "node")], { stdio: "ignore" });
chmodSync(join(directory, "node"), 0o755);
chmodSync(join(directory, "start.sh"), 0o755);
writeFileSync(join(directory, "SHA256SUMS"), files.map(checksumLine).join(""));
const packed = spawnSync("tar", ["-czf", archive, "-C", directory, ...files, "SHA256SUMS"], {
  stdio: "inherit",
});
if (packed.status !== 0) process.exit(packed.status ?? 1);
console.log(
  `${archive}: ${megabytes(archive)} (pilot.mjs ${megabytes(join(directory, "pilot.mjs"))})`,
);

/** As sha256sum(1) writes it. */
function checksumLine(name: string): string {
  const bytes = readFileSync(join(directory, name));
  return `${createHash("sha256").update(bytes).digest("hex")}  ${name}\n`;
}

function megabytes(file: string): string {
  return `${(statSync(file).size / 1e6).toFixed(1)} MB`;
}
