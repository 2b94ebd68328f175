import { EXIT } from "../../../protocol/errors.ts";
import { assertNever } from "../../../protocol/assert-never.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import type { AttemptView, PointView, TaskDetail } from "../../../protocol/rest.ts";
import { POINT_STATES, type PointState } from "../../../protocol/states.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { writeFields } from "../../fields.ts";
import { formatAgo, formatDuration, formatLoss, neutralise } from "../../format.ts";
import { countOption, textOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { writeTable, type Column } from "../../table.ts";
import { findSegment } from "../../segments.ts";
import { parametersText, stateText, stateTone } from "../../words.ts";

const COLUMNS: readonly Column<PointView>[] = [
  { title: "POINT", align: "right", text: (point) => point.pointId },
  {
    title: "STATE",
    tone: (point) => stateTone(point.state),
    text: (point) => stateText(point.state),
    plain: (point) => point.state,
  },
  {
    title: "LOSS",
    align: "right",
    text: (point) => (point.loss === null ? "-" : formatLoss(point.loss)),
    plain: (point) => (point.loss === null ? "" : String(point.loss)),
  },
  { title: "ATTEMPTS", align: "right", text: (point) => String(point.attempts) },
  {
    title: "NODE",
    shrinks: true,
    text: (point) => point.node ?? "-",
    plain: (point) => point.node ?? "",
  },
  { title: "FROM", text: originText },
  {
    title: "PARAMETERS",
    shrinks: true,
    text: (point) => parametersText(point.text),
    plain: (point) => point.text,
  },
];

/** Who proposed the point. */
function originText({ origin, run, retryOf }: PointView): string {
  switch (origin) {
    case "steering":
      return run === null ? "steering" : `run ${run}`;
    case "random":
      return "random";
    case "retry":
      return `retry of ${retryOf ?? "?"}`;
    default:
      return assertNever(origin);
  }
}

/** `task points`. */
export const runPoints: Run = async ({ args, options, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const state = POINT_STATES.find((one) => one === textOption(options, "state"));
  const query: { limit: number; sort: "id" | "loss"; state?: PointState; segment?: number } = {
    limit: countOption(options, "limit") ?? 100,
    sort: textOption(options, "sort") === "loss" ? "loss" : "id",
  };
  if (state !== undefined) query.state = state;
  const segment = textOption(options, "segment");
  if (segment !== undefined) query.segment = findSegment(await segmentNames(api, taskId), segment);
  const { items, nextCursor } = await api.call("listPoints", { params: { taskId }, query });
  if (output.json) {
    output.items("PointList", items, { nextCursor });
    return EXIT.success;
  }
  const columns = items.some((one) => one.segment !== null)
    ? withSegments(await segmentNames(api, taskId))
    : COLUMNS;
  writeTable(output, columns, items, `No such points. Why: hyperpilot task why ${taskId}`);
  if (nextCursor !== null) output.talk(`Only ${items.length} of them; more with --limit.`);
  return EXIT.success;
};

type Named = Pick<TaskDetail, "taskId" | "segments">;

function segmentNames(api: Api, taskId: number): Promise<Named> {
  return api.call("showTask", { params: { taskId } });
}

/** Points of a segmented task show their segment. */
function withSegments({ segments }: Named): readonly Column<PointView>[] {
  const [id, ...others] = COLUMNS;
  const column: Column<PointView> = {
    title: "SEGMENT",
    shrinks: true,
    text: ({ segment }) => segments[segment ?? -1]?.name ?? "-",
  };
  return id === undefined ? COLUMNS : [id, column, ...others];
}

/** `task point`. */
export const runPoint: Run = async ({ args, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const pointId = args[1] ?? "";
  const point = await api.call("showPoint", { params: { taskId, pointId } });
  if (output.json) {
    output.item("Point", point);
    return EXIT.success;
  }
  writeFields(output, [
    ["Point", `${neutralise(point.pointId)} of task ${taskId}`],
    ["State", output.paint(stateTone(point.state), stateText(point.state))],
    [
      "Loss",
      point.loss === null ? "" : output.stdout.isTty ? formatLoss(point.loss) : String(point.loss),
    ],
    ["Parameters", output.stdout.isTty ? parametersText(point.text) : neutralise(point.text)],
    ["Segment", point.segment === null ? "" : String(point.segment)],
    ["Proposed", proposedText(point)],
    ["Retry of", neutralise(point.retryOf ?? "")],
    ["Attempts", `${point.attempts}, and ${point.interruptions} interruptions`],
    ["Node", neutralise(point.node ?? "")],
    ["Metadata", point.metadata === null ? "" : formatBytes(point.metadata.sizeBytes)],
    ["Metrics", point.metrics === null ? "" : formatBytes(point.metrics.sizeBytes)],
    ["Checkpoints", point.checkpoints.map(({ sizeBytes }) => formatBytes(sizeBytes)).join(", ")],
    ...point.warnings.map((text) => ["Warning", neutralise(text)] as const),
    ...point.notices.map(({ at, text }) => ["Notice", noticeText(context, at, text)] as const),
  ]);
  if (point.history.length > 0) writeHistory(context, point.history);
  output.talk(`Next  hyperpilot task logs ${taskId} ${neutralise(point.pointId)}`);
  return EXIT.success;
};

function proposedText({ origin, run }: PointView): string {
  if (origin === "random") return "at random, for a slot that waited for steering";
  return run === null ? "" : `by steering run ${run}`;
}

function noticeText({ output, clock }: Context, at: string, text: string): string {
  const when = output.stdout.isTty ? formatAgo(at, clock.wallMs()) : at;
  return `${when}: ${neutralise(text)}`;
}

function writeHistory(context: Context, history: readonly AttemptView[]): void {
  const nowMs = context.clock.wallMs();
  const columns: readonly Column<AttemptView>[] = [
    { title: "ATTEMPT", align: "right", text: (one) => String(one.attempt) },
    { title: "ENDED", text: (one) => formatAgo(one.endedAt, nowMs), plain: (one) => one.endedAt },
    {
      title: "TOOK",
      text: (one) => formatDuration(one.durationSeconds),
      plain: (one) => String(one.durationSeconds),
    },
    { title: "NODE", shrinks: true, text: (one) => one.node },
    { title: "OUTCOME", text: (one) => one.outcome.type },
    { title: "FROM", text: (one) => (one.restored === null ? "the start" : "a checkpoint") },
    {
      title: "MESSAGE",
      shrinks: true,
      text: (one) =>
        [one.outcome.message, ...one.warnings].filter((text) => text !== "").join("; "),
    },
  ];
  writeTable(context.output, columns, history, "No attempt has ended yet.");
}
