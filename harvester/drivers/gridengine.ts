/** Grid Engine (SGE, UGE, OGE): qsub, qstat, qdel. */
import { join } from "node:path";
import type { BatchOf } from "../../protocol/batch.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { SubmitRequest } from "../driver.ts";
import { pilotSize } from "../../protocol/pilot-size.ts";
import { gridEngineTruth, parseQstat } from "./gridengine-states.ts";
import { shortOptions, type ScriptSystem } from "./script-driver.ts";

/** Variables by which Grid Engine's commands find their cell. */
export const GRID_ENGINE_VARIABLES = ["SGE_"];

export function gridEngine(batch: BatchOf<"gridengine">, command: BatchCommand): ScriptSystem {
  return {
    name: "Grid Engine",
    capabilities: { restartsJobs: true, statusChunk: 10_000 },
    submitWords: (request, jobName, script) => [
      "qsub",
      ...qsubOptions(batch, request, jobName),
      script,
    ],
    idOf: (said) => /^(\d+)(?:\.\d+-\d+:\d+)?$/m.exec(said)?.[1] ?? null,
    async list() {
      // `s` of -s: with suspended ones too; ended jobs are gone from it at once, so the last ones are asked for as well.
      const now = parseQstat(await command(["qstat", "-xml", "-u", "*"]));
      const ended = parseQstat(await command(["qstat", "-xml", "-s", "z", "-u", "*"]));
      const isHere = new Set(now.map((job) => job.id));
      return [...now, ...ended.filter((job) => !isHere.has(job.id))].map((job) => ({
        batchId: job.id,
        name: job.name,
        truth: gridEngineTruth(job),
      }));
    },
    removeWords: (batchId) => ["qdel", batchId],
  };
}

function qsubOptions(
  batch: BatchOf<"gridengine">,
  { queue, directory }: SubmitRequest,
  jobName: string,
): string[] {
  const size = pilotSize(queue);
  const resources = resourcesOf(batch, size, queue.pilot.noticeSeconds);
  return [
    "-terse",
    // Signals before the end, which come without it only as SIGKILL.
    "-notify",
    ...shortOptions([
      ["N", jobName],
      ["S", "/bin/sh"],
      ["wd", directory],
      ["o", join(directory, "pilot.log")],
      ["j", "y"],
      ["r", "y"],
      ["b", "n"],
      ["q", batch.queue],
      ["P", batch.project],
      ["l", resources.length === 0 ? null : resources.join(",")],
    ]),
    ...(batch.parallelEnvironment === null
      ? []
      : ["-pe", batch.parallelEnvironment, String(size.cpus)]),
    ...batch.submitArguments,
  ];
}

/** h_rt alone kills without a word, so s_rt comes before it. Memory is per slot of the parallel environment. */
function resourcesOf(
  batch: BatchOf<"gridengine">,
  size: ReturnType<typeof pilotSize>,
  noticeSeconds: number,
): string[] {
  const { walltimeSeconds } = size;
  const cpus = batch.parallelEnvironment === null ? 1 : size.cpus;
  const resources: string[] = [];
  if (walltimeSeconds !== null) {
    resources.push(`h_rt=${walltimeSeconds}`);
    const softSeconds = walltimeSeconds - noticeSeconds;
    if (noticeSeconds > 0 && softSeconds > 0) resources.push(`s_rt=${softSeconds}`);
  }
  if (batch.memoryResource !== null)
    resources.push(`${batch.memoryResource}=${Math.ceil(size.memoryMiB / cpus)}M`);
  if (batch.gpuResource !== null && size.gpus > 0)
    resources.push(`${batch.gpuResource}=${size.gpus}`);
  return resources;
}
