/** What harvesters tell about their submissions, kept for those who run the site. */
import type { FromHarvester, SubmissionReport } from "../../protocol/harvester-messages.ts";
import { SITE } from "../../protocol/limits.ts";
import type { Core } from "../core.ts";
import { liveQueue, type Live, type LiveQueue } from "../live.ts";

type Report = Extract<FromHarvester, { type: "report" }>;
type End = Extract<FromHarvester, { type: "ended" }>;

/** Takes the report of the harvester that serves the queue. */
export function noteReport(live: Live, report: Report, nowMs: number): void {
  const queue = liveQueue(live, report.queue);
  const { submissions, totals, lastError, health } = report;
  queue.submissions = submissions;
  queue.totals = Object.keys(totals).length > 0 ? totals : countedByState(submissions);
  queue.lastError = lastError;
  queue.health = health;
  queue.reportedMs = nowMs;
  noteTimes(queue, submissions, nowMs);
  for (const one of submissions) {
    const test = live.tests.get(one.submissionId);
    if (test !== undefined) test.report = one;
  }
}

function countedByState(submissions: readonly SubmissionReport[]): LiveQueue["totals"] {
  const totals: Partial<Record<SubmissionReport["state"], number>> = {};
  for (const { state } of submissions) totals[state] = (totals[state] ?? 0) + 1;
  return totals;
}

function noteTimes(
  queue: LiveQueue,
  submissions: readonly SubmissionReport[],
  nowMs: number,
): void {
  const { since } = queue;
  const present = new Set(submissions.map(({ submissionId }) => submissionId));
  for (const id of since.keys()) if (!present.has(id)) since.delete(id);
  for (const { submissionId, state } of submissions) {
    const known = since.get(submissionId);
    if (known === undefined) since.set(submissionId, { firstMs: nowMs, state, stateMs: nowMs });
    else if (known.state !== state) Object.assign(known, { state, stateMs: nowMs });
  }
}

/** Keeps what a job said that ended without a pilot. A repeated end is told once. */
export function noteEnd(core: Core, live: Live, end: End, nowMs: number): void {
  const { submissionId, detail, output, taken } = end;
  const test = live.tests.get(submissionId);
  if (test !== undefined) test.ended ??= { detail, output, taken };
  // A pilot that left at once may have ended before its harvester knew that it had come.
  const hasConnected = (core.submissions.get(submissionId)?.pilotId ?? null) !== null;
  if (end.connected || hasConnected) return;
  const { failed } = liveQueue(live, end.queue);
  if (failed.some((one) => one.submissionId === submissionId)) return;
  failed.push({ submissionId, detail, output, taken, atMs: nowMs });
  failed.splice(0, failed.length - SITE.failedSubmissionsKept);
}
