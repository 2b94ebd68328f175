/** OpenPBS, PBS Professional and Torque: qsub, qstat, qdel. */
import { join } from "node:path";
import type { BatchOf } from "../../protocol/batch.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { SubmitRequest } from "../driver.ts";
import { clockText, pilotSize } from "../../protocol/pilot-size.ts";
import { parseOpenPbs, parseTorque, pbsTruth } from "./pbs-states.ts";
import { shortOptions, type ScriptSystem } from "./script-driver.ts";

/** Variables by which the commands find their server. */
export const PBS_VARIABLES = ["PBS_"];

export function pbs(batch: BatchOf<"pbs">, command: BatchCommand): ScriptSystem {
  const isTorque = batch.flavour === "torque";
  return {
    name: "PBS",
    // Rerunnable jobs start again under their id.
    capabilities: { restartsJobs: true, statusChunk: 10_000 },
    submitWords: (request, jobName, script) => [
      "qsub",
      ...qsubOptions(batch, request, jobName),
      script,
    ],
    idOf: (said) => /^(\d+(?:\.[\w.-]+)?)$/m.exec(said)?.[1] ?? null,
    async list() {
      // -x of OpenPBS: with ended jobs, where the server keeps a history.
      const words = isTorque ? ["-x"] : ["-f", "-F", "json", "-x"];
      const text = await command(["qstat", ...words], { alsoOk: hasNoHistory });
      const complete =
        isTorque || text.trim() !== "" ? text : await command(["qstat", "-f", "-F", "json"]);
      const jobs = isTorque ? parseTorque(complete) : parseOpenPbs(complete);
      return jobs.map((job) => ({ batchId: job.id, name: job.name, truth: pbsTruth(job) }));
    },
    removeWords: (batchId) => ["qdel", batchId],
  };
}

/** Servers without a history refuse the question for it. */
function hasNoHistory({ stdout, stderr }: { stdout: string; stderr: string }): boolean {
  return stdout.trim() === "" && /history|job_history_enable/i.test(stderr);
}

function qsubOptions(
  batch: BatchOf<"pbs">,
  { queue, directory }: SubmitRequest,
  jobName: string,
): string[] {
  const size = pilotSize(queue);
  const { walltimeSeconds } = size;
  const chunk =
    batch.flavour === "torque"
      ? `nodes=1:ppn=${size.cpus}${size.gpus > 0 ? `:gpus=${size.gpus}` : ""},mem=${size.memoryMiB}mb`
      : `select=1:ncpus=${size.cpus}:mem=${size.memoryMiB}mb${size.gpus > 0 ? `:ngpus=${size.gpus}` : ""}`;
  return [
    ...shortOptions([
      ["N", jobName],
      ["q", batch.queue],
      ["A", batch.account],
      ["P", batch.project],
      ["S", "/bin/sh"],
      ["j", "oe"],
      ["o", join(directory, "pilot.log")],
      ["r", "y"],
      ["l", chunk],
      ["l", walltimeSeconds === null ? null : `walltime=${clockText(walltimeSeconds)}`],
    ]),
    ...batch.submitArguments,
  ];
}
