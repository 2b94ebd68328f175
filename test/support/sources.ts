/** The programs' source files and what they import, read from the disk for tests of the architecture. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import ts from "typescript";

export const FOLDERS = ["protocol", "common", "server", "pilot", "harvester", "client"] as const;
export type Folder = (typeof FOLDERS)[number];

export interface SourceFile {
  /** Relative to the repository's root, such as `server/core.ts`. */
  readonly path: string;
  readonly folder: Folder;
  readonly text: string;
  readonly lines: number;
  /** Paths of the files of ours that it imports, type-only and dynamic imports included. */
  readonly files: readonly string[];
  /** Those of `files` that are loaded with it: what `import()` names is loaded later. */
  readonly loaded: readonly string[];
  /** Names of packages and `node:` modules that it imports. */
  readonly packages: readonly string[];
}

/** All source files below the folders of the programs. */
export function readSources(): readonly SourceFile[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(folder, { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".ts"))
      .sort()
      .map((name) => readSource(join(folder, name), folder)),
  );
}

function readSource(path: string, folder: Folder): SourceFile {
  const text = readFileSync(path, "utf8");
  return { path, folder, text, lines: text.trimEnd().split("\n").length, ...importsOf(path, text) };
}

/** Imports in any form, told apart: files of ours and packages. */
export function importsOf(
  path: string,
  text: string,
): Pick<SourceFile, "files" | "loaded" | "packages"> {
  const imports = ts.preProcessFile(text, true, true).importedFiles;
  const isRelative = ({ fileName }: ts.FileReference): boolean => fileName.startsWith(".");
  const isDynamic = ({ pos }: ts.FileReference): boolean => /\(\s*$/.test(text.slice(0, pos));
  const target = ({ fileName }: ts.FileReference): string =>
    normalize(join(dirname(path), fileName));
  const ours = imports.filter(isRelative);
  return {
    files: ours.map(target),
    loaded: ours.filter((file) => !isDynamic(file)).map(target),
    packages: imports
      .filter((file) => !isRelative(file))
      .map(({ fileName }) => packageOf(fileName)),
  };
}

function packageOf(name: string): string {
  if (name.startsWith("node:")) return name;
  const parts = name.split("/");
  return name.startsWith("@") ? parts.slice(0, 2).join("/") : (parts[0] ?? name);
}

/** Groups of files that import one another in a circle; each group once, sorted. */
export function cyclesOf(imports: ReadonlyMap<string, readonly string[]>): readonly string[][] {
  const reachable = new Map<string, Set<string>>();
  for (const start of imports.keys()) {
    const seen = new Set<string>();
    const open = [...(imports.get(start) ?? [])];
    for (let next = open.pop(); next !== undefined; next = open.pop()) {
      if (seen.has(next)) continue;
      seen.add(next);
      open.push(...(imports.get(next) ?? []));
    }
    reachable.set(start, seen);
  }
  const groups = new Map<string, string[]>();
  for (const [start, seen] of reachable) {
    if (!seen.has(start)) continue;
    const group = [...seen].filter((other) => reachable.get(other)?.has(start) === true).sort();
    groups.set(group.join(" "), group);
  }
  return [...groups.values()];
}
