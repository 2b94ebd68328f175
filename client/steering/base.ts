/** What an image is built upon: an image of a registry, one of this machine, or a root made of Debian packages. */
import { chmodSync, existsSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Environment } from "../style.ts";
import { hasProgram, runBuildProgram } from "./build-program.ts";

export const BASE_DEFAULT = "docker.io/library/python:3.11-slim-bookworm";
const SUITE_DEFAULT = "bookworm";
/** Python with pip; minbase holds the rest. */
const PACKAGES = "python3-pip,ca-certificates";
/** Devices, and what no image needs. */
const EMPTIED = ["dev", "var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"]; // prettier-ignore

export type Base =
  | { readonly type: "registry"; readonly image: string }
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "directory"; readonly path: string };

export interface BaseRequest {
  /** As the administrator wrote it. */
  readonly text: string;
  /** Mirror of Debian; null: the one that this machine uses. */
  readonly mirror: string | null;
  /** Where a Debian root is kept for the next build. */
  readonly directory: string;
  readonly workingDirectory: string;
  readonly environment: Environment;
  readonly talk: (text: string) => void;
}

/** Finds the base, and makes it when it is to be of Debian packages. Errors: E_FILE, E_CONFIG, E_RUNTIME. */
export async function prepareBase(request: BaseRequest): Promise<Base> {
  const { text } = request;
  const debian = /^debian(?::([a-z][a-z0-9-]*))?$/.exec(text);
  if (debian !== null) {
    const path = await makeDebianRoot(request, debian[1] ?? SUITE_DEFAULT);
    return { type: "directory", path };
  }
  if (!isAbsolute(text) && !text.startsWith("."))
    return { type: "registry", image: text.replace(/^docker:\/\//, "") };
  const path = resolve(request.workingDirectory, text);
  const entry = statSync(path, { throwIfNoEntry: false });
  if (entry === undefined) {
    throw new HyperpilotError({
      code: "E_FILE",
      message: `The base image ${path} does not exist.`,
      remedy: "Name a SIF file, a root directory, an image of a registry, or debian.",
    });
  }
  return { type: entry.isDirectory() ? "directory" : "file", path };
}

async function makeDebianRoot(request: BaseRequest, suite: string): Promise<string> {
  const { environment, talk } = request;
  const root = join(request.directory, `debian-${suite}`);
  if (existsSync(root)) return root;
  if (process.getuid?.() !== 0) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: "A base of Debian packages can be made by root only.",
      remedy: "Run this as root, or give --base an image of a registry or of this machine.",
    });
  }
  const remedy =
    "Install debootstrap (Debian: apt-get install debootstrap), and check the mirror (--mirror).";
  const mirror = request.mirror ?? (await mirrorOfThisMachine(environment));
  talk(`Making a Debian ${suite} root (about 40 s, 150 MB, kept in ${root}) ...`);
  const partial = `${root}.partial`;
  rmSync(partial, { recursive: true, force: true });
  const where = mirror === null ? [] : [mirror];
  await runBuildProgram(
    ["debootstrap", "--variant=minbase", `--include=${PACKAGES}`, suite, partial, ...where],
    { environment, remedy },
  );
  // Devices and foreign owners cannot be copied where the builder has no right to make them.
  for (const directory of EMPTIED) {
    for (const name of readdirSync(join(partial, directory)))
      rmSync(join(partial, directory, name), { recursive: true });
  }
  await runBuildProgram(["chown", "-R", "-h", "0:0", partial], { environment, remedy });
  chmodSync(partial, 0o755);
  renameSync(partial, root);
  return root;
}

/** null: debootstrap's own default. */
async function mirrorOfThisMachine(environment: Environment): Promise<string | null> {
  if (!hasProgram("apt-get", environment)) return null;
  const text = await runBuildProgram(
    ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
    { environment, remedy: "Name a mirror of Debian with --mirror." },
  );
  const mirrors = text.split("\n").filter((line) => /^https?:/.test(line));
  return mirrors.find((line) => !line.includes("security")) ?? null;
}
