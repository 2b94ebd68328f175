/** Signals by which batch systems end a pilot or announce its end, and what each of them means. Pure. */
import { PILOT } from "../protocol/limits.ts";

export interface StopReason {
  readonly reason: string;
  readonly walltimeOver: boolean;
  /** Time before the batch system ends the pilot, where it is not the usual one. */
  readonly graceMs?: number;
}

/**
 * SIGTERM comes before SIGKILL everywhere. The others are notices: SIGUSR1 of Slurm (`--signal`) and Grid Engine (`s_rt`, `-notify`
 * before a suspension), SIGUSR2 of Grid Engine (`-notify` before SIGKILL) and LSF (`-wa`, end of the run limit), SIGXCPU of limits on
 * CPU time. Without a listener all of them would end the process at once, but SIGUSR1: that would open Node's debugger.
 */
export const END_SIGNALS = [
  "SIGTERM",
  "SIGINT",
  "SIGHUP",
  "SIGUSR1",
  "SIGUSR2",
  "SIGXCPU",
] as const;
export type EndSignal = (typeof END_SIGNALS)[number];

const NOTICES: ReadonlySet<EndSignal> = new Set(["SIGUSR1", "SIGUSR2", "SIGXCPU"]);
/** Slurm sends the signal of `--signal` up to a minute too early (sbatch(1)). */
const NOTICE_SLACK_SECONDS = 60;

export interface EndContext {
  /** Notice that the harvester has asked the batch system for. */
  readonly noticeSeconds: number;
  /** Now; null: unknown. */
  readonly walltimeLeftSeconds: number | null;
}

/** How the pilot ends after the signal. A notice that comes with the end of the walltime is no eviction. */
export function endBySignal(
  signal: EndSignal,
  { noticeSeconds, walltimeLeftSeconds }: EndContext,
): StopReason {
  if (!NOTICES.has(signal) || noticeSeconds === 0)
    return { reason: `the batch system ended the pilot (${signal})`, walltimeOver: false };
  const graceMs = noticeSeconds * 1_000;
  const walltimeOver =
    walltimeLeftSeconds !== null && walltimeLeftSeconds <= noticeSeconds + NOTICE_SLACK_SECONDS;
  const why = walltimeOver ? "the walltime is nearly over" : "the batch system wants the node back";
  return { reason: `${why} (${signal})`, walltimeOver, graceMs };
}

/** The time for everything up to the last result, out of the time before SIGKILL. */
export function handOverMs(graceMs: number): number {
  return Math.min(PILOT.noticeStopMsMax, Math.max((graceMs * 2) / 3, graceMs - 10_000));
}
