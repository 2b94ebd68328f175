/** What squeue prints, as truth. States after squeue(1), section "JOB STATE CODES". Pure. */
import type { BatchTruth } from "../driver.ts";

export interface SlurmJob {
  readonly id: string;
  readonly state: string;
  readonly reason: string;
  readonly node: string;
  readonly name: string;
}

/** Lines of `%i|%T|%r|%L|%S|%e|%N|%j`; a reason may hold the separator, so lines are read from both ends. */
export function parseSqueue(text: string): SlurmJob[] {
  return text.split("\n").flatMap((line) => {
    const parts = line.split("|");
    if (parts.length < 8) return [];
    const [id = "", state = ""] = parts;
    const reason = parts.slice(2, -5).join("|");
    return [{ id, state, reason, node: parts.at(-2) ?? "", name: parts.at(-1) ?? "" }];
  });
}

type Phase = "queued" | "running" | "ended" | "unknown";

const PHASES: Readonly<Record<string, Phase>> = {
  PENDING: "queued",
  CONFIGURING: "queued",
  REQUEUED: "queued",
  REQUEUE_FED: "queued",
  REQUEUE_HOLD: "queued",
  RESV_DEL_HOLD: "queued",
  SPECIAL_EXIT: "queued",
  RUNNING: "running",
  RESIZING: "running",
  SIGNALING: "running",
  STAGE_OUT: "running",
  SUSPENDED: "running",
  STOPPED: "running",
  // Before an end as well as before a requeue; which of them, the next state tells.
  COMPLETING: "running",
  COMPLETED: "ended",
  CANCELLED: "ended",
  FAILED: "ended",
  TIMEOUT: "ended",
  DEADLINE: "ended",
  // A preempted job that starts again is PENDING; one that stays in this state has ended.
  PREEMPTED: "ended",
  OUT_OF_MEMORY: "ended",
  NODE_FAIL: "ended",
  BOOT_FAIL: "ended",
  LAUNCH_FAILED: "ended",
  RECONFIG_FAIL: "ended",
  REVOKED: "unknown",
};

/** A state of a newer Slurm is no end. */
export function slurmTruth(job: SlurmJob): BatchTruth {
  // sacct and some versions write "CANCELLED by 1000" and "CANCELLED+".
  const word = /^[A-Z_]+/.exec(job.state)?.[0] ?? "";
  const phase = PHASES[word] ?? "unknown";
  const because = job.reason === "" || job.reason === "None" ? "" : ` (${job.reason})`;
  const where = job.node === "" ? "" : ` on ${job.node}`;
  const detail = `job ${job.id} ${job.state}${because}${where}`;
  switch (phase) {
    case "queued":
    case "running":
      return { type: "active", phase, detail };
    case "ended":
    case "unknown":
      return { type: phase, detail };
  }
}
