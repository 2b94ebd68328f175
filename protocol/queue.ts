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
export const SlotShape = z.object({
  /** CPUs per slot; fractions allowed. */
  cpus: z.number().positive().default(1),
  memoryMiB: z.number().int().positive().default(2048),
  /** GPUs per slot. */
  gpus: z.number().int().nonnegative().default(0),
  /** Walltime that the harvester asks for; null where the batch system needs none. */
  walltimeSeconds: z.number().int().positive().nullable().default(null),
});
export type SlotShape = z.infer<typeof SlotShape>;

/** One configured resource queue of a site. */
export const QueueConfig = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, "letters, digits, . _ - and at most 63 of them"),
  site: z.string().max(63).default("local"),
  role: z.enum(["evaluation", "central"]).default("evaluation"),
  batch: Batch.default({ kind: "local" }),
  pilot: PilotJob.default(() => PilotJob.parse({})),
  state: z.enum(QUEUE_STATES).default("online"),
  slot: SlotShape.default(SlotShape.parse({})),
  limits: z
    .strictObject({
      /** Pilots submitted and not ended. */
      maxPilots: z.number().int().nonnegative().max(HARVESTER.pilotsPerQueueMax).default(1),
      /** Pilots submitted and not yet connected. */
      maxQueued: z.number().int().nonnegative().max(HARVESTER.pilotsPerQueueMax).default(10),
      /** Submissions per cycle of the harvester. */
      maxPerCycle: z.number().int().positive().max(1_000).default(10),
      /** Slots per pilot at most; null: as many as fit. */
      maxSlotsPerPilot: z.number().int().positive().max(256).nullable().default(null),
    })
    .default({ maxPilots: 1, maxQueued: 10, maxPerCycle: 10, maxSlotsPerPilot: null }),
  /** Sandbox of payloads: `auto` takes the first of the ladder that works; `none` must be written by the operator. */
  runtime: z.enum(RUNTIME_NAMES).default("auto"),
  /** Paths of the node that `host:` payloads may read, besides the system's own. */
  readOnlyPaths: z.array(z.string().startsWith("/").max(1024)).max(64).default([]),
  /** Whether payloads reach the internet; tasks that need it use only such queues. */
  internet: z.boolean().default(false),
  /** Images by another name: what a task names, and what the nodes of this queue use for it (a path, or another image). */
  images: z.record(z.string().max(4096), z.string().max(4096)).default({}),
  /** Added to the environment of payloads. */
  environment: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string().max(4096))
    .default({}),
  /** A pilot without work leaves after this long. */
  idleSeconds: z.number().positive().max(86_400).default(300),
  leaseSeconds: z.number().int().min(2).max(86_400).default(SERVER.leaseSeconds),
});
export type QueueConfig = z.infer<typeof QueueConfig>;
