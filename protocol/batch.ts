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
  submitArguments: z
    .array(word)
    .max(HARVESTER.submitArgumentsMax)
    .default([])
    .describe("further words of the submit command, as they are; they come last and win"),
  commandDirectory: z
    .string()
    .startsWith("/")
    .max(1_024)
    .nullable()
    .default(null)
    .describe("directory of the batch system's commands; without it they are found in PATH"),
  pollSeconds: z
    .number()
    .min(1)
    .max(3_600)
    .default(30)
    .describe("seconds between two questions about all jobs of the queue"),
  commandTimeoutSeconds: z
    .number()
    .min(1)
    .max(600)
    .default(30)
    .describe("seconds that one call of the batch system may take"),
};

const kind = <K extends string>(name: K) =>
  z.literal(name).describe("batch system to which pilots are submitted");

const Local = z.strictObject({ kind: kind("local") });

const Slurm = z.strictObject({
  kind: kind("slurm"),
  partition: value.describe("sbatch --partition; without it the cluster's default"),
  account: value.describe("sbatch --account"),
  qos: value.describe("sbatch --qos"),
  reservation: value.describe("sbatch --reservation"),
  constraint: value.describe("sbatch --constraint: features that a node must have"),
  gpuType: value.describe("type of GPU as the cluster names it (gres gpu:TYPE:N)"),
  requeue: z
    .boolean()
    .default(true)
    .describe("whether a preempted job starts again under the same id; else it ends"),
  ...common,
});

const HtCondor = z.strictObject({
  kind: kind("htcondor"),
  requirements: line
    .nullable()
    .default(null)
    .describe("ClassAd expression that machines must fulfil"),
  accountingGroup: value.describe("accounting_group of the submit description"),
  schedd: value.describe("name of the schedd; without it the host's"),
  pool: value.describe("central manager of the pool; without it the host's"),
  submitLines: z
    .array(line)
    .max(HARVESTER.submitArgumentsMax)
    .default([])
    .describe('further lines of the submit description, such as +ProjectName = "hep"'),
  ...common,
});

const GridEngine = z.strictObject({
  kind: kind("gridengine"),
  queue: value.describe("qsub -q"),
  project: value.describe("qsub -P"),
  parallelEnvironment: value.describe("qsub -pe; needed for pilots of more than one CPU"),
  memoryResource: value.describe(
    "the site's resource for memory per slot; without it none is asked for",
  ),
  gpuResource: value.describe("the site's resource for GPUs; without it none are asked for"),
  ...common,
});

const Pbs = z.strictObject({
  kind: kind("pbs"),
  flavour: z
    .enum(["openpbs", "torque"])
    .default("openpbs")
    .describe("OpenPBS and PBS Professional, or Torque with its older words"),
  queue: value.describe("qsub -q"),
  account: value.describe("qsub -A"),
  project: value.describe("qsub -P"),
  ...common,
});

const Lsf = z.strictObject({
  kind: kind("lsf"),
  queue: value.describe("bsub -q"),
  project: value.describe("bsub -P"),
  gpuModel: value.describe("model of GPU as LSF names it (gmodel)"),
  ...common,
});

const Kubernetes = z.strictObject({
  kind: kind("kubernetes"),
  namespace: value.describe("namespace of the pods; without it that of the context"),
  context: value.describe("context of kubectl's configuration; without it the present one"),
  image: z
    .string()
    .min(1)
    .max(1_024)
    .describe("image in which the pilot runs, with the packed pilot in pilotDirectory"),
  pilotDirectory: z
    .string()
    .startsWith("/")
    .max(1_024)
    .default("/opt/hyperpilot")
    .describe("where the packed pilot lies in the image"),
  serviceAccount: value.describe("service account of the pods"),
  nodeSelector: z
    .record(z.string().max(253), z.string().max(63))
    .default({})
    .describe("labels that a node must have"),
  gpuResource: z.string().max(253).default("nvidia.com/gpu").describe("resource name of GPUs"),
  hostPaths: z
    .array(z.string().startsWith("/").max(1_024))
    .max(64)
    .default([])
    .describe(
      "directories of the node with images and data, mounted read-only under the same path",
    ),
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
  preamble: z
    .array(line)
    .max(100)
    .default([])
    .describe("lines of sh before the pilot, such as module load apptainer"),
  epilogue: z
    .array(line)
    .max(100)
    .default([])
    .describe("lines of sh after the pilot; with them the script stays and hands every signal on"),
  scratchDirectory: z
    .string()
    .startsWith("/")
    .max(1_024)
    .nullable()
    .default(null)
    .describe("local disk of the node for the pilot's files; without it the job's TMPDIR"),
  noticeSeconds: z
    .number()
    .int()
    .min(0)
    .max(3_600)
    .default(120)
    .describe("seconds of notice that the batch system is asked to give before it ends the job"),
});
export type PilotJob = z.infer<typeof PilotJob>;
