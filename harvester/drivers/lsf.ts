/** LSF: bsub, bjobs, bkill. */
import { join } from "node:path";
import type { BatchOf } from "../../protocol/batch.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { SubmitRequest } from "../driver.ts";
import { pilotSize } from "../../protocol/pilot-size.ts";
import { LSF_FIELDS, lsfTruth, parseBjobs } from "./lsf-states.ts";
import { shortOptions, type ScriptSystem } from "./script-driver.ts";

/** Variables by which LSF's commands find their cluster. */
export const LSF_VARIABLES = ["LSF_", "LSB_", "EGO_"];

export function lsf(batch: BatchOf<"lsf">, command: BatchCommand): ScriptSystem {
  return {
    name: "LSF",
    capabilities: { restartsJobs: true, statusChunk: 10_000 },
    submitWords: (request, jobName) => ["bsub", ...bsubOptions(batch, request, jobName)],
    readsScript: true,
    idOf: (said) => /^Job <(\d+)>/m.exec(said)?.[1] ?? null,
    async list() {
      const text = await command(["bjobs", "-a", "-json", "-o", LSF_FIELDS.join(" ")], {
        // It ends with an error where the user has no job at all.
        alsoOk: ({ stdout, stderr }) => /no (?:\w+ )?job found/i.test(stdout + stderr),
      });
      return parseBjobs(text).map((job) => ({
        batchId: job.id,
        name: job.name,
        truth: lsfTruth(job),
      }));
    },
    removeWords: (batchId) => ["bkill", batchId],
  };
}

function bsubOptions(
  batch: BatchOf<"lsf">,
  { queue, directory }: SubmitRequest,
  jobName: string,
): string[] {
  const size = pilotSize(queue);
  const { walltimeSeconds } = size;
  const minutes = walltimeSeconds === null ? null : Math.ceil(walltimeSeconds / 60);
  const model = batch.gpuModel === null ? "" : `:gmodel=${batch.gpuModel}`;
  const noticeMinutes = Math.ceil(queue.pilot.noticeSeconds / 60);
  return [
    ...shortOptions([
      ["J", jobName],
      ["q", batch.queue],
      ["P", batch.project],
      ["n", String(size.cpus)],
      ["R", `span[hosts=1] rusage[mem=${size.memoryMiB}MB]`],
      ["M", `${size.memoryMiB}MB`],
      [
        "W",
        minutes === null
          ? null
          : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}`,
      ],
      ["gpu", size.gpus === 0 ? null : `num=${size.gpus}${model}`],
      ["wt", noticeMinutes === 0 || minutes === null ? null : String(noticeMinutes)],
      ["wa", noticeMinutes === 0 || minutes === null ? null : "USR2"],
      ["cwd", directory],
      ["o", join(directory, "pilot.log")],
      ["L", "/bin/sh"],
      ["env", "none"],
    ]),
    "-r",
    ...batch.submitArguments,
  ];
}
