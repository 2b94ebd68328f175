import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";
import type { Run } from "../../command.ts";
import { writeFields } from "../../fields.ts";
import { formatLoss, neutralise } from "../../format.ts";
import { findTask } from "../../selector.ts";
import { parametersText } from "../../words.ts";

export const run: Run = async ({ args, context }) => {
  const { output } = context;
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
  if (output.json) {
    output.item("Best", { taskId, state, direction, ...best });
    return EXIT.success;
  }
  const isTty = output.stdout.isTty;
  writeFields(output, [
    ["Task", `${taskId} "${neutralise(name)}", ${state}`],
    ["Loss", isTty ? formatLoss(best.loss) : String(best.loss)],
    ["Point", neutralise(best.pointId)],
    ["Parameters", isTty ? parametersText(best.text) : neutralise(best.text)],
  ]);
  output.talk(`Next  hyperpilot task points ${taskId} --sort loss`);
  return EXIT.success;
};
