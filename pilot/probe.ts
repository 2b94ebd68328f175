/** What this pilot was granted: the smallest figure that batch system, control groups and host state for each resource. */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, hostname } from "node:os";
import { join } from "node:path";
import { mem } from "systeminformation";
import type { PilotSize } from "../protocol/pilot-size.ts";
import type { Capacity } from "../protocol/resources.ts";
import { type Finding, type ReadFile, cpuQuotas, memoryLimits } from "./cgroup.ts";
import type { FoundGpus } from "./gpus.ts";
import { walltimeFindings } from "./walltime.ts";

const MIB = 1_048_576;

export type Environment = Readonly<Record<string, string | undefined>>;

/** Everything that is looked at, so that other machines can be imitated. */
export interface ProbeSources {
  readonly environment: Environment;
  readonly readFile: ReadFile;
  readonly node: string;
  readonly hostCpus: number;
  /** Taken where there is no /proc/meminfo. */
  readonly hostMemoryBytes: number;
  readonly scratchBytes: number;
  readonly wallMs: number;
  /** See pilot/walltime. */
  readonly ageSeconds: number;
  readonly queueSeconds: number | null;
  readonly told: Finding | null;
  readonly gpus: FoundGpus;
  readonly runtimes: readonly string[];
  /** What the pilot's job asked for, which holds where its batch system states no grant; null: the pilot has no job. */
  readonly asked?: PilotSize | null;
}

/** What this machine states; files are those below `root`. */
export async function hostSources(
  scratch: string,
  root = "/",
): Promise<
  Pick<ProbeSources, "readFile" | "node" | "hostCpus" | "hostMemoryBytes" | "scratchBytes">
> {
  const readFile: ReadFile = (path) => {
    try {
      return readFileSync(join(root, path), "utf8");
    } catch {
      // Absent or forbidden: that source states nothing.
      return null;
    }
  };
  const { bavail, bsize } = statfsSync(scratch);
  return {
    readFile,
    node: hostname(),
    hostCpus: availableParallelism(),
    hostMemoryBytes: readFile("/proc/meminfo") === null ? (await mem()).total : 0,
    scratchBytes: bavail * bsize,
  };
}

export function probe(sources: ProbeSources): Capacity {
  const cpus = smallest(cpuFindings(sources));
  const memory = smallest(memoryFindings(sources));
  const walltime = smallest(walltimeFindings(sources));
  return {
    node: sources.node,
    cpus: cpus?.value ?? 1,
    memoryBytes: Math.floor(memory?.value ?? 0),
    scratchBytes: sources.scratchBytes,
    gpus: [...sources.gpus.gpus],
    runtimes: [...sources.runtimes],
    walltimeLeftSeconds: walltime === null ? null : Math.max(0, walltime.value),
    sources: {
      cpus: cpus?.source ?? "assumed",
      memory: memory?.source ?? "unknown",
      scratch: "free space",
      gpus: sources.gpus.source,
      walltime: walltime?.source ?? "unknown",
    },
  };
}

function cpuFindings(sources: ProbeSources): readonly Finding[] {
  const { environment, readFile, hostCpus } = sources;
  const granted = [
    ...cpuQuotas(readFile),
    ...finding(
      positive(environment["SLURM_CPUS_ON_NODE"]) ?? positive(environment["SLURM_CPUS_PER_TASK"]),
      "Slurm",
    ),
    ...finding(machineAd(sources, "Cpus"), "HTCondor machine ad"),
    ...CPU_VARIABLES.flatMap(([job, cpus, source]) =>
      environment[job] === undefined ? [] : finding(positive(environment[cpus]), source),
    ),
  ];
  return [
    ...(granted.length > 0 ? granted : askedFor(sources, (asked) => asked.cpus)),
    ...finding(allowedCpus(readFile), "affinity"),
    ...finding(hostCpus, "host"),
  ];
}

/** Variables of jobs: one that every job has, one with its CPUs on the node. */
const CPU_VARIABLES = [
  ["JOB_ID", "NSLOTS", "Grid Engine"],
  ["PBS_JOBID", "NCPUS", "PBS"],
  ["LSB_JOBID", "LSB_DJOB_NUMPROC", "LSF"],
] as const;

/** Slurm states what it grants, also when that is all of the node. */
function askedFor(
  { asked, environment }: ProbeSources,
  amount: (asked: PilotSize) => number,
): readonly Finding[] {
  if (asked == null || environment["SLURM_JOB_ID"] !== undefined) return [];
  return [{ value: amount(asked), source: "asked for" }];
}

function memoryFindings(sources: ProbeSources): readonly Finding[] {
  const { environment, readFile, hostMemoryBytes } = sources;
  const perCpuMiB = positive(environment["SLURM_MEM_PER_CPU"]);
  const slurmCpus =
    positive(environment["SLURM_CPUS_ON_NODE"]) ?? positive(environment["SLURM_CPUS_PER_TASK"]);
  const perNodeMiB =
    positive(environment["SLURM_MEM_PER_NODE"]) ??
    (perCpuMiB === null ? null : perCpuMiB * (slurmCpus ?? 1));
  const condorMiB = machineAd(sources, "Memory");
  const total = /^MemTotal:\s*(\d+) kB$/m.exec(readFile("/proc/meminfo") ?? "")?.[1];
  const hostBytes = total === undefined ? hostMemoryBytes : Number(total) * 1_024;
  const granted = [
    ...memoryLimits(readFile),
    ...finding(perNodeMiB === null ? null : perNodeMiB * MIB, "Slurm"),
    ...finding(condorMiB === null ? null : condorMiB * MIB, "HTCondor machine ad"),
  ];
  return [
    ...(granted.length > 0 ? granted : askedFor(sources, (asked) => asked.memoryMiB * MIB)),
    ...finding(hostBytes > 0 ? hostBytes : null, "host"),
  ];
}

/** CPUs that the kernel lets this process run on: "0-3,8". */
function allowedCpus(readFile: ReadFile): number | null {
  const list = /^Cpus_allowed_list:\s*([\d,-]+)$/m.exec(readFile("/proc/self/status") ?? "")?.[1];
  if (list === undefined) return null;
  const count = list.split(",").reduce((sum, range) => {
    const [first = 0, last = first] = range.split("-").map(Number);
    return sum + last - first + 1;
  }, 0);
  return count > 0 ? count : null;
}

/** A number of the ClassAd that HTCondor writes about the slot of a job. */
function machineAd({ environment, readFile }: ProbeSources, name: string): number | null {
  const path = environment["_CONDOR_MACHINE_AD"];
  const text = path === undefined ? null : readFile(path);
  return positive(new RegExp(`^${name}\\s*=\\s*([\\d.]+)\\s*$`, "im").exec(text ?? "")?.[1]);
}

/** Slurm writes 0 for "all of the node". */
function positive(text: string | undefined): number | null {
  const value = Number((text ?? "").trim() || Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : null;
}

function finding(value: number | null, source: string): readonly Finding[] {
  return value === null ? [] : [{ value, source }];
}

/** Of equal ones the first, which is the most particular. */
function smallest(findings: readonly Finding[]): Finding | null {
  return findings.reduce<Finding | null>(
    (least, each) => (least === null || each.value < least.value ? each : least),
    null,
  );
}
