/**
 * How long the batch system lets this pilot run. Each system tells it in its own way; beside that stands the walltime that the
 * harvester asked for, from the pilot's start on. The smallest one counts.
 */
import { PILOT } from "../protocol/limits.ts";
import type { ProgramResult, runProgram } from "../common/child.ts";
import type { Finding, ReadFile } from "./cgroup.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export interface WalltimeSources {
  readonly environment: Environment;
  readonly readFile: ReadFile;
  readonly wallMs: number;
  /** Since this process was started. */
  readonly ageSeconds: number;
  /** The queue's, which the harvester asked for; null: none. */
  readonly queueSeconds: number | null;
  /** What the batch system's own command said, if there was one to ask. */
  readonly told: Finding | null;
}

/** Seconds left by each source that states something; negative where the time is over. */
export function walltimeFindings(sources: WalltimeSources): readonly Finding[] {
  const { environment, readFile, wallMs, ageSeconds, queueSeconds, told } = sources;
  const slurmEnd = positive(environment["SLURM_JOB_END_TIME"]);
  const torque = positive(environment["PBS_WALLTIME"]);
  const stated = positive(environment["HYPERPILOT_WALLTIME_SECONDS"]);
  const jobAd = environment["_CONDOR_JOB_AD"];
  const condor = jobAd === undefined ? null : allowedDuration(readFile(jobAd) ?? "");
  return [
    ...finding(slurmEnd === null ? null : slurmEnd - wallMs / 1_000, "SLURM_JOB_END_TIME"),
    ...(told === null ? [] : [told]),
    ...finding(torque === null ? null : torque - ageSeconds, "PBS_WALLTIME"),
    ...finding(condor === null ? null : condor - ageSeconds, "HTCondor job ad"),
    ...finding(stated, "HYPERPILOT_WALLTIME_SECONDS"),
    ...finding(queueSeconds === null ? null : queueSeconds - ageSeconds, "walltime of the queue"),
  ];
}

function finding(value: number | null, source: string): readonly Finding[] {
  return value === null ? [] : [{ value, source }];
}

function positive(text: string | undefined): number | null {
  const value = Number((text ?? "").trim() || Number.NaN);
  return Number.isFinite(value) && value > 0 ? value : null;
}

/** `allowed_job_duration` of a submit description, in the ClassAd of the job. */
function allowedDuration(ad: string): number | null {
  return positive(/^(?:AllowedJobDuration|MaxRuntime)\s*=\s*(\d+)\s*$/im.exec(ad)?.[1]);
}

interface Question {
  readonly argv: readonly [string, ...string[]];
  readonly source: string;
  /** Seconds left, or null where the answer does not say. */
  readonly read: (text: string, ageSeconds: number) => number | null;
}

/** The command that this job's batch system answers; null where the environment says enough, or there is no such system. */
export function walltimeQuestion(environment: Environment): Question | null {
  const { SLURM_JOB_ID, SLURM_JOB_END_TIME, PBS_JOBID, PBS_WALLTIME, LSB_JOBID, JOB_ID, SGE_ROOT } =
    environment;
  if (isId(SLURM_JOB_ID)) {
    // Set by Slurm since 22.05.
    if (SLURM_JOB_END_TIME !== undefined) return null;
    const argv = ["squeue", "-h", "-j", SLURM_JOB_ID, "-o", "%L"] as const;
    return { argv, source: "squeue", read: (text) => clockSeconds(text) };
  }
  if (isId(PBS_JOBID)) {
    if (PBS_WALLTIME !== undefined) return null;
    return { argv: ["qstat", "-f", PBS_JOBID], source: "qstat", read: pbsLeft };
  }
  if (isId(LSB_JOBID)) {
    const argv = ["bjobs", "-noheader", "-o", "time_left", LSB_JOBID] as const;
    return { argv, source: "bjobs", read: lsfLeft };
  }
  if (isId(JOB_ID) && SGE_ROOT !== undefined)
    return { argv: ["qstat", "-j", JOB_ID], source: "qstat", read: gridEngineLeft };
  return null;
}

/** Ids go into a command line: nothing that could be an option. */
function isId(id: string | undefined): id is string {
  return id !== undefined && /^\d[\w.[\]-]*$/.test(id);
}

/** Asks the batch system once; null when there is nothing to ask, or no answer in time. */
export async function askWalltime(
  environment: Environment,
  run: typeof runProgram,
  ageSeconds: () => number,
): Promise<Finding | null> {
  const question = walltimeQuestion(environment);
  if (question === null) return null;
  const result: ProgramResult = await run(question.argv, {
    timeoutMs: PILOT.walltimeProbeTimeoutMs,
  });
  if (result.exitCode !== 0) return null;
  const value = question.read(result.stdout, ageSeconds());
  return value === null ? null : { value, source: question.source };
}

/** `[D-]HH:MM:SS`, `MM:SS` or `D-HH`; null for UNLIMITED, NOT_SET, INVALID. */
export function clockSeconds(text: string): number | null {
  const match = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/.exec(text.trim());
  if (match === null) return null;
  const [, days, ...parts] = match;
  const numbers = parts.filter(Boolean).map(Number);
  // Minutes and seconds, unless there are days before them or three parts.
  const isShort = match[1] === undefined && numbers.length < 3;
  const [hours = 0, minutes = 0, seconds = 0] = isShort ? [0, ...numbers] : numbers;
  return Number(days ?? 0) * 86_400 + hours * 3_600 + minutes * 60 + seconds;
}

/** `qstat -f`: the limit, less what the job has used or, where that is not told yet, the pilot's age. */
function pbsLeft(text: string, ageSeconds: number): number | null {
  const of = (name: string): number | null =>
    clockSeconds(new RegExp(`^\\s*${name}\\.walltime = (\\S+)`, "m").exec(text)?.[1] ?? "");
  const limit = of("Resource_List");
  return limit === null ? null : limit - Math.max(of("resources_used") ?? 0, ageSeconds);
}

/** `bjobs -o time_left`: hours and minutes, then a letter that says what they are reckoned from. */
function lsfLeft(text: string): number | null {
  const match = /^\s*(\d+):(\d+)(?:\s+[A-Z])?\s*$/.exec(text);
  return match === null ? null : Number(match[1]) * 3_600 + Number(match[2]) * 60;
}

/** `qstat -j`: the hard limit as it was asked for, in seconds or as a clock. */
function gridEngineLeft(text: string, ageSeconds: number): number | null {
  const asked = /^hard[ _]resource_list:.*\bh_rt=([\d:]+)/m.exec(text)?.[1];
  if (asked === undefined) return null;
  const limit = /^\d+$/.test(asked) ? Number(asked) : clockSeconds(asked);
  return limit === null ? null : limit - ageSeconds;
}
