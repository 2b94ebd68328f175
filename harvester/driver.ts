/** The BatchDriver port: four methods over a batch system. */
import type { QueueConfig } from "../protocol/queue.ts";

export interface SubmitRequest {
  readonly queue: QueueConfig;
  /** Made before the call, carried by the job as its tag, so that a job whose answer was lost is found again. */
  readonly submissionId: string;
  /** 0700 directory of this submission; holds the boot file and the job's output. */
  readonly directory: string;
  /** The 0600 boot file; its content must never reach argv, environment or the batch script. */
  readonly bootFile: string;
}

/** What the batch system says of one job. `unknown` is no answer for this job, `commandFailed` no answer at all: neither is an end. */
export type BatchTruth =
  | { readonly type: "active"; readonly phase: "queued" | "running"; readonly detail: string }
  | { readonly type: "ended"; readonly detail: string }
  | { readonly type: "unknown"; readonly detail: string }
  | { readonly type: "commandFailed"; readonly detail: string };

export interface DriverCapabilities {
  /** Whether a job may start again under the same id. */
  readonly restartsJobs: boolean;
  /** Jobs that one status call may ask for. */
  readonly statusChunk: number;
}

export interface BatchDriver {
  /**
   * Submits one job. When it rejects, the job may exist all the same: `statusOf` by its tag tells.
   * Errors: HyperpilotError with the batch system's own words in `why`.
   */
  submit(request: SubmitRequest): Promise<{ readonly batchId: string }>;
  /** Truth of many submissions, by tag. Every id asked for is in the answer. Never rejects. */
  statusOf(submissionIds: readonly string[]): Promise<ReadonlyMap<string, BatchTruth>>;
  /** Ends the job; resolves also when it is gone already. */
  remove(submissionId: string): Promise<void>;
  capabilities(): DriverCapabilities;
  /** Brings what the job printed into `directory`, for systems whose jobs do not write there. */
  fetchOutput?(submissionId: string, directory: string): Promise<void>;
}
