/** HTCondor: condor_submit, condor_q, condor_history, condor_rm. Jobs are found by an attribute that holds the submission's tag. */
import { writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { BatchOf } from "../../protocol/batch.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { Absences, allFailed } from "../absence.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { BatchDriver, BatchTruth, SubmitRequest } from "../driver.ts";
import type { PilotLaunch } from "../launch.ts";
import { pilotScript } from "../pilot-script.ts";
import { submitDescription, TAG_ATTRIBUTE } from "./htcondor-description.ts";
import { wordsOf } from "../words.ts";
import { ATTRIBUTES, condorTruth, parseJobs, type CondorJob } from "./htcondor-states.ts";

export interface HtCondorOptions {
  readonly batch: BatchOf<"htcondor">;
  readonly command: BatchCommand;
  readonly launch: PilotLaunch;
}

/** Variables by which HTCondor's commands find their configuration. */
export const CONDOR_VARIABLES = ["CONDOR_CONFIG", "_CONDOR_"];

export function createHtCondorDriver(options: HtCondorOptions): BatchDriver {
  const { batch, command } = options;
  const absences = new Absences();
  const where = [
    ...(batch.schedd === null ? [] : ["-name", batch.schedd]),
    ...(batch.pool === null ? [] : ["-pool", batch.pool]),
  ];

  /** `program` is condor_q, or condor_history for jobs that have left the queue. */
  async function jobs(
    program: "condor_q" | "condor_history",
    submissionIds: readonly string[],
  ): Promise<CondorJob[]> {
    const tags = submissionIds.map((id) => `"${id}"`).join(",");
    const constraint = `member(${TAG_ATTRIBUTE}, {${tags}})`;
    const words = program === "condor_q" ? ["-all"] : ["-match", String(submissionIds.length)];
    const text = await command([
      program,
      ...where,
      ...words,
      "-json",
      "-attributes",
      [...ATTRIBUTES, TAG_ATTRIBUTE].join(","),
      "-constraint",
      constraint,
    ]);
    return parseJobs(text);
  }

  async function truths(ids: readonly string[]): Promise<Map<string, BatchTruth>> {
    const found = new Map<string, BatchTruth>();
    for (const job of await jobs("condor_q", ids)) found.set(job.tag, condorTruth(job));
    const left = ids.filter((id) => !found.has(id));
    if (left.length > 0) {
      for (const job of await jobs("condor_history", left)) found.set(job.tag, condorTruth(job));
    }
    return absences.judge(ids, found, "HTCondor");
  }

  return {
    submit: (request) => submit(options, where, request),
    async statusOf(ids) {
      if (ids.length === 0) return new Map();
      try {
        return await truths(ids);
      } catch (error) {
        return allFailed(ids, wordsOf(error));
      }
    },
    async remove(submissionId) {
      const constraint = `${TAG_ATTRIBUTE} == "${submissionId}"`;
      await command(["condor_rm", ...where, "-constraint", constraint], {
        // There is no such job, or no more.
        alsoOk: ({ stdout, stderr }) => /couldn't find|not found/i.test(stdout + stderr),
      });
    },
    capabilities: () => ({ restartsJobs: true, statusChunk: 200 }),
  };
}

async function submit(
  { batch, command, launch }: HtCondorOptions,
  where: readonly string[],
  request: SubmitRequest,
): Promise<{ readonly batchId: string }> {
  const { submissionId, queue, directory, bootFile } = request;
  const local = basename(bootFile);
  // HTCondor brings the boot file to the node; its mode is set again, as the pilot refuses one that others may read.
  const text = pilotScript({
    submissionId,
    queue,
    launch: launch.brought.on(local),
    before: [`chmod 600 ${local}`],
  });
  writeFileSync(join(directory, "pilot.sh"), text, { mode: 0o700 });
  const description = join(directory, "pilot.sub");
  const files = [local, ...launch.brought.files];
  writeFileSync(description, submitDescription(batch, request, files), { mode: 0o600 });
  const said = await command(
    ["condor_submit", ...where, "-terse", ...batch.submitArguments, description],
    { cwd: directory },
  );
  const id = /^(\d+\.\d+) - /m.exec(said.trim())?.[1];
  if (id !== undefined) return { batchId: id };
  throw new HyperpilotError({
    code: "E_BATCH",
    message: "condor_submit answered without a job id.",
    why: `condor_submit: ${said.trim().slice(0, 500)}`,
    remedy: "Run it by hand as the harvester's user.",
  });
}
