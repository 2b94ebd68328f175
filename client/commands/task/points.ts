import { EXIT } from "../../../protocol/errors.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import type { AttemptView, PointView } from "../../../protocol/rest.ts";
import { POINT_STATES, type PointState } from "../../../protocol/states.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { writeFields } from "../../fields.ts";
import { formatAgo, formatDuration, formatLoss, neutralise } from "../../format.ts";
import { countOption, textOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { writeTable, type Column } from "../../table.ts";
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
  {
    title: "PARAMETERS",
    shrinks: true,
    text: (point) => parametersText(point.text),
    plain: (point) => point.text,
  },
];

/** `task points`. */
export const runPoints: Run = async ({ args, options, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const state = POINT_STATES.find((one) => one === textOption(options, "state"));
  const query: { limit: number; sort: "id" | "loss"; state?: PointState } = {
    limit: countOption(options, "limit") ?? 100,
    sort: textOption(options, "sort") === "loss" ? "loss" : "id",
  };
  if (state !== undefined) query.state = state;
  const { items, nextCursor } = await api.call("listPoints", { params: { taskId }, query });
  if (output.json) {
    output.items("PointList", items, { nextCursor });
    return EXIT.success;
  }
  writeTable(output, COLUMNS, items, `No such points. Why: hyperpilot task why ${taskId}`);
  if (nextCursor !== null) output.talk(`Only ${items.length} of them; more with --limit.`);
  return EXIT.success;
};

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
    ["Proposed", point.run === null ? "" : `by steering run ${point.run}`],
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
