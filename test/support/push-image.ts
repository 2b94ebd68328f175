import { execFileSync } from "node:child_process";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestRegistry } from "./registry.ts";
import { testbed } from "./testbed.ts";

/** Pushes the testbed's payload image with one file more. Returns its name. */
export function pushVariant(registry: TestRegistry, tag: string, directory: string): string {
  const root = join(directory, `variant-${tag}`);
  const store = join(directory, `store-${tag}`);
  cpSync(testbed.imageDirectory, root, { recursive: true, verbatimSymlinks: true });
  writeFileSync(join(root, "variant"), `${tag}\n`);
  const archive = `${root}.tar`;
  execFileSync("tar", ["-C", root, "-cf", archive, "."]);
  const name = `${registry.name}/test/payload:${tag}`;
  const podman = (...args: string[]) =>
    execFileSync("podman", ["--root", store, "--runroot", `${store}-run`, ...args], {
      stdio: "ignore",
    });
  try {
    podman("import", archive, name);
    podman("push", "--tls-verify=false", name);
  } finally {
    podman("image", "rm", "--all", "--force");
  }
  return `docker://${name}`;
}
