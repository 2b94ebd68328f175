import { EXIT, HyperpilotError, type ExitCode } from "../../../protocol/errors.ts";
import type { SegmentDetail } from "../../../protocol/rest.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { writeFields } from "../../fields.ts";
import { formatLoss, neutralise } from "../../format.ts";
import { flagOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { writeTable, type Column } from "../../table.ts";
import { endedPoints, parametersText } from "../../words.ts";

/** Segments of one page: more than any task has. */
const SEGMENTS_MAX = 1_000;

export const run: Run = async ({ args, options, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  if (flagOption(options, "segments")) return showSegments(context, api, taskId);
  const detail = await api.call("showTask", { params: { taskId } });
  const { best, state, direction, name } = detail;
  if (best === null) {
    throw new HyperpilotError({
      code: state === "failed" || state === "aborted" ? "E_TASK_UNSUCCESSFUL" : "E_NOT_FINISHED",
      message: `Task ${taskId} has no loss${state === "failed" || state === "aborted" ? "" : " yet"}: it is ${state}.`,
      remedy: `See why: hyperpilot task why ${taskId}`,
    });
  }
  const isSegmented = detail.segments.length > 0;
  const segment = detail.segments.find((one) => one.best?.pointId === best.pointId)?.name ?? "";
  if (output.json) {
    output.item("Best", { taskId, state, direction, ...best, ...(isSegmented ? { segment } : {}) });
    return EXIT.success;
  }
  const isTty = output.stdout.isTty;
  writeFields(output, [
    ["Task", `${taskId} "${neutralise(name)}", ${state}`],
    ["Loss", isTty ? formatLoss(best.loss) : String(best.loss)],
    ["Point", neutralise(best.pointId)],
    ["Segment", neutralise(segment)],
    ["Parameters", isTty ? parametersText(best.text) : neutralise(best.text)],
  ]);
  output.talk(
    `Next  hyperpilot task ${isSegmented ? `best ${taskId} --segments` : `points ${taskId} --sort loss`}`,
  );
  return EXIT.success;
};

const COLUMNS: readonly Column<SegmentDetail>[] = [
  { title: "SEGMENT", shrinks: true, text: ({ name }) => name },
  {
    title: "LOSS",
    align: "right",
    text: ({ best }) => (best === null ? "-" : formatLoss(best.loss)),
    plain: ({ best }) => (best === null ? "" : String(best.loss)),
  },
  { title: "POINT", align: "right", text: ({ best }) => best?.pointId ?? "" },
  { title: "ENDED", align: "right", text: ({ points }) => String(endedPoints(points)) },
  {
    title: "PARAMETERS",
    shrinks: true,
    text: ({ best }) => (best === null ? "" : parametersText(best.text)),
    plain: ({ best }) => best?.text ?? "",
  },
];

/** The best of each segment. */
async function showSegments(context: Context, api: Api, taskId: number): Promise<ExitCode> {
  const { output } = context;
  const query = { limit: SEGMENTS_MAX };
  const { items, nextCursor } = await api.call("listSegments", { params: { taskId }, query });
  if (output.json) {
    output.items("SegmentList", items, { nextCursor });
    return EXIT.success;
  }
  writeTable(output, COLUMNS, items, `Task ${taskId} is one search, without segments.`);
  return EXIT.success;
}
