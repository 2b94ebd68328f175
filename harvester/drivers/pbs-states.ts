/** What qstat prints, as truth. States after qstat(1B); exit codes after the administrator's guide. Pure. */
import { z } from "zod";
import type { BatchTruth } from "../driver.ts";

export interface PbsJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly exitStatus: number | null;
  /** Why it waits, in the server's words. */
  readonly comment: string;
  readonly node: string;
}

const text = z.string().catch("");
const OpenPbsJob = z.object({
  Job_Name: text,
  job_state: text,
  Exit_status: z.number().nullable().catch(null),
  comment: text,
  exec_host: text,
});
const Answer = z.object({ Jobs: z.record(z.string(), OpenPbsJob).default({}) });

/**
 * `qstat -f -F json`. Some versions write the values of Variable_List unescaped, which no reader of JSON takes: that list is
 * left out. Errors: SyntaxError, ZodError.
 */
export function parseOpenPbs(output: string): PbsJob[] {
  if (output.trim() === "") return [];
  const withoutVariables = output.replace(/"Variable_List"\s*:\s*\{[\s\S]*?\n\s*\},?/g, "");
  const repaired = withoutVariables.replace(/,(\s*\})/g, "$1");
  const { Jobs } = Answer.parse(JSON.parse(repaired));
  return Object.entries(Jobs).map(([id, job]) => ({
    id,
    name: job.Job_Name,
    state: job.job_state,
    exitStatus: job.Exit_status,
    comment: job.comment,
    node: job.exec_host,
  }));
}

/** `qstat -x` of Torque: XML without attributes. */
export function parseTorque(xml: string): PbsJob[] {
  return [...xml.matchAll(/<Job>([\s\S]*?)<\/Job>/g)].map(([, body = ""]) => {
    const exitStatus = element(body, "exit_status");
    return {
      id: element(body, "Job_Id"),
      name: element(body, "Job_Name"),
      state: element(body, "job_state"),
      exitStatus: exitStatus === "" ? null : Number(exitStatus),
      comment: element(body, "comment"),
      node: element(body, "exec_host"),
    };
  });
}

function element(body: string, name: string): string {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(body)?.[1]?.trim() ?? "";
}

type Phase = "queued" | "running" | "ended";

/** E of OpenPBS is on its way out and still a job; C is Torque's end. */
const PHASES: Readonly<Record<string, Phase>> = {
  Q: "queued",
  H: "queued",
  W: "queued",
  T: "queued",
  M: "queued",
  B: "running",
  R: "running",
  S: "running",
  U: "running",
  E: "running",
  F: "ended",
  X: "ended",
  C: "ended",
};

/** Negative codes are of the server itself. */
const SERVER_ENDS: Readonly<Record<string, string>> = {
  "-3": "could not be started, will be tried again",
  "-10": "its user is not known on the node",
  "-24": "used more CPUs than asked for",
  "-25": "used more CPUs than asked for",
  "-26": "used more virtual memory than asked for",
  "-27": "used more memory than asked for",
  "-28": "used more CPU time than asked for",
  "-29": "its walltime was over",
};

export function pbsTruth(job: PbsJob): BatchTruth {
  const phase = PHASES[job.state];
  const comment = job.comment === "" ? "" : `: ${job.comment}`;
  const where = job.node === "" ? "" : ` on ${job.node}`;
  const detail = `job ${job.id} ${job.state}${where}${comment}`;
  if (phase === undefined) return { type: "unknown", detail };
  if (phase !== "ended") return { type: "active", phase, detail };
  return { type: "ended", detail: `job ${job.id} ended with ${endOf(job.exitStatus)}` };
}

function endOf(status: number | null): string {
  if (status === null) return "no exit status";
  const words = SERVER_ENDS[String(status)];
  if (words !== undefined) return `${status} (${words})`;
  return status >= 256 ? `signal ${status - 256}` : `exit code ${status}`;
}
