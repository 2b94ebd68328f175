import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import {
  EXIT,
  HyperpilotError,
  errorText,
  systemErrorCode,
  type ExitCode,
} from "../../../protocol/errors.ts";
import type { SegmentDetail } from "../../../protocol/rest.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { writeFields } from "../../fields.ts";
import { formatLoss, neutralise } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { writeTable, type Column } from "../../table.ts";
import { endedPoints, parametersText } from "../../words.ts";

/** Segments of one page: more than any task has. */
const SEGMENTS_MAX = 1_000;

export const run: Run = async ({ args, options, context }) => {
  const { output } = context;
  const target = textOption(options, "export");
  if (target !== undefined && flagOption(options, "segments"))
    throw usageError(
      "--segments and --export exclude each other.",
      "Leave --segments out; the best point of all segments is exported.",
    );
  const file =
    target === undefined || target === "-" ? null : resolve(context.workingDirectory, target);
  if (file !== null && !flagOption(options, "force") && existsSync(file)) throw alreadyThere(file);
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
  if (target === "-") {
    output.raw(best.text);
    return EXIT.success;
  }
  if (file !== null) exportPoint(file, best.text, flagOption(options, "force"));
  const isSegmented = detail.segments.length > 0;
  const segment = detail.segments.find((one) => one.best?.pointId === best.pointId)?.name ?? "";
  if (output.json) {
    output.item("Best", {
      taskId,
      state,
      direction,
      ...best,
      ...(isSegmented ? { segment } : {}),
      ...(file === null ? {} : { exportedTo: file }),
    });
    return EXIT.success;
  }
  const isTty = output.stdout.isTty;
  writeFields(output, [
    ["Task", `${taskId} "${neutralise(name)}", ${state}`],
    ["Loss", isTty ? formatLoss(best.loss) : String(best.loss)],
    ["Point", neutralise(best.pointId)],
    ["Segment", neutralise(segment)],
    ["Parameters", isTty ? parametersText(best.text) : neutralise(best.text)],
    ["Exported", file === null ? "" : neutralise(file)],
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

/** The point's text and nothing more: what an evaluation would find. Errors: E_CONFLICT, E_FILE. */
function exportPoint(file: string, text: string, isForced: boolean): void {
  try {
    writeFileSync(file, text, { flag: isForced ? "w" : "wx" });
  } catch (error) {
    if (systemErrorCode(error) === "EEXIST") throw alreadyThere(file);
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `${file} cannot be written.`,
        why: errorText(error),
        remedy: "Name another file: --export FILE, or - for standard output.",
      },
      error,
    );
  }
}

function alreadyThere(file: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `${file} exists already; it was left as it is.`,
    remedy: "Name another file, or replace it with --force.",
  });
}
