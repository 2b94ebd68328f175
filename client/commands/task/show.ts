import { EXIT } from "../../../protocol/errors.ts";
import type { TaskDetail } from "../../../protocol/rest.ts";
import { POINT_STATES } from "../../../protocol/states.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { formatAgo, formatDuration, neutralise } from "../../format.ts";
import { writeFields } from "../../fields.ts";
import { findTask } from "../../selector.ts";
import { specificationFields } from "../../specification-fields.ts";
import { bestText, parametersText, segmentText, stateText, stateTone } from "../../words.ts";

export const run: Run = async ({ args, context }) => {
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const detail = await api.call("showTask", { params: { taskId } });
  if (context.output.json) context.output.item("Task", detail);
  else show(context, detail);
  return EXIT.success;
};

function show(context: Context, detail: TaskDetail): void {
  const { output } = context;
  const nowMs = context.clock.wallMs();
  const { spec, limits, jobs, runs, best } = detail;
  const points = POINT_STATES.filter((state) => detail.points[state] > 0).map(
    (state) => `${state} ${detail.points[state]}`,
  );
  const maxPerJob =
    limits.maxPointsPerEvaluationJob >= Number.MAX_SAFE_INTEGER
      ? "no limit"
      : String(limits.maxPointsPerEvaluationJob);
  const time = (iso: string): string => (output.stdout.isTty ? formatAgo(iso, nowMs) : iso);
  writeFields(output, [
    ["Task", `${detail.taskId} "${neutralise(detail.name)}" of ${neutralise(detail.owner)}`],
    [
      "State",
      output.paint(stateTone(detail.state), stateText(detail.state)) +
        `: ${neutralise(detail.reason)}`,
    ],
    ["Submitted", time(detail.createdAt)],
    ["Ended", detail.endedAt === null ? "" : time(detail.endedAt)],
    ["Left", detail.etaSeconds === null ? "" : `about ${formatDuration(detail.etaSeconds)}`],
    ["Points", `${points.join(", ") || "none yet"} of ${detail.maxPoints}`],
    ["Best", best === null ? "no loss yet" : `${bestText(best)}: ${parametersText(best.text)}`],
    ...segmentFields(detail),
    [
      "Jobs",
      `${jobs.active} active, ${jobs.charged} of ${limits.maxEvaluationJobs} charged, ${jobs.interrupted} only interrupted`,
    ],
    ["Attempts", `${detail.attemptsFailed} failed, ${detail.interruptions} interruptions`],
    [
      "Runs",
      `${runs.finished} of steering finished${runs.openRun === null ? "" : `, run ${runs.openRun} going on`}`,
    ],
    ["Asking", detail.askingEnded === null ? "" : `ended: ${neutralise(detail.askingEnded)}`],
    [
      "Median",
      detail.medianEvaluationSeconds === null
        ? ""
        : `${formatDuration(detail.medianEvaluationSeconds)} per evaluation`,
    ],
    [
      "Limits",
      `${limits.nParallelEvaluation} at a time, ${limits.nPointsPerIteration} points per iteration, at least ${limits.minUnevaluatedPoints} unevaluated${detail.segments.length === 0 ? "" : " in each segment"}, points per job: ${maxPerJob}`,
    ],
    ...specificationFields(spec),
    ...detail.warnings.map((warning) => ["Warning", neutralise(warning)] as const),
  ]);
  const next = detail.endedAt === null ? "watch" : detail.state === "finished" ? "best" : "why";
  output.talk(`Next  hyperpilot task ${next} ${detail.taskId}`);
}

/** Segments shown one by one. */
const SEGMENTS_SHOWN = 20;

function segmentFields({
  segments,
  limits,
  taskId,
}: TaskDetail): readonly (readonly [string, string])[] {
  if (segments.length === 0) return [];
  const shown = segments.slice(0, SEGMENTS_SHOWN);
  const more = segments.length - shown.length;
  return [
    ...shown.map(
      (one) =>
        ["Segment", `${neutralise(one.name)}: ${segmentText(one, limits.maxPoints)}`] as const,
    ),
    [
      "Segments",
      more === 0 ? "" : `${more} more; all of them: hyperpilot task best ${taskId} --segments`,
    ],
  ];
}
