/** Messages between server and pilot: two closed unions. Add messages, never change one. */
import { z } from "zod";
import { PILOT, SERVER, TASK, WIRE } from "./limits.ts";
import { Capacity, SlotResources } from "./resources.ts";
import { TaskSpecification } from "./task.ts";

const counter = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const taskId = counter;
const pointId = z.string().min(1).max(16);
const slotNumber = z
  .number()
  .int()
  .nonnegative()
  .max(PILOT.slotsMax - 1);
const text = z.string().max(PILOT.messageBytesMax);
const warning = z.string().max(PILOT.warningBytesMax);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** A file that the server keeps under its checksum. */
export const BlobRef = z.object({ sha256, sizeBytes: counter });
export type BlobRef = z.infer<typeof BlobRef>;

export const EpochSchema = z.tuple([counter, counter]).readonly();

export const ItemSchema = z.discriminatedUnion("type", [
  z.object({ type: z.literal("evaluation"), taskId, pointId }),
  z.object({ type: z.literal("steering"), taskId, run: counter }),
]);

/** An item with the epoch of the lease under which the pilot holds it. */
const lease = { item: ItemSchema, epoch: EpochSchema };
const HeldLease = z.object({ ...lease, slot: slotNumber });
export type HeldLease = z.infer<typeof HeldLease>;

/** Why an evaluation was cut short without fault of the payload; uses no attempt. */
export const INTERRUPTION_REASONS = [
  "eviction",
  "drain",
  "imagePull",
  "diskFull",
  "runtime",
  "pilotStop",
] as const;
export type InterruptionReason = (typeof INTERRUPTION_REASONS)[number];

/** What is wrong with an image; `unfit`: a path that is not there, or a form that is not run there. */
export const IMAGE_CAUSES = ["notFound", "denied", "unfit"] as const;
export type ImageCause = (typeof IMAGE_CAUSES)[number];

/** How one evaluation ended. */
export const Outcome = z.discriminatedUnion("type", [
  /** `exitCode` other than 0 is shown as a warning: a valid output.json counts. */
  z.object({
    type: z.literal("loss"),
    loss: z.number(),
    exitCode: z.number().int(),
    message: text,
  }),
  /** NaN or an infinity in output.json: final, no retry. `value` is its text. */
  z.object({
    type: z.literal("diverged"),
    value: z.string().max(32),
    exitCode: z.number().int(),
    message: text,
  }),
  /** `code` is an ErrorCode: E_PAYLOAD, E_BAD_OUTPUT, E_MEMORY. `signal` names the signal that ended the payload. */
  z.object({
    type: z.literal("failed"),
    code: z.string().max(64),
    exitCode: z.number().int(),
    signal: z.string().max(16).nullable(),
    message: text,
  }),
  z.object({ type: z.literal("timeout"), afterSeconds: z.number().nonnegative(), message: text }),
  z.object({
    type: z.literal("interrupted"),
    reason: z.enum(INTERRUPTION_REASONS),
    message: text,
    /** With `imagePull`, when the task names an image that cannot be had anywhere. */
    imageCause: z.enum(IMAGE_CAUSES).optional(),
  }),
]);
export type Outcome = z.infer<typeof Outcome>;

export const Hello = z.object({
  type: z.literal("hello"),
  protocol: z.object({ min: counter, max: counter }),
  /** Made anew by each pilot process. */
  instance: z.string().min(8).max(64),
  capacity: Capacity,
  slots: z.array(SlotResources).min(1).max(PILOT.slotsMax),
  leases: z.array(HeldLease).max(PILOT.slotsMax * 2),
});

