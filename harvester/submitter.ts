/** Makes submissions, and remembers why a call failed whose job may exist all the same. */
import type { Clock } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import type { BatchDriver } from "./driver.ts";
import { noteSubmitFailed, noteSubmitted } from "./planner.ts";
import type { QueueState } from "./queue-state.ts";
import type { Submissions } from "./submissions.ts";
import { wordsOf } from "./words.ts";

export interface Submitter {
  /** Uses up the secret of this submission; does nothing when there is none. Never rejects. */
  submit(queue: QueueState, submissionId: string): Promise<void>;
  /** Why its submit call failed, or null. */
  errorOf(submissionId: string): string | null;
  forget(submissionId: string): void;
}

export interface SubmitterDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly submissions: Pick<Submissions, "prepare" | "directoryOf" | "noteBatchId">;
  readonly driver: Pick<BatchDriver, "submit">;
  /** Base address of the server, for boot files. */
  readonly server: string;
}

export function createSubmitter(deps: SubmitterDeps): Submitter {
  const { clock, log, submissions, driver, server } = deps;
  const errors = new Map<string, string>();
  return {
    errorOf: (submissionId) => errors.get(submissionId) ?? null,
    forget: (submissionId) => void errors.delete(submissionId),
    async submit(queue, submissionId) {
      const { config, secrets, health } = queue;
      const secret = secrets.get(submissionId);
      if (secret === undefined) return;
      try {
        const bootFile = submissions.prepare({ server, secret, queue: config, submissionId });
        secrets.delete(submissionId);
        const directory = submissions.directoryOf(submissionId);
        const request = { queue: config, submissionId, directory, bootFile };
        const { batchId } = await driver.submit(request);
        submissions.noteBatchId(submissionId, batchId);
        noteSubmitted(health);
        log.info("submitted", { submissionId, batchId, queue: config.name });
      } catch (error) {
        const why = wordsOf(error);
        errors.set(submissionId, why);
        noteSubmitFailed(health, why, clock.monotonicMs());
        log.error("submitFailed", { submissionId, queue: config.name, why });
      }
    },
  };
}
