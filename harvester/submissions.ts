/** Submissions on disk: one 0700 directory each, so that a harvester that starts again knows them all. */
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { BootFile } from "../protocol/harvester-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";

const SubmissionFile = z.strictObject({
  submissionId: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  queue: z.string(),
  batchId: z.string().nullable(),
});
export type SubmissionFile = z.infer<typeof SubmissionFile>;

/** Directories of ended submissions that are kept, so that an operator can read what their pilots said. */
const ENDED_KEPT = 20;

export interface Submissions {
  directoryOf(submissionId: string): string;
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

export function openSubmissions(directory: string, caFingerprint: string | null): Submissions {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const directoryOf = (submissionId: string): string => join(directory, submissionId);
  const fileOf = (submissionId: string): string =>
    join(directoryOf(submissionId), "submission.json");
  const write = (one: SubmissionFile): void => {
    writeFileSync(fileOf(one.submissionId), JSON.stringify(one), { mode: 0o600, flush: true });
  };
  const known = new Map<string, SubmissionFile>();
  for (const name of readdirSync(directory)) {
    const file = fileOf(name);
    if (!existsSync(file)) continue;
    known.set(name, SubmissionFile.parse(JSON.parse(readFileSync(file, "utf8"))));
  }
  const ended: string[] = [];
  return {
    directoryOf,
    active: () => [...known.values()],
    prepare({ server, secret, queue, submissionId }) {
      const one: SubmissionFile = { submissionId, queue: queue.name, batchId: null };
      mkdirSync(directoryOf(submissionId), { recursive: true, mode: 0o700 });
      const bootFile = join(directoryOf(submissionId), "boot.json");
      const boot = BootFile.parse({ server, caFingerprint, secret, queue, submissionId });
      writeFileSync(bootFile, JSON.stringify(boot), { mode: 0o600 });
      write(one);
      known.set(submissionId, one);
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
      rmSync(join(directoryOf(submissionId), "boot.json"), { force: true });
      rmSync(fileOf(submissionId), { force: true });
      ended.push(submissionId);
      for (const old of ended.splice(0, Math.max(0, ended.length - ENDED_KEPT))) {
        rmSync(directoryOf(old), { recursive: true, force: true });
      }
    },
  };
}