export const FromPilot = z.discriminatedUnion("type", [
  Hello,
  /** Sent every 25 s; `grantSeen` is the highest grant number of this session that arrived. */
  z.object({
    type: z.literal("beat"),
    grantSeen: counter,
    leases: z.array(HeldLease).max(PILOT.slotsMax * 2),
    /** What users should know of running evaluations. All of it with each beat: what is missing holds no more. */
    warnings: z
      .array(z.object({ ...lease, text: warning }))
      .max(PILOT.slotsMax)
      .optional(),
  }),
  /** A slot asks for `want` items. `requestNo` grows per slot; the same number gets the same grants. */
  z.object({
    type: z.literal("request"),
    slot: slotNumber,
    requestNo: counter,
    want: z.number().int().min(1).max(16),
  }),
  /**
   * The end of one evaluation. `seq` grows per lease and is acknowledged by `accepted` or `stale`. `next` asks for the slot's next
   * items in the same frame; null when the slot stops. `log` is the end of the payload's output, at most 16 KiB.
   */
  z.object({
    type: z.literal("result"),
    ...lease,
    seq: counter,
    outcome: Outcome,
    durationSeconds: z.number().nonnegative(),
    log: z.string().max(PILOT.inlineLogBytesMax),
    next: z
      .object({ slot: slotNumber, requestNo: counter, want: z.number().int().min(1).max(16) })
      .nullable(),
    /** What the evaluation left, uploaded under the lease before. */
    metadata: BlobRef.optional(),
    metrics: BlobRef.optional(),
    /** Checkpoint that the evaluation began from. */
    restored: sha256.optional(),
    /** What went wrong besides, such as metadata that were too large. */
    warnings: z.array(warning).max(PILOT.warningsMax).optional(),
  }),
  /** The answer of one execution of steering; `points` is the text of %OUT, null when the run failed. */
  z.object({
    type: z.literal("runAnswer"),
    ...lease,
    seq: counter,
    points: z
      .string()
      .max(WIRE.frameBytesMax / 2)
      .nullable(),
    message: text,
    log: z.string().max(PILOT.inlineLogBytesMax),
  }),
  /** A newer state of an unfinished evaluation, uploaded under the lease before. Acknowledged as a result is. */
  z.object({ type: z.literal("checkpoint"), ...lease, seq: counter, ...BlobRef.shape }),
  /** The pilot gives a lease back that it has not started. */
  z.object({ type: z.literal("release"), ...lease, reason: text }),
  /** The pilot ends; `reason` is for people. */
  z.object({ type: z.literal("bye"), reason: text }),
]);
export type FromPilot = z.infer<typeof FromPilot>;
export type FromPilotOf<T extends FromPilot["type"]> = Extract<FromPilot, { type: T }>;

const GrantedItem = z.object({
  ...lease,
  slot: slotNumber,
  /** Attempt that this evaluation is, 1 to 3. */
  attempt: z.number().int().min(1).max(TASK.attemptsMax),
  /** The point's JSON text, exactly as proposed. */
  pointText: z.string().max(TASK.pointTextBytesMax),
  /** Value of HYPERPILOT_SEED: equal in all attempts of a point. */
  seed: counter,
  /** Bearer token for the files of this lease only. */
  token: z.string().max(512),
  /** For evaluations of a segmented task: its place in the list (`model_id`), and the value of %SEGMENT_NAME. */
  segment: z.object({ id: counter, name: z.string().max(255) }).optional(),
  /** Checkpoints to go on from, best first; the second is for the case that the first is damaged. */
  checkpoints: z.array(BlobRef).max(TASK.checkpointsKept).optional(),
  /** For steering items: values of %NUM_POINTS and %MAX_POINTS. */
  steering: z.object({ numPoints: counter, maxPoints: counter }).optional(),
});
export type GrantedItem = z.infer<typeof GrantedItem>;

export const ToPilot = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("welcome"),
    pilotId: z.string().max(64),
    protocol: counter,
    leaseSeconds: z.number().positive(),
    idleSeconds: z.number().positive(),
    beatSeconds: z.number().positive(),
  }),
  /** `specs` holds the task specifications that this session has not been sent before. */
  z.object({
    type: z.literal("grant"),
    grantNo: counter,
    requestNo: counter,
    items: z.array(GrantedItem).min(1).max(16),
    specs: z.array(z.object({ taskId, spec: TaskSpecification })).max(16),
  }),
  z.object({ type: z.literal("accepted"), ...lease, seq: counter }),
  /** The lease is over: the write changed nothing, its copy may be dropped. */
  z.object({ type: z.literal("stale"), ...lease, seq: counter }),
  /** End the item's payload now and report nothing for it. */
  z.object({ type: z.literal("stop"), ...lease, reason: text }),
  /** Give back the lease if it has not started. */
  z.object({ type: z.literal("recall"), ...lease }),
  /** Take no further items; `stopRunning` also interrupts the running ones. */
  z.object({ type: z.literal("drain"), stopRunning: z.boolean(), reason: text }),
  z.object({ type: z.literal("refused"), code: z.string().max(64), message: text }),
]);
export type ToPilot = z.infer<typeof ToPilot>;
export type ToPilotOf<T extends ToPilot["type"]> = Extract<ToPilot, { type: T }>;

/** A frame is an array of messages. */
export const FromPilotFrame = z.array(FromPilot).min(1).max(WIRE.messagesPerFrameMax);
export const ToPilotFrame = z.array(ToPilot).min(1).max(WIRE.messagesPerFrameMax);

/** Exchange of a boot secret for a session token: POST /api/hyperpilot/v1/pilot-sessions. */
export const PilotSessionRequest = z.strictObject({
  instance: z.string().min(8).max(64),
  /** The node's wall clock, milliseconds since 1970; a clock that is far from the server's is refused. */
  timeMs: counter.optional(),
});
export const PilotSessionAnswer = z.strictObject({
  pilotId: z.string().max(64),
  token: z.string().max(2048),
  queue: z.string().max(63),
  leaseSeconds: z.number().max(SERVER.leaseSeconds * 1_000),
});
export type PilotSessionAnswer = z.infer<typeof PilotSessionAnswer>;
