/** Submissions and pilots, one by one, as REST shows them to operators. Pure. */
import { HyperpilotError } from "../../../protocol/errors.ts";
import type { SubmissionReport } from "../../../protocol/harvester-messages.ts";
import { SITE } from "../../../protocol/limits.ts";
import type { PilotDetail, SubmissionView } from "../../../protocol/site.ts";
import type { Core, Submission } from "../../core.ts";
import type { Live, LivePilot } from "../../live.ts";
import { findSubmission, noSuchPilot } from "../../queues/output-requests.ts";
import { leaseText } from "../queues.ts";

/** Those that harvesters report, oldest first; of a queue, or of all. */
export function submissionViews(
  core: Core,
  live: Live,
  { queue, nowMs }: { readonly queue?: string | undefined; readonly nowMs: number },
): SubmissionView[] {
  const views: SubmissionView[] = [];
  for (const [name, state] of live.queues) {
    if (queue !== undefined && queue !== name) continue;
    for (const report of state.submissions)
      views.push(submissionView(core, live, { queue: name, report, nowMs }));
  }
  return views.sort((a, b) => b.ageSeconds - a.ageSeconds).slice(0, SITE.answerRowsMax);
}

interface Reported {
  readonly queue: string;
  readonly report: SubmissionReport;
  readonly nowMs: number;
}

function submissionView(
  core: Core,
  live: Live,
  { queue, report, nowMs }: Reported,
): SubmissionView {
  const state = live.queues.get(queue);
  const since = state?.since.get(report.submissionId);
  const seconds = (fromMs: number | undefined): number =>
    Math.max(0, nowMs - (fromMs ?? nowMs)) / 1_000;
  return {
    submissionId: report.submissionId,
    queue,
    state: report.state,
    batchId: report.batchId,
    detail: report.detail,
    pilotId: core.submissions.get(report.submissionId)?.pilotId ?? null,
    harvester: state?.harvester ?? null,
    ageSeconds: seconds(since?.firstMs),
    stateSeconds: seconds(since?.stateMs),
  };
}

/** By the id of a pilot or a submission. Errors: E_NOT_FOUND. */
export function pilotDetail(core: Core, live: Live, id: string, nowMs: number): PilotDetail {
  const submission = findSubmission({ core }, id);
  if (submission === null) throw ended(live, id) ?? noSuchPilot(id);
  const { pilotId, queue } = submission;
  const report =
    live.queues
      .get(queue)
      ?.submissions.find(({ submissionId }) => submissionId === submission.id) ??
    unreported(submission);
  const pilot = pilotId === null ? undefined : live.pilots.get(pilotId);
  return {
    pilotId,
    submission: submissionView(core, live, { queue, report, nowMs }),
    node: pilot?.capacity.node ?? null,
    connected: pilot !== undefined && pilot.session !== null,
    draining: pilot?.draining ?? false,
    silentSeconds: pilot === undefined ? null : Math.max(0, nowMs - pilot.heardMs) / 1_000,
    capacity: pilot?.capacity ?? null,
    slots: slotsOf(pilot),
    items: itemsOf(core, pilotId),
    walltimeLeftSeconds:
      pilot?.walltimeEndMs == null ? null : Math.max(0, pilot.walltimeEndMs - nowMs) / 1_000,
    starts: submission.exchanges,
  };
}

function unreported({ id }: Submission): SubmissionReport {
  const detail = "not reported by its harvester yet";
  return { submissionId: id, state: "planned", batchId: null, detail, output: "" };
}

function slotsOf(pilot: LivePilot | undefined): PilotDetail["slots"] {
  return (pilot?.slots ?? []).map(({ resources: { cpus, memoryBytes, gpus } }) => ({
    cpus,
    memoryBytes,
    gpus: gpus.map(({ model }) => model),
  }));
}

function itemsOf(core: Core, pilotId: string | null): PilotDetail["items"] {
  const leases = [...(core.leasesByPilot.get(pilotId ?? "")?.values() ?? [])];
  return leases.map((ref) => ({
    item: leaseText(ref),
    owner: ref.task.owner,
    slot: ref.point?.lease?.slot ?? ref.task.run?.lease?.slot ?? 0,
  }));
}

/** One that has ended without a pilot is still remembered for a while. */
function ended(live: Live, id: string): HyperpilotError | null {
  for (const { failed } of live.queues.values()) {
    const found = failed.find(({ submissionId }) => submissionId === id);
    if (found === undefined) continue;
    return new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `Submission ${id} has ended without a pilot.`,
      why: found.detail,
      remedy: `What its job printed: hyperpilot site pilot logs ${id}`,
    });
  }
  return null;
}
