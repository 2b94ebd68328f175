import { EXIT, type ExitCode } from "../../../protocol/errors.ts";
import type { StateAnswer } from "../../../protocol/rest.ts";
import { isEnded } from "../../../protocol/states.ts";
import type { Invocation, Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { neutralise } from "../../format.ts";
import { flagOption } from "../../option-values.ts";
import { findTask } from "../../selector.ts";
import { limitOptions } from "../../submit/option-parts.ts";
import { stateText, stateTone } from "../../words.ts";

type Action = "pause" | "resume" | "finish" | "hardFinish" | "kill";

async function control({ args, context }: Invocation, action: Action): Promise<ExitCode> {
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  return tellState(
    context,
    await api.call("controlTask", { params: { taskId }, body: { action } }),
  );
}

export const runPause: Run = (invocation) => control(invocation, "pause");
export const runResume: Run = (invocation) => control(invocation, "resume");
export const runKill: Run = (invocation) => control(invocation, "kill");
export const runFinish: Run = (invocation) =>
  control(invocation, flagOption(invocation.options, "hard") ? "hardFinish" : "finish");

/** `task limits`. */
export const runLimits: Run = async ({ args, options, context }) => {
  const limits = limitOptions(options);
  if (Object.keys(limits).length === 0) {
    throw usageError(
      "No limit is named.",
      "Write for example --maxPoints 200. The present ones: hyperpilot task show TASK",
    );
  }
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  return tellState(
    context,
    await api.call("changeLimits", { params: { taskId }, body: { limits } }),
  );
};

/** `task retry`. */
export const runRetry: Run = async ({ args, context }) => {
  const [selector = "", ...pointIds] = args;
  const wrong = pointIds.find((id) => !/^\d{1,16}$/.test(id));
  if (wrong !== undefined) {
    throw usageError(
      `${JSON.stringify(wrong)} is not the id of a point.`,
      "Ids are numbers: hyperpilot task points TASK --state hopeless",
    );
  }
  const api = await context.api();
  const taskId = await findTask(api, selector);
  return tellState(
    context,
    await api.call("retryPoints", { params: { taskId }, body: { pointIds } }),
  );
};

/** The new state, and what is useful next. */
function tellState({ output }: Context, answer: StateAnswer): ExitCode {
  const { taskId, state, reason } = answer;
  if (output.json) {
    output.item("TaskState", answer);
    return EXIT.success;
  }
  const text = output.stdout.isTty ? stateText(state) : state;
  output.data(`Task ${taskId} ${output.paint(stateTone(state), text)}: ${neutralise(reason)}`);
  const next = state === "paused" ? "resume" : isEnded(state) ? "show" : "watch";
  output.talk(`Next  hyperpilot task ${next} ${taskId}`);
  return EXIT.success;
}
