/** Submissions on disk: one 0700 directory each, so that a harvester that starts again knows them all. */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join, resolve } from "node:path";
import { z } from "zod";
import { Batch } from "../protocol/batch.ts";
import { BootFile } from "../protocol/harvester-messages.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { jobOutput } from "./job-output.ts";

const SubmissionFile = z.strictObject({
  submissionId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  queue: z.string(),
  /** The batch system that it went to: the queue may be another one by now. */
  batch: Batch.default({ kind: "local" }),
  batchId: z.string().nullable(),
});
export type SubmissionFile = z.infer<typeof SubmissionFile>;

/** Name of the file in a submission's directory from which its pilot starts. */
export const BOOT_FILE = "boot.json";

/** Directories of ended submissions that are kept, so that an operator can read what their pilots said. */
const ENDED_KEPT = 20;

export interface Submissions {
  directoryOf(submissionId: string): string;
  /** Batch system of a submission; that of an unknown one is this machine. */
  batchOf(submissionId: string): Batch;
  /** End of what its job printed, without secrets; null when nothing is there, or not any more. */
  outputOf(submissionId: string, bytesMax: number): string | null;
  /** Those not known to have ended. */
  active(): readonly SubmissionFile[];
  /** Writes the boot file and notes the submission before the batch system is called. Returns the boot file's path. */
  prepare(boot: {
    readonly server: string;
    readonly secret: string;
    readonly queue: QueueConfig;
    readonly submissionId: string;
  }): string;
  noteBatchId(submissionId: string, batchId: string): void;
  /** The submission has ended: its secret is removed. */
  end(submissionId: string): void;
}

/** Errors: E_FILE when the note of a submission cannot be read: its pilot must not be taken for ended. */
export function openSubmissions(directory: string, caFingerprint: string | null): Submissions {
  // Absolute, for pilots have another current directory.
  const root = resolve(directory);
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const directoryOf = (submissionId: string): string => join(root, submissionId);
  const fileOf = (submissionId: string): string =>
    join(directoryOf(submissionId), "submission.json");
  const write = (one: SubmissionFile): void => {
    const file = fileOf(one.submissionId);
    writeFileSync(`${file}.new`, JSON.stringify(one), { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  };
  const known = new Map<string, SubmissionFile>();
  const ended: string[] = [];
  for (const name of oldestFirst(root)) {
    if (existsSync(fileOf(name))) known.set(name, readSubmission(fileOf(name)));
    else ended.push(name);
  }
  const forgetOldest = (): void => {
    for (const old of ended.splice(0, Math.max(0, ended.length - ENDED_KEPT))) {
      rmSync(directoryOf(old), { recursive: true, force: true });
    }
  };
  forgetOldest();
  return {
    directoryOf,
    batchOf: (submissionId) => known.get(submissionId)?.batch ?? { kind: "local" },
    outputOf: (submissionId, bytesMax) => jobOutput(directoryOf(submissionId), bytesMax),
    active: () => [...known.values()],
    prepare({ server, secret, queue, submissionId }) {
      const one: SubmissionFile = {
        submissionId,
        queue: queue.name,
        batch: queue.batch,
        batchId: null,
      };
      mkdirSync(directoryOf(submissionId), { recursive: true, mode: 0o700 });
      const bootFile = join(directoryOf(submissionId), BOOT_FILE);
      const boot = BootFile.parse({ server, caFingerprint, secret, queue, submissionId });
      // Noted before its secret is written: a harvester that ends in between reports it as ended, which voids the secret.
      write(one);
      known.set(submissionId, one);
      writeFileSync(bootFile, JSON.stringify(boot), { mode: 0o600 });
      return bootFile;
    },
    noteBatchId(submissionId, batchId) {
      const one = known.get(submissionId);
      if (one === undefined) return;
      const updated = { ...one, batchId };
      known.set(submissionId, updated);
      write(updated);
    },
    end(submissionId) {
      known.delete(submissionId);
      rmSync(join(directoryOf(submissionId), BOOT_FILE), { force: true });
      rmSync(fileOf(submissionId), { force: true });
      ended.push(submissionId);
      forgetOldest();
    },
  };
}

function oldestFirst(root: string): string[] {
  return readdirSync(root)
    .map((name) => ({ name, changedMs: statSync(join(root, name)).mtimeMs }))
    .sort((a, b) => a.changedMs - b.changedMs)
    .map(({ name }) => name);
}

function readSubmission(file: string): SubmissionFile {
  try {
    return SubmissionFile.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `${file} cannot be read.`,
        why: errorText(error),
        remedy: "End the pilot of this submission if it still runs, then remove its directory.",
      },
      error,
    );
  }
}
