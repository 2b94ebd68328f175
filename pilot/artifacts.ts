/** Metadata and metrics that an evaluation has left, taken out of its work directory before that is removed. */
import { closeSync, constants, fstatSync, writeFileSync } from "node:fs";
import { copyFile, mkdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { packTree, sha256OfFile } from "../common/archive.ts";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { parseJsonText } from "../protocol/json-text.ts";
import { PILOT, TASK } from "../protocol/limits.ts";
import type { BlobRef } from "../protocol/pilot-messages.ts";
import { formatBytes } from "../protocol/resources.ts";
import type { Evaluation } from "../protocol/task.ts";
import { openBelow } from "./below.ts";
import { EVERYTHING } from "./checkpoint-names.ts";
import { cleanMessage } from "./clean-message.ts";
import { readTextFile } from "./results.ts";
import { copySurveyed, survey } from "./snapshot.ts";
import { pathWithin } from "./workdir.ts";

/** A file of ours, ready to be uploaded; its directory is removed by whoever has asked for it. */
export interface LeftFile {
  readonly file: string;
  readonly blob: BlobRef;
}

export interface Artifacts {
  readonly metadata: LeftFile | null;
  readonly metrics: LeftFile | null;
  /** Why something that the task asked for is not there, as sentences. */
  readonly warnings: readonly string[];
}

export interface CollectOptions {
  /** Takes the files; made when something is taken. */
  readonly directory: string;
  /** The evaluation came to its end; else it may not have come to writing them. */
  readonly isComplete: boolean;
}

export const NO_ARTIFACTS: Artifacts = { metadata: null, metrics: null, warnings: [] };

/**
 * Takes what the task names. What is missing, too large or not what it should be is left out with a warning: it never costs
 * the result. All processes of the payload must be gone.
 */
export async function collectArtifacts(
  work: string,
  { metadata, metrics }: Pick<Evaluation, "metadata" | "metrics">,
  { directory, isComplete }: CollectOptions,
): Promise<Artifacts> {
  if (metadata === null && metrics === null) return NO_ARTIFACTS;
  const warnings: string[] = [];
  const attempt = async (
    name: string | null,
    take: (name: string) => Promise<LeftFile>,
  ): Promise<LeftFile | null> => {
    if (name === null) return null;
    try {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      return await take(name);
    } catch (error) {
      if (isComplete || !isMissing(error))
        warnings.push(cleanMessage(`${name} ${problemOf(error)}`, PILOT.warningBytesMax));
      return null;
    }
  };
  return {
    metadata: await attempt(metadata, (name) => takeMetadata(work, name, directory)),
    metrics: await attempt(metrics, (name) => takeMetrics(work, name, directory)),
    warnings,
  };
}

function isMissing(error: unknown): boolean {
  const code = systemErrorCode(error);
  return code === "ENOENT" || code === "ENOTDIR" || (error instanceof Unfit && error.isMissing);
}

/** What is wrong with a file, as the rest of a sentence that begins with its name. */
class Unfit extends Error {
  readonly isMissing: boolean;

  constructor(message: string, isMissing = false) {
    super(message);
    this.isMissing = isMissing;
  }
}

function problemOf(error: unknown): string {
  if (error instanceof Unfit) return error.message;
  switch (systemErrorCode(error)) {
    case "ENOENT":
    case "ENOTDIR":
      return "was not written";
    case "ELOOP":
      return "is a symbolic link, or lies in one: links are not followed";
    case "ENXIO":
      return "is a socket or device, not a file";
    case "ENOSPC":
    case "EDQUOT":
      return "could not be copied: the node's scratch directory is full";
    default: {
      const why =
        error instanceof HyperpilotError ? (error.why ?? error.message) : errorText(error);
      return `could not be kept: ${why}`;
    }
  }
}

/** A JSON object, byte for byte. */
async function takeMetadata(work: string, name: string, directory: string): Promise<LeftFile> {
  const found = readTextFile(work, name, TASK.metadataBytesMax);
  if ("problem" in found) throw new Unfit(found.problem, found.isMissing);
  let type: string;
  try {
    ({ type } = parseJsonText(found.text, { name, bytesMax: TASK.metadataBytesMax }));
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    throw new Unfit(`is not kept as metadata, as it is not JSON: ${error.message}`);
  }
  if (type !== "object") throw new Unfit("is not kept as metadata, as it is not a JSON object");
  const file = join(directory, "metadata.json");
  writeFileSync(file, found.text, { mode: 0o600 });
  return leftFile(file);
}

/** A file as it is, usually a tarball; a directory is packed. */
async function takeMetrics(work: string, name: string, directory: string): Promise<LeftFile> {
  const parts = pathWithin("/", name).split("/").slice(1);
  const target = join(directory, "metrics");
  const source = openBelow(work, parts);
  try {
    const entry = fstatSync(source);
    if (entry.isDirectory()) return await packMetrics(join(work, ...parts), target);
    if (!entry.isFile()) throw new Unfit("is neither a file nor a directory");
    if (entry.size > TASK.metricsBytesMax) throw tooLarge(entry.size);
    await copyFile(`/proc/self/fd/${source}`, target, constants.COPYFILE_FICLONE);
  } finally {
    closeSync(source);
  }
  return leftFile(target);
}

async function packMetrics(source: string, target: string): Promise<LeftFile> {
  const bounds = { entriesMax: PILOT.checkpointEntriesMax, depthMax: PILOT.checkpointDepthMax };
  const seen = await survey(source, EVERYTHING, bounds);
  if (seen.unfit !== null) throw new Unfit(`is not kept as metrics: ${seen.unfit}`);
  if (seen.sumBytes > TASK.metricsBytesMax) throw tooLarge(seen.sumBytes);
  const copy = `${target}.copy`;
  try {
    if (!(await copySurveyed(source, seen, copy))) throw new Unfit("changed while it was copied");
    await packTree(copy, target);
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
  return leftFile(target);
}

async function leftFile(file: string): Promise<LeftFile> {
  const { size } = await stat(file);
  return { file, blob: { sha256: await sha256OfFile(file), sizeBytes: size } };
}

function tooLarge(bytes: number): Unfit {
  return new Unfit(
    `has ${bytes} bytes (${formatBytes(bytes)}) and is not kept as metrics: at most ${TASK.metricsBytesMax} bytes are taken`,
  );
}
