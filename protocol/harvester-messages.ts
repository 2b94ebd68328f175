/** Messages between server and harvester: two closed unions. Add messages, never change one. */
import { z } from "zod";
import { HARVESTER, PILOT } from "./limits.ts";
import { QueueConfig } from "./queue.ts";

const counter = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
/** Names a directory of the harvester too. */
const submissionId = z.string().regex(/^[A-Za-z0-9_-]{1,64}$/);
const text = z.string().max(PILOT.messageBytesMax);

/**
 * What the batch system says of one submission. `planned` is known to the harvester only (a secret was drawn, the call not made
 * or not answered); `unknown` is a failed look-up, never an end.
 */
export const SUBMISSION_STATES = ["planned", "queued", "running", "unknown", "ended"] as const;
export type SubmissionState = (typeof SUBMISSION_STATES)[number];

export const SubmissionReport = z.object({
  submissionId,
  state: z.enum(SUBMISSION_STATES),
  /** Id in the batch system (a process id for `local`); null before it is known. */
  batchId: z.string().max(255).nullable(),
  /** The batch system's own words: reason of waiting, exit code. */
  detail: text,
});
export type SubmissionReport = z.infer<typeof SubmissionReport>;

/** How `lastError` begins while the harvester has paused submitting to the queue. */
export const PAUSED_PREFIX = "paused: ";

export const FromHarvester = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.object({ min: counter, max: counter }),
    harvester: z.string().min(1).max(63),
    /** Sites whose queues this harvester serves; empty: all. */
    sites: z.array(z.string().max(63)).max(100),
  }),
  /** State of every submission of one queue, and how many boot secrets the harvester needs for new ones. */
  z.object({
    type: z.literal("report"),
    queue: z.string().max(63),
    submissions: z.array(SubmissionReport).max(HARVESTER.submissionsPerReportMax),
    secretsNeeded: z.number().int().nonnegative().max(HARVESTER.submissionsPerReportMax),
    /** The last failed call of the batch system, for operators; null when the last one worked. */
    lastError: text.nullable(),
  }),
  /**
   * The batch system says that the submission has ended: its boot secret and its pilot's leases end too. Told again until it is
   * answered by `endNoted`.
   */
  z.object({ type: z.literal("ended"), queue: z.string().max(63), submissionId, detail: text }),
]);
export type FromHarvester = z.infer<typeof FromHarvester>;

export const ToHarvester = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("welcome"),
    protocol: counter,
    queues: z.array(QueueConfig).max(10_000),
  }),
  /** Pilots that should exist in a queue now, connected ones included; sent when the number or the queue changes. */
  z.object({
    type: z.literal("wanted"),
    queue: QueueConfig,
    pilots: z.number().int().nonnegative(),
    /** Submissions of this queue whose pilot has connected at least once. */
    connected: z.array(submissionId).max(HARVESTER.pilotsPerQueueMax).default([]),
  }),
  z.object({
    type: z.literal("bootSecrets"),
    queue: z.string().max(63),
    secrets: z
      .array(z.object({ submissionId, secret: z.string().max(128) }))
      .max(HARVESTER.submissionsPerReportMax),
  }),
  /** Remove the submission from the batch system. */
  z.object({ type: z.literal("remove"), queue: z.string().max(63), submissionId, reason: text }),
  /** The end of the submission is durable: the harvester may forget it. */
  z.object({ type: z.literal("endNoted"), submissionId }),
]);
export type ToHarvester = z.infer<typeof ToHarvester>;

export const FromHarvesterFrame = z.array(FromHarvester).min(1).max(256);
export const ToHarvesterFrame = z.array(ToHarvester).min(1).max(256);

/** Content of the 0600 file from which a pilot starts. */
export const BootFile = z.object({
  /** https:// or http:// (loopback only) base address of the server. */
  server: z.url().max(2048),
  /** sha256 fingerprint of the CA that the server's certificate must come from; null on loopback. */
  caFingerprint: z.string().max(128).nullable().default(null),
  secret: z.string().max(128),
  queue: QueueConfig,
  submissionId,
});
export type BootFile = z.infer<typeof BootFile>;
