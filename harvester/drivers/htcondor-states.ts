/** What condor_q and condor_history print, as truth. Codes after the manual, "Job ClassAd Attributes". Pure. */
import { z } from "zod";
import type { BatchTruth } from "../driver.ts";

const number = z.number().optional().catch(undefined);
const text = z.string().optional().catch(undefined);

const Job = z.object({
  ClusterId: z.number(),
  ProcId: z.number(),
  HyperpilotSubmission: z.string(),
  JobStatus: z.number(),
  HoldReason: text,
  HoldReasonCode: number,
  ExitCode: number,
  ExitBySignal: z.boolean().optional().catch(undefined),
  ExitSignal: number,
  RemoveReason: text,
  NumShadowStarts: number,
  RemoteHost: text,
  VacateReason: text,
});

export const ATTRIBUTES = Object.keys(Job.shape).filter((name) => name !== "HyperpilotSubmission");

export interface CondorJob extends z.infer<typeof Job> {
  readonly tag: string;
}

/** Nothing at all is printed when no job is there. Errors: SyntaxError. */
export function parseJobs(output: string): CondorJob[] {
  if (output.trim() === "") return [];
  const list: unknown = JSON.parse(output);
  if (!Array.isArray(list)) return [];
  return list.flatMap((one) => {
    const parsed = Job.safeParse(one);
    return parsed.success ? [{ ...parsed.data, tag: parsed.data.HyperpilotSubmission }] : [];
  });
}

const IDLE = 1;
const RUNNING = 2;
const REMOVED = 3;
const COMPLETED = 4;
const HELD = 5;
const TRANSFERRING = 6;
const SUSPENDED = 7;

export function condorTruth(job: CondorJob): BatchTruth {
  const id = `job ${job.ClusterId}.${job.ProcId}`;
  const starts = job.NumShadowStarts ?? 0;
  switch (job.JobStatus) {
    case IDLE: {
      const again = starts > 0 ? `, waits for its start number ${starts + 1}` : "";
      const reason = job.VacateReason === undefined ? "" : ` (${job.VacateReason})`;
      return { type: "active", phase: "queued", detail: `${id} idle${again}${reason}` };
    }
    case HELD: {
      // It waits until somebody releases it; ended it has not.
      const detail = `${id} held: ${job.HoldReason ?? "no reason given"} (code ${job.HoldReasonCode ?? 0})`;
      return { type: "active", phase: "queued", detail };
    }
    case RUNNING:
    case TRANSFERRING:
    case SUSPENDED: {
      const where = job.RemoteHost === undefined ? "" : ` on ${job.RemoteHost}`;
      return { type: "active", phase: "running", detail: `${id} running${where}` };
    }
    case REMOVED:
      return job.RemoteHost === undefined
        ? { type: "ended", detail: `${id} removed: ${job.RemoveReason ?? "no reason given"}` }
        : { type: "active", phase: "running", detail: `${id} is being removed` };
    case COMPLETED:
      return { type: "ended", detail: `${id} ended with ${endOf(job)}` };
    default:
      return { type: "unknown", detail: `${id} has status ${job.JobStatus}` };
  }
}

function endOf(job: CondorJob): string {
  if (job.ExitBySignal === true) return `signal ${job.ExitSignal ?? 0}`;
  return `exit code ${job.ExitCode ?? 0}`;
}
