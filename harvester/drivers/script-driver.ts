/** What Slurm, Grid Engine, PBS and LSF have in common: a script on a shared file system, jobs found by their name. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import { Absences, allFailed } from "../absence.ts";
import type { BatchCommand } from "../batch-command.ts";
import type { BatchDriver, BatchTruth, DriverCapabilities, SubmitRequest } from "../driver.ts";
import type { PilotLaunch } from "../launch.ts";
import { pilotScript } from "../pilot-script.ts";
import { wordsOf } from "../words.ts";

/** One job as the system lists it. */
export interface ListedJob {
  readonly batchId: string;
  readonly name: string;
  readonly truth: BatchTruth;
}

export interface ScriptSystem {
  /** For messages: "Slurm". */
  readonly name: string;
  readonly capabilities: DriverCapabilities;
  /** The submit command's words; the script's path comes last, or its text on standard input where `readsScript`. */
  submitWords(
    request: SubmitRequest,
    jobName: string,
    script: string,
  ): readonly [string, ...string[]];
  /** The script comes on standard input instead of as the last word. */
  readonly readsScript?: boolean;
  /** The id in what the submit command printed, or null. */
  idOf(said: string): string | null;
  /** Jobs of these names, those of other users and names included if that is cheaper. Errors: E_BATCH. */
  list(jobNames: readonly string[]): Promise<ListedJob[]>;
  /** Words of the command that ends a job. */
  removeWords(batchId: string): readonly [string, ...string[]];
}

export interface ScriptDriverOptions {
  readonly command: BatchCommand;
  readonly launch: PilotLaunch;
}

const PREFIX = "hyperpilot-";

/** Name of a submission's job: the tag by which it is found when the answer of its submission was lost. */
export function jobName(submissionId: string): string {
  return `${PREFIX}${submissionId}`;
}

export function createScriptDriver(
  system: ScriptSystem,
  options: ScriptDriverOptions,
): BatchDriver {
  const absences = new Absences();

  async function listed(ids: readonly string[]): Promise<Map<string, ListedJob>> {
    const idOfName = new Map(ids.map((id) => [jobName(id), id]));
    const found = new Map<string, ListedJob>();
    for (const job of await system.list([...idOfName.keys()])) {
      const id = idOfName.get(job.name);
      // A job that runs outweighs an ended one of the same name.
      if (id !== undefined && found.get(id)?.truth.type !== "active") found.set(id, job);
    }
    return found;
  }

  return {
    submit: (request) => submit(system, options, request),
    async statusOf(ids) {
      if (ids.length === 0) return new Map();
      try {
        const jobs = await listed(ids);
        const truths = new Map([...jobs].map(([id, { truth }]) => [id, truth]));
        return absences.judge(ids, truths, system.name);
      } catch (error) {
        return allFailed(ids, wordsOf(error));
      }
    },
    async remove(submissionId) {
      const job = (await listed([submissionId])).get(submissionId);
      if (job === undefined || job.truth.type === "ended") return;
      try {
        await options.command(system.removeWords(job.batchId));
      } catch (error) {
        // It may have ended by itself in this moment.
        const after = (await listed([submissionId])).get(submissionId);
        if (after !== undefined && after.truth.type !== "ended") throw error;
      }
    },
    capabilities: () => system.capabilities,
  };
}

async function submit(
  system: ScriptSystem,
  { command, launch }: ScriptDriverOptions,
  request: SubmitRequest,
): Promise<{ readonly batchId: string }> {
  const { submissionId, queue, bootFile, directory } = request;
  const script = join(directory, "pilot.sh");
  const text = pilotScript({ submissionId, queue, launch: launch.on(bootFile) });
  writeFileSync(script, text, { mode: 0o700 });
  const words = system.submitWords(request, jobName(submissionId), script);
  const call = { cwd: directory, ...(system.readsScript === true ? { input: text } : {}) };
  const said = await command(words, call);
  const batchId = system.idOf(said.trim());
  if (batchId !== null) return { batchId };
  throw new HyperpilotError({
    code: "E_BATCH",
    message: `${words[0]} answered without a job id.`,
    why: `${words[0]}: ${said.trim().slice(0, 500)}`,
    remedy: "Look for a wrapper or a plugin of the site that changes what it prints.",
  });
}

/** `--name=value` for each option that has a value. */
export function longOptions(options: readonly (readonly [string, string | null])[]): string[] {
  return options.flatMap(([name, value]) => (value === null ? [] : [`--${name}=${value}`]));
}

/** `-x value` for each option that has a value. */
export function shortOptions(options: readonly (readonly [string, string | null])[]): string[] {
  return options.flatMap(([name, value]) => (value === null ? [] : [`-${name}`, value]));
}
