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
  /** End of what a job printed that runs and whose pilot has not connected; "" for all others. */
  output: text.default(""),
});
export type SubmissionReport = z.infer<typeof SubmissionReport>;

/** How a queue fares at its harvester. */
export const QueueHealthReport = z.object({
  /** Failed submits in a row. */
  submitFailures: counter.default(0),
  /** Pilots in a row that ended without ever connecting. */
  neverConnected: counter.default(0),
  /** Seconds until a paused queue tries again; null: it is not paused. */
  probeInSeconds: z.number().nonnegative().nullable().default(null),
  /** What the batch system said when it was asked about jobs and failed; null: it answers. */
  statusError: text.nullable().default(null),
});
export type QueueHealthReport = z.infer<typeof QueueHealthReport>;

export const FromHarvester = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("hello"),
    protocol: z.object({ min: counter, max: counter }),
    harvester: z.string().min(1).max(63),
    /** Sites whose queues this harvester serves; empty: all. */
    sites: z.array(z.string().max(63)).max(100),
    /** Made once with the harvester's directory: the same after a restart, another one in a copy. */
    id: z.string().max(64).default(""),
    /** Made anew by each process. */
    instance: z.string().max(64).default(""),
    version: z.string().max(32).default(""),
    host: z.string().max(255).default(""),
  }),
  /**
   * Follows hello: the submissions that this harvester has, and those for which it holds unused secrets. Of the others that it
   * was given secrets for, those that no pilot ever used are void once the last such message is there.
   */
  z.object({
    type: z.literal("holds"),
    submissionIds: z.array(submissionId).max(HARVESTER.idsPerMessageMax),
    more: z.boolean(),
  }),
  /** State of every submission of one queue, and how many boot secrets the harvester needs for new ones. */
  z.object({
    type: z.literal("report"),
    queue: z.string().max(63),
    submissions: z.array(SubmissionReport).max(HARVESTER.submissionsPerReportMax),
    secretsNeeded: z.number().int().nonnegative().max(HARVESTER.submissionsPerReportMax),
    /** The last failed call of the batch system, for operators; null when the last one worked. */
    lastError: text.nullable(),
    /** All submissions by state: `submissions` names only the first ones, those without a pilot before the others. */
    totals: z.partialRecord(z.enum(SUBMISSION_STATES), counter).default({}),
    health: QueueHealthReport.default(QueueHealthReport.parse({})),
  }),
  /**
   * The batch system says that the submission has ended: its boot secret and its pilot's leases end too. Told again until it is
   * answered by `endNoted`.
   */
  z.object({
    type: z.literal("ended"),
    queue: z.string().max(63),
    submissionId,
    detail: text,
    /** Whether its pilot had connected. */
    connected: z.boolean().default(true),
    /** Whether the batch system had taken it. */
    taken: z.boolean().default(true),
    /** End of what the job printed when its pilot never connected, without secrets; "" otherwise. */
    output: text.default(""),
  }),
  /** Answers `fetchOutput`. */
  z.object({
    type: z.literal("output"),
    submissionId,
    requestId: counter,
    /** null: there is none, `detail` says why. */
    output: z.string().max(HARVESTER.fetchedOutputBytesMax).nullable(),
    detail: text.default(""),
  }),
]);
export type FromHarvester = z.infer<typeof FromHarvester>;
/** As senders write them: what has a default may be left out. */
export type FromHarvesterInput = z.input<typeof FromHarvester>;

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
    /** The harvester that serves the queue instead; this one submits nothing and only tells how its own submissions end. */
    servedBy: z.string().max(255).nullable().default(null),
  }),
  /** A pilot of this submission has come for the first time; `wanted` lists it from then on. */
  z.object({ type: z.literal("connected"), queue: z.string().max(63), submissionId }),
  /** Submit this one pilot now, whatever is wanted and whether the queue is paused: an operator tries the queue. */
  z.object({
    type: z.literal("test"),
    queue: QueueConfig,
    submissionId,
    secret: z.string().max(128),
  }),
  /** Send what the job of this submission has printed. */
  z.object({ type: z.literal("fetchOutput"), submissionId, requestId: counter }),
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
