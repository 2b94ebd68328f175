/** A queue as its operator writes it. What each field means stands in its description, from which help and OpenAPI are made. */
import { z } from "zod";
import { Batch, PilotJob } from "./batch.ts";
import { HARVESTER, SERVER } from "./limits.ts";
import { QUEUE_STATES } from "./states.ts";

export const RUNTIME_NAMES = [
  "auto",
  "apptainer",
  "singularity",
  "podman",
  "docker",
  "bubblewrap",
  "none",
] as const;

/** The share of a pilot that one payload gets. A pilot is cut into as many such slots as fit. */
export const SlotShape = z.strictObject({
  cpus: z.number().positive().default(1).describe("CPUs of a slot; fractions allowed"),
  memoryMiB: z.number().int().positive().default(2048).describe("memory of a slot in MiB"),
  gpus: z.number().int().nonnegative().default(0).describe("GPUs of a slot"),
  walltimeSeconds: z
    .number()
    .int()
    .positive()
    .nullable()
    .default(null)
    .describe("walltime that pilots ask for; without it none is asked for"),
});
export type SlotShape = z.infer<typeof SlotShape>;

const pilots = z.number().int().nonnegative().max(HARVESTER.pilotsPerQueueMax);

const QueueLimits = z.strictObject({
  maxPilots: pilots.default(1).describe("pilots submitted and not ended, at most"),
  maxQueued: pilots.default(10).describe("pilots submitted and not yet connected, at most"),
  maxPerCycle: z
    .number()
    .int()
    .positive()
    .max(1_000)
    .default(10)
    .describe("submissions per cycle of the harvester (2 s), at most"),
  maxSlotsPerPilot: z
    .number()
    .int()
    .positive()
    .max(256)
    .nullable()
    .default(null)
    .describe(
      "slots per pilot, at most; without it as many as fit, and pilots ask for one slot's share",
    ),
});

/** One configured resource queue of a site. */
export const QueueConfig = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, "letters, digits, . _ - and at most 63 of them")
    .describe("name of the queue"),
  site: z
    .string()
    .max(63)
    .default("local")
    .describe("site of the queue; the harvester started with --site of this name serves it"),
  role: z
    .enum(["evaluation", "central"])
    .default("evaluation")
    .describe("evaluation: trains points; central: runs steering containers only"),
  batch: Batch.default({ kind: "local" }),
  pilot: PilotJob.default(() => PilotJob.parse({})),
  state: z
    .enum(QUEUE_STATES)
    .default("online")
    .describe(
      "online; test: one pilot at most; drain: no new pilots and no new work; offline: waiting pilots are taken back as well",
    ),
  slot: SlotShape.default(SlotShape.parse({})),
  limits: QueueLimits.default(QueueLimits.parse({})),
  runtime: z
    .enum(RUNTIME_NAMES)
    .default("auto")
    .describe("sandbox of evaluations; auto: the first that works; none: no sandbox at all"),
  readOnlyPaths: z
    .array(z.string().startsWith("/").max(1024))
    .max(64)
    .default([])
    .describe("paths of the node that evaluations may read, besides the system's own"),
  internet: z
    .boolean()
    .default(false)
    .describe("whether evaluations reach the internet; tasks that need it use only such queues"),
  images: z
    .record(z.string().max(4096), z.string().max(4096))
    .default({})
    .describe("images by another name: what a task names, and what the nodes use for it"),
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(4096))
    .default({})
    .describe("added to the environment of evaluations"),
  idleSeconds: z
    .number()
    .positive()
    .max(86_400)
    .default(300)
    .describe("a pilot without work leaves after this long"),
  leaseSeconds: z
    .number()
    .int()
    .min(2)
    .max(86_400)
    .default(SERVER.leaseSeconds)
    .describe("a pilot that is silent for this long has lost its points"),
});
export type QueueConfig = z.infer<typeof QueueConfig>;
