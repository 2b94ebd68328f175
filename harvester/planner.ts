/** The planner: what is wanted and what is true, turned into steps. Pure; steps are data. */
import { HARVESTER } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type {
  QueueHealthReport,
  SubmissionReport,
  SubmissionState,
} from "../protocol/harvester-messages.ts";
import type { BatchTruth } from "./driver.ts";

export interface KnownSubmission {
  readonly submissionId: string;
  /** null before the batch system answered. */
  readonly batchId: string | null;
  readonly truth: BatchTruth;
  /** Whether its pilot has connected to the server at least once. */
  readonly connected: boolean;
  /** Why the call that submitted it failed; null: it did not. The job may exist all the same. */
  readonly submitError: string | null;
}

export interface QueueHealth {
  /** Failed submits in a row. */
  submitFailures: number;
  /** Pilots in a row that ended without ever connecting. */
  neverConnected: number;
  /** Monotonic time of the next probe; null: not paused. */
  probeAtMs: number | null;
  lastError: string | null;
  /** Why the last question about jobs was not answered; null: it was. */
  statusError: string | null;
}

export interface QueueSituation {
  readonly queue: QueueConfig;
  readonly wantedPilots: number;
  readonly submissions: readonly KnownSubmission[];
  /** Submission ids whose boot secrets are at hand and unused. */
  readonly freeSecrets: readonly string[];
  readonly health: QueueHealth;
  /** The server asked for secrets already and has not answered yet. */
  readonly secretsAsked: boolean;
}

export type Step =
  | { readonly type: "submit"; readonly queue: QueueConfig; readonly submissionId: string }
  | { readonly type: "remove"; readonly submissionId: string; readonly reason: string }
  | {
      readonly type: "ended";
      readonly queue: string;
      readonly submissionId: string;
      readonly detail: string;
      readonly connected: boolean;
      /** Whether the batch system had taken it: if not, its end says nothing about pilots. */
      readonly taken: boolean;
    }
  | {
      readonly type: "report";
      readonly queue: string;
      readonly submissions: readonly SubmissionReport[];
      readonly secretsNeeded: number;
      readonly lastError: string | null;
      readonly totals: Readonly<Partial<Record<SubmissionState, number>>>;
      readonly health: QueueHealthReport;
    };

/**
 * Steps for one queue, in the order in which they are to be done. Scale-in is never by removal: idle pilots leave by themselves.
 * Only an offline queue takes back what has not connected yet: it would start in vain.
 */
export function planQueue(situation: QueueSituation, nowMs: number): Step[] {
  const { queue, submissions, freeSecrets, health } = situation;
  const steps: Step[] = [];
  const alive = submissions.filter((one) => one.truth.type !== "ended");
  for (const one of submissions) {
    if (one.truth.type !== "ended") continue;
    const { submissionId, connected, batchId } = one;
    const { detail } = one.truth;
    steps.push({
      type: "ended",
      queue: queue.name,
      submissionId,
      detail: one.submitError === null ? detail : `not submitted: ${one.submitError}`,
      connected,
      taken: batchId !== null,
    });
  }
  if (queue.state === "offline") steps.push(...takenBack(alive));
  const wantedNew = submissionsToMake(situation, alive, nowMs);
  for (const submissionId of freeSecrets.slice(0, wantedNew))
    steps.push({ type: "submit", queue, submissionId });
  const missing = Math.max(0, wantedNew - freeSecrets.length);
  steps.push({
    type: "report",
    queue: queue.name,
    submissions: reported(alive),
    secretsNeeded: situation.secretsAsked
      ? 0
      : Math.min(missing, HARVESTER.submissionsPerReportMax),
    lastError: shownError(health),
    totals: totalsOf(alive),
    health: healthReport(health, nowMs),
  });
  return steps;
}

/** Those without a pilot first: they are what an operator looks for. */
function reported(alive: readonly KnownSubmission[]): SubmissionReport[] {
  const waiting = alive.filter((one) => !one.connected);
  const others = alive.filter((one) => one.connected);
  return [...waiting, ...others].slice(0, HARVESTER.submissionsPerReportMax).map(reportOf);
}

function totalsOf(alive: readonly KnownSubmission[]): Partial<Record<SubmissionState, number>> {
  const totals: Partial<Record<SubmissionState, number>> = {};
  for (const one of alive) {
    const state = stateOf(one.truth);
    totals[state] = (totals[state] ?? 0) + 1;
  }
  return totals;
}

function healthReport(health: QueueHealth, nowMs: number): QueueHealthReport {
  const { submitFailures, neverConnected, probeAtMs, statusError } = health;
  return {
    submitFailures,
    neverConnected,
    probeInSeconds: probeAtMs === null ? null : Math.max(0, (probeAtMs - nowMs) / 1_000),
    statusError: statusError?.slice(0, DETAIL_LENGTH_MAX) ?? null,
  };
}

