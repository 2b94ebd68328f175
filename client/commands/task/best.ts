import { existsSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { EXIT, HyperpilotError, errorText, systemErrorCode } from "../../../protocol/errors.ts";
import type { Run } from "../../command.ts";
import { writeFields } from "../../fields.ts";
import { formatLoss, neutralise } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { parametersText } from "../../words.ts";

export const run: Run = async ({ args, options, context }) => {
  const { output } = context;
  const target = textOption(options, "export");
  const file =
    target === undefined || target === "-" ? null : resolve(context.workingDirectory, target);
  if (file !== null && !flagOption(options, "force") && existsSync(file)) throw alreadyThere(file);
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const { best, state, direction, name } = await api.call("showTask", { params: { taskId } });
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
  if (output.json) {
    output.item("Best", {
      taskId,
      state,
      direction,
      ...best,
      ...(file === null ? {} : { exportedTo: file }),
    });
    return EXIT.success;
  }
  const isTty = output.stdout.isTty;
  writeFields(output, [
    ["Task", `${taskId} "${neutralise(name)}", ${state}`],
    ["Loss", isTty ? formatLoss(best.loss) : String(best.loss)],
    ["Point", neutralise(best.pointId)],
    ["Parameters", isTty ? parametersText(best.text) : neutralise(best.text)],
    ["Exported", file === null ? "" : neutralise(file)],
  ]);
  output.talk(`Next  hyperpilot task points ${taskId} --sort loss`);
  return EXIT.success;
};

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
