/** Fetches the checkpoint that an evaluation goes on from, and puts it into its work directory. */
import { cpSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type ArchiveBounds } from "../common/archive-check.ts";
import { extractArchive, listArchive, sha256OfFile } from "../common/archive.ts";
import type { Clock } from "../common/clock.ts";
import { type ErrorCode, HyperpilotError } from "../protocol/errors.ts";
import { PILOT, TASK } from "../protocol/limits.ts";
import type { BlobRef, GrantedItem } from "../protocol/pilot-messages.ts";
import { cleanMessage } from "./clean-message.ts";
import type { ServerApi } from "./server-api.ts";
import { tryAgain } from "./try-again.ts";

const BOUNDS: ArchiveBounds = {
  filesMax: PILOT.checkpointEntriesMax,
  bytesMax: TASK.checkpointBytesMax,
  depthMax: PILOT.checkpointDepthMax,
};

export interface FetchOptions {
  readonly api: Pick<ServerApi, "getCheckpoint">;
  readonly clock: Clock;
  readonly random: () => number;
  /** For the tarball; made here, removed by the caller. */
  readonly directory: string;
  readonly signal: AbortSignal;
}

export interface Fetched {
  /** The verified tarball; null: the evaluation begins anew. */
  readonly checkpoint: { readonly file: string; readonly sha256: string } | null;
  /** Why a better one was not taken, as sentences. */
  readonly warnings: readonly string[];
}

/** What is wrong with the checkpoint, not with the way to it. */
const OF_THE_CHECKPOINT: ReadonlySet<ErrorCode> = new Set([
  "E_CHECKSUM",
  "E_NOT_FOUND",
  "E_TOO_LARGE",
  "E_FILE",
] as const);

/**
 * The first of the granted checkpoints that is whole. Tries again while the server cannot be reached. Errors: E_UNREACHABLE,
 * E_STALE and the like, which are about the lease or the way to the server.
 */
export async function fetchCheckpoint(item: GrantedItem, options: FetchOptions): Promise<Fetched> {
  const warnings: string[] = [];
  for (const blob of item.checkpoints ?? []) {
    try {
      const file = await fetchOne(item.token, blob, options);
      return { checkpoint: { file, sha256: blob.sha256 }, warnings };
    } catch (error) {
      if (!(error instanceof HyperpilotError) || !OF_THE_CHECKPOINT.has(error.code)) throw error;
      const why = error.why === undefined ? error.message : `${error.message} ${error.why}`;
      warnings.push(cleanMessage(`a checkpoint could not be used: ${why}`, PILOT.warningBytesMax));
    }
  }
  if (warnings.length > 0) warnings.push("the evaluation began anew, without a checkpoint");
  return { checkpoint: null, warnings };
}

async function fetchOne(
  token: string,
  { sha256 }: BlobRef,
  options: FetchOptions,
): Promise<string> {
  const { api, clock, random, directory, signal } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, sha256);
  await tryAgain({ clock, random, timeoutMs: PILOT.stageTimeoutMs, signal }, () =>
    api.getCheckpoint(sha256, { token, file, signal }),
  );
  const found = await sha256OfFile(file);
  if (found !== sha256)
    throw new HyperpilotError({
      code: "E_CHECKSUM",
      message: `The checkpoint ${sha256.slice(0, 12)}... arrived damaged.`,
      why: `Its sha256 is ${found}.`,
    });
  await listArchive(file, BOUNDS);
  return file;
}

/**
 * Extracts a checkpoint over the task's files: what it holds replaces what is there. It is checked and extracted aside, and
 * moved when it is complete. Errors: E_FILE.
 */
export async function restoreInto(work: string, tarball: string): Promise<void> {
  const aside = `${work}.restored`;
  await extractArchive(tarball, aside, BOUNDS);
  moveOver(aside, work);
  await rm(aside, { recursive: true, force: true });
}

function moveOver(source: string, target: string): void {
  for (const entry of readdirSync(source, { withFileTypes: true })) {
    const from = join(source, entry.name);
    const to = join(target, entry.name);
    const there = lstatSync(to, { throwIfNoEntry: false });
    if (entry.isDirectory() && there?.isDirectory() === true) {
      moveOver(from, to);
      continue;
    }
    rmSync(to, { recursive: true, force: true });
    renameSync(from, to);
  }
}

/** Leaves the tarball in the work directory under the name that the task wants. */
export function placeTarball(path: string, tarball: string): void {
  rmSync(path, { recursive: true, force: true });
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  cpSync(tarball, path);
}