function takenBack(alive: readonly KnownSubmission[]): Step[] {
  return alive
    .filter((one) => !one.connected && one.truth.type === "active")
    .map(({ submissionId }) => ({ type: "remove", submissionId, reason: "the queue is offline" }));
}

/** The batch system's words may be long; a report above the bound of the wire would close the connection. */
function shownError({ lastError, probeAtMs }: QueueHealth): string | null {
  if (lastError === null) return null;
  return (probeAtMs === null ? lastError : `paused: ${lastError}`).slice(0, DETAIL_LENGTH_MAX);
}

/** Every submission that has not ended counts, started or not; what could not be looked up counts too. */
function submissionsToMake(
  situation: QueueSituation,
  alive: readonly KnownSubmission[],
  nowMs: number,
): number {
  const { queue, wantedPilots, health } = situation;
  if (queue.state === "offline" || queue.state === "drain") return 0;
  const waiting = alive.filter((one) => !one.connected).length;
  const { maxQueued, maxPerCycle } = queue.limits;
  const maxPilots =
    queue.state === "test" ? Math.min(1, queue.limits.maxPilots) : queue.limits.maxPilots;
  const room = Math.min(
    wantedPilots - alive.length,
    maxPilots - alive.length,
    maxQueued - waiting,
    maxPerCycle,
  );
  if (health.probeAtMs === null) return Math.max(0, room);
  // A paused queue probes itself with one submission at a time.
  return nowMs >= health.probeAtMs && waiting === 0 ? Math.min(1, Math.max(0, room)) : 0;
}

function stateOf(truth: BatchTruth): SubmissionState {
  if (truth.type === "active") return truth.phase;
  return truth.type === "ended" ? "ended" : "unknown";
}

function reportOf({
  submissionId,
  truth,
  batchId,
  submitError,
}: KnownSubmission): SubmissionReport {
  const words = submitError === null ? truth.detail : `submit failed: ${submitError}`;
  const detail = words.slice(0, DETAIL_LENGTH_MAX);
  return { submissionId, state: stateOf(truth), batchId, detail, output: "" };
}

/** Whether the queue is paused and its next probe is not due: what is left of a cycle's submits is not tried. */
export function isPaused(health: QueueHealth, nowMs: number): boolean {
  return health.probeAtMs !== null && nowMs < health.probeAtMs;
}

/** First delay before a paused queue probes itself, doubled with each failed probe up to the last. */
const PROBE_MS = 30_000;
const PROBE_MS_MAX = 600_000;
/** Characters of the batch system's words that are passed on. */
export const DETAIL_LENGTH_MAX = 1_000;

/** Notes that a submit failed; pauses the queue after too many in a row. */
export function noteSubmitFailed(health: QueueHealth, why: string, nowMs: number): void {
  health.submitFailures += 1;
  health.lastError = why;
  if (health.submitFailures >= HARVESTER.submitFailuresToPause) {
    pause(health, health.submitFailures - HARVESTER.submitFailuresToPause, nowMs);
  }
}

/** Notes that the batch system took a submission. */
export function noteSubmitted(health: QueueHealth): void {
  health.submitFailures = 0;
  resumeIfHealthy(health);
  if (health.neverConnected === 0) health.lastError = null;
}

/** Notes whether the batch system answers questions about jobs. */
export function noteStatus(health: QueueHealth, truths: readonly BatchTruth[]): void {
  health.statusError = truths.find(({ type }) => type === "commandFailed")?.detail ?? null;
}

/** Notes how a submission ended; pauses the queue after too many pilots in a row that never connected. */
export function noteEnded(
  health: QueueHealth,
  connected: boolean,
  detail: string,
  nowMs: number,
): void {
  if (connected) return;
  health.neverConnected += 1;
  health.lastError = `a pilot ended without ever connecting: ${detail}`;
  if (health.neverConnected >= HARVESTER.neverConnectedToPause) {
    pause(health, health.neverConnected - HARVESTER.neverConnectedToPause, nowMs);
  }
}

/** A pilot of the queue has connected that had not before: whatever kept pilots from it is over. */
export function noteConnected(health: QueueHealth): void {
  health.neverConnected = 0;
  resumeIfHealthy(health);
  if (health.submitFailures === 0) health.lastError = null;
}

function resumeIfHealthy(health: QueueHealth): void {
  const { submitFailures, neverConnected } = health;
  if (submitFailures >= HARVESTER.submitFailuresToPause) return;
  if (neverConnected < HARVESTER.neverConnectedToPause) health.probeAtMs = null;
}

function pause(health: QueueHealth, failedProbes: number, nowMs: number): void {
  health.probeAtMs = nowMs + Math.min(PROBE_MS_MAX, PROBE_MS * 2 ** failedProbes);
}

/** The health of a queue of which nothing is known yet. */
export function healthyQueue(): QueueHealth {
  return {
    submitFailures: 0,
    neverConnected: 0,
    probeAtMs: null,
    lastError: null,
    statusError: null,
  };
}
