/** What bjobs -json prints, as truth. States after bjobs(1). Pure. */
import { z } from "zod";
import type { BatchTruth } from "../driver.ts";

export const LSF_FIELDS = [
  "jobid",
  "job_name",
  "stat",
  "exit_code",
  "exit_reason",
  "pend_reason",
  "exec_host",
] as const;

export interface LsfJob {
  readonly id: string;
  readonly name: string;
  readonly state: string;
  readonly exitCode: string;
  readonly exitReason: string;
  readonly pendReason: string;
  readonly host: string;
}

/** Values are texts, also numbers; "-" or nothing where there is none. */
const text = z.union([z.string(), z.number().transform(String)]).catch("");
const Answer = z.object({
  RECORDS: z
    .array(
      z.object({
        JOBID: text,
        JOB_NAME: text,
        STAT: text,
        EXIT_CODE: text,
        EXIT_REASON: text,
        PEND_REASON: text,
        EXEC_HOST: text,
      }),
    )
    .default([]),
});

/** Errors: SyntaxError, ZodError. */
export function parseBjobs(output: string): LsfJob[] {
  if (!output.includes("{")) return [];
  return Answer.parse(JSON.parse(output)).RECORDS.map((job) => ({
    id: job.JOBID,
    name: job.JOB_NAME,
    state: job.STAT,
    exitCode: job.EXIT_CODE,
    exitReason: job.EXIT_REASON,
    pendReason: job.PEND_REASON,
    host: job.EXEC_HOST,
  }));
}

type Phase = "queued" | "running" | "ended" | "unknown";

/** Suspended jobs are jobs; UNKWN and ZOMBI mean that the node does not answer. */
const PHASES: Readonly<Record<string, Phase>> = {
  PEND: "queued",
  WAIT: "queued",
  PROV: "queued",
  PSUSP: "queued",
  RUN: "running",
  USUSP: "running",
  SSUSP: "running",
  DONE: "ended",
  EXIT: "ended",
  UNKWN: "unknown",
  ZOMBI: "unknown",
};

export function lsfTruth(job: LsfJob): BatchTruth {
  const phase = PHASES[job.state] ?? "unknown";
  const where = isGiven(job.host) ? ` on ${job.host}` : "";
  const why = isGiven(job.pendReason) ? `: ${job.pendReason}` : "";
  switch (phase) {
    case "queued":
      return { type: "active", phase, detail: `job ${job.id} ${job.state}${why}` };
    case "running":
      return { type: "active", phase, detail: `job ${job.id} ${job.state}${where}` };
    case "ended": {
      const code = isGiven(job.exitCode) ? ` with exit code ${job.exitCode}` : "";
      const reason = isGiven(job.exitReason) ? `: ${job.exitReason}` : "";
      return { type: "ended", detail: `job ${job.id} ${job.state}${code}${reason}` };
    }
    case "unknown":
      return { type: "unknown", detail: `job ${job.id} ${job.state}${where}` };
  }
}

function isGiven(text: string): boolean {
  return text !== "" && text !== "-";
}
