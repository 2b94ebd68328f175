/** Copies chosen files of a work directory while its payload may change it: regular files and directories only, links never followed. */
import { closeSync, constants, fstatSync } from "node:fs";
import { copyFile, lstat, mkdir, opendir } from "node:fs/promises";
import { join } from "node:path";
import { systemErrorCode } from "../protocol/errors.ts";
import { inOpenDirectory, openBelow, withDirectory } from "./below.ts";
import type { CheckpointNames } from "./checkpoint-names.ts";

export interface SurveyBounds {
  readonly entriesMax: number;
  readonly depthMax: number;
}

export interface SurveyedFile {
  readonly parts: readonly string[];
  readonly sizeBytes: number;
}

/** What is there to be copied, as it was seen in one walk. */
export interface Survey {
  readonly files: readonly SurveyedFile[];
  readonly directories: readonly (readonly string[])[];
  readonly sumBytes: number;
  /** Equal for surveys between which nothing has changed: names, sizes, times, places on disk. */
  readonly signature: string;
  /** Selected names that are neither files nor directories. */
  readonly left: readonly string[];
  /** Why not everything was seen, as part of a sentence; null: it was. */
  readonly unfit: string | null;
}

/** Walks through what is selected. What comes and goes meanwhile is seen or not; the signature tells. Errors: those of the disk. */
export async function survey(
  root: string,
  names: CheckpointNames,
  bounds: SurveyBounds,
): Promise<Survey> {
  const walk = new Walk(root, names, bounds);
  await walk.directory([]);
  return walk.result();
}

class Walk {
  readonly #root: string;
  readonly #names: CheckpointNames;
  readonly #bounds: SurveyBounds;
  readonly #files: SurveyedFile[] = [];
  readonly #directories: (readonly string[])[] = [];
  readonly #signs: string[] = [];
  readonly #left: string[] = [];
  #seen = 0;
  #unfit: string | null = null;

  constructor(root: string, names: CheckpointNames, bounds: SurveyBounds) {
    this.#root = root;
    this.#names = names;
    this.#bounds = bounds;
  }

  result(): Survey {
    return {
      files: this.#files,
      directories: this.#directories,
      sumBytes: this.#files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      signature: this.#signs.sort().join("\n"),
      left: this.#left,
      unfit: this.#unfit,
    };
  }

  async directory(parts: readonly string[]): Promise<void> {
    if (parts.length > this.#bounds.depthMax) {
      this.#unfit = `it is deeper than ${this.#bounds.depthMax} directories`;
      return;
    }
    const inside: string[] = [];
    await unlessGone(() =>
      withDirectory(this.#root, parts, async (directory) => {
        for await (const { name } of await opendir(`/proc/self/fd/${directory}`)) {
          const path = [...parts, name];
          const selection = this.#names.selects(path);
          if (selection === "no" || !this.#isWithinBounds()) continue;
          await unlessGone(() => this.#entry(directory, path, { selection, inside }));
        }
      }),
    );
    for (const name of inside) if (this.#unfit === null) await this.directory([...parts, name]);
  }

  #isWithinBounds(): boolean {
    this.#seen += 1;
    if (this.#seen <= this.#bounds.entriesMax) return true;
    this.#unfit = `it has more than ${this.#bounds.entriesMax} files and directories`;
    return false;
  }

  async #entry(
    directory: number,
    parts: readonly string[],
    { selection, inside }: { readonly selection: "whole" | "above"; readonly inside: string[] },
  ): Promise<void> {
    const name = parts.at(-1) ?? "";
    const stats = await lstat(inOpenDirectory(directory, name), { bigint: true });
    if (stats.isDirectory()) {
      inside.push(name);
      if (selection === "above") return;
      this.#directories.push(parts);
      this.#signs.push(`${parts.join("/")}/`);
      return;
    }
    if (selection === "above") return;
    if (!stats.isFile()) {
      this.#left.push(parts.join("/"));
      return;
    }
    this.#files.push({ parts, sizeBytes: Number(stats.size) });
    const { size, mtimeNs, ctimeNs, ino } = stats;
    this.#signs.push(`${parts.join("/")} ${size} ${mtimeNs} ${ctimeNs} ${ino}`);
  }
}

/**
 * Copies what was surveyed into a directory that does not exist yet. false: a file was not as it was surveyed. Contents are
 * copied outside of the pilot's main thread, and shared instead where the file system can do that.
 */
export async function copySurveyed(
  root: string,
  { files, directories }: Survey,
  target: string,
): Promise<boolean> {
  await mkdir(target, { mode: 0o700 });
  for (const parts of directories)
    await mkdir(join(target, ...parts), { recursive: true, mode: 0o700 });
  for (const { parts, sizeBytes } of files) {
    await mkdir(join(target, ...parts.slice(0, -1)), { recursive: true, mode: 0o700 });
    const isSame = await unlessGone(() =>
      copyOpened(openBelow(root, parts), sizeBytes, join(target, ...parts)),
    );
    if (isSame !== true) return false;
  }
  return true;
}

async function copyOpened(file: number, sizeBytes: number, target: string): Promise<boolean> {
  try {
    const stats = fstatSync(file);
    if (!stats.isFile() || stats.size !== sizeBytes) return false;
    await copyFile(`/proc/self/fd/${file}`, target, constants.COPYFILE_FICLONE);
    return fstatSync(file).size === sizeBytes;
  } finally {
    closeSync(file);
  }
}

/** undefined when the payload has removed or replaced what was to be looked at. */
async function unlessGone<T>(look: () => Promise<T>): Promise<T | undefined> {
  try {
    return await look();
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ELOOP" || code === "ENXIO")
      return undefined;
    throw error;
  }
}
