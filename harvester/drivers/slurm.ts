/** Slurm: sbatch, squeue, scancel. It must live without accounting, which many clusters have not set up. */
import { join } from "node:path";
import type { BatchOf } from "../../protocol/batch.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { SubmitRequest } from "../driver.ts";
import { clockText, pilotSize } from "../../protocol/pilot-size.ts";
import { longOptions, type ScriptSystem } from "./script-driver.ts";
import { parseSqueue, slurmTruth } from "./slurm-states.ts";

/** Variables by which Slurm's commands find their cluster. */
export const SLURM_VARIABLES = ["SLURM_CONF", "SLURM_CLUSTERS", "SLURM_JWT"];

const FORMAT = "%i|%T|%r|%L|%S|%e|%N|%j";

export function slurm(batch: BatchOf<"slurm">, command: BatchCommand): ScriptSystem {
  return {
    name: "Slurm",
    capabilities: { restartsJobs: batch.requeue, statusChunk: 100 },
    submitWords: (request, jobName, script) => [
      "sbatch",
      ...sbatchOptions(batch, request, jobName),
      script,
    ],
    // "123", or "123;cluster".
    idOf: (said) => /^(\d+)(?:;\S+)?$/m.exec(said)?.[1] ?? null,
    async list(jobNames) {
      const names = `--name=${jobNames.join(",")}`;
      // `-t all`: without it, jobs that have ended are left out while Slurm still knows how.
      const text = await command(["squeue", "-h", "-a", "-t", "all", names, "-o", FORMAT]);
      return parseSqueue(text).map((job) => ({
        batchId: job.id,
        name: job.name,
        truth: slurmTruth(job),
      }));
    },
    removeWords: (batchId) => ["scancel", "--quiet", batchId],
  };
}

/** `--export=NIL` keeps the harvester's environment off the node. */
function sbatchOptions(
  batch: BatchOf<"slurm">,
  { queue, directory }: SubmitRequest,
  jobName: string,
): string[] {
  const size = pilotSize(queue);
  const gpu = batch.gpuType === null ? "gpu" : `gpu:${batch.gpuType}`;
  const options = longOptions([
    ["job-name", jobName],
    ["partition", batch.partition],
    ["account", batch.account],
    ["qos", batch.qos],
    ["reservation", batch.reservation],
    ["constraint", batch.constraint],
    ["nodes", "1"],
    ["ntasks", "1"],
    ["cpus-per-task", String(size.cpus)],
    ["mem", `${size.memoryMiB}M`],
    ["gres", size.gpus === 0 ? null : `${gpu}:${size.gpus}`],
    ["time", size.walltimeSeconds === null ? null : clockText(size.walltimeSeconds)],
    // To the batch process itself, which is the pilot; without B: only steps would get it.
    ["signal", `B:USR1@${queue.pilot.noticeSeconds}`],
    ["export", "NIL"],
    ["open-mode", "append"],
    ["chdir", directory],
    ["output", join(directory, "pilot.log")],
  ]);
  const requeue = batch.requeue ? "--requeue" : "--no-requeue";
  return ["--parsable", ...options, requeue, ...batch.submitArguments];
}
