/** How a queue reaches its batch system: one form per kind, named after the options of the system itself. */
import { z } from "zod";
import { HARVESTER } from "./limits.ts";

/** A word that becomes an argument of the batch system's command; never a secret, as every user of the host can read it. */
const word = z.string().min(1).max(1_024);
/** Options are words of their own, so a value may not look like one. */
const value = z
  .string()
  .max(255)
  .regex(/^[^-\s][^\s]*$/, "one word that does not begin with -")
  .nullable()
  .default(null);
const line = z
  .string()
  .max(4_096)
  .refine((text) => !/[\n\r\0]/.test(text), "one line");

const common = {
  /** Further words of the submit command, as they are; they come last and win. */
  submitArguments: z.array(word).max(HARVESTER.submitArgumentsMax).default([]),
  /** Directory of the batch system's commands; null: found in PATH. */
  commandDirectory: z.string().startsWith("/").max(1_024).nullable().default(null),
  /** Seconds between two questions about all jobs of the queue. */
  pollSeconds: z.number().min(1).max(3_600).default(30),
  /** Longest time of one call of the batch system. */
  commandTimeoutSeconds: z.number().min(1).max(600).default(30),
};

const Local = z.strictObject({ kind: z.literal("local") });

const Slurm = z.strictObject({
  kind: z.literal("slurm"),
  partition: value,
  account: value,
  qos: value,
  reservation: value,
  constraint: value,
  /** Type of GPU as the cluster names it (gres `gpu:TYPE:N`). */
  gpuType: value,
  /** false: the job ends with its first preemption instead of starting again under the same id. */
  requeue: z.boolean().default(true),
  ...common,
});

const HtCondor = z.strictObject({
  kind: z.literal("htcondor"),
  /** ClassAd expression. */
  requirements: line.nullable().default(null),
  accountingGroup: value,
  /** Schedd and pool; null: those of the host. */
  schedd: value,
  pool: value,
  /** Further lines of the submit description, such as `+ProjectName = "hep"`. */
  submitLines: z.array(line).max(HARVESTER.submitArgumentsMax).default([]),
  ...common,
});

const GridEngine = z.strictObject({
  kind: z.literal("gridengine"),
  queue: value,
  project: value,
  /** Needed for more than one CPU. */
  parallelEnvironment: value,
  /** Names of the site's resources for memory per slot and GPUs; null: not asked for. */
  memoryResource: value,
  gpuResource: value,
  ...common,
});

const Pbs = z.strictObject({
  kind: z.literal("pbs"),
  /** OpenPBS and PBS Professional, or Torque with its older words. */
  flavour: z.enum(["openpbs", "torque"]).default("openpbs"),
  queue: value,
  account: value,
  project: value,
  ...common,
});

const Lsf = z.strictObject({
  kind: z.literal("lsf"),
  queue: value,
  project: value,
  /** Model of GPU as LSF names it (`gmodel`). */
  gpuModel: value,
  ...common,
});

const Kubernetes = z.strictObject({
  kind: z.literal("kubernetes"),
  namespace: value,
  /** Context of kubectl's configuration; null: the present one. */
  context: value,
  /** Image in which the pilot runs, with the packed pilot in `pilotDirectory`. */
  image: z.string().min(1).max(1_024),
  pilotDirectory: z.string().startsWith("/").max(1_024).default("/opt/hyperpilot"),
  serviceAccount: value,
  nodeSelector: z.record(z.string().max(253), z.string().max(63)).default({}),
  /** Resource name of GPUs. */
  gpuResource: z.string().max(253).default("nvidia.com/gpu"),
  /** Volumes of the host that hold images and data: path on the node, read-only. */
  hostPaths: z.array(z.string().startsWith("/").max(1_024)).max(64).default([]),
  ...common,
});

export const Batch = z.discriminatedUnion("kind", [
  Local,
  Slurm,
  HtCondor,
  GridEngine,
  Pbs,
  Lsf,
  Kubernetes,
]);
export type Batch = z.infer<typeof Batch>;
export type BatchKind = Batch["kind"];
export type BatchOf<K extends BatchKind> = Extract<Batch, { kind: K }>;

/** What the pilot's job does on the node besides running the pilot. */
export const PilotJob = z.strictObject({
  /** Lines of sh before the pilot, such as `module load apptainer`. */
  preamble: z.array(line).max(100).default([]),
  /** Lines of sh after the pilot has ended. With them the script stays and hands every signal on to the pilot. */
  epilogue: z.array(line).max(100).default([]),
  /** Local disk of the node for the pilot's files; null: TMPDIR of the job. */
  scratchDirectory: z.string().startsWith("/").max(1_024).nullable().default(null),
  /** Seconds of notice that the batch system is asked to give before it ends the job. */
  noticeSeconds: z.number().int().min(0).max(3_600).default(120),
});
export type PilotJob = z.infer<typeof PilotJob>;
