import { EXIT } from "../../../protocol/errors.ts";
import type { TaskId } from "../../../protocol/ids.ts";
import { SERVER } from "../../../protocol/limits.ts";
import type { PointState } from "../../../protocol/states.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { neutraliseLines } from "../../format.ts";
import { findTask } from "../../selector.ts";

/** Head, tail and what the server says between them. */
const LOG_BYTES_MAX = SERVER.logHeadBytesMax + SERVER.logTailBytesMax + 1_048_576;

export const run: Run = async ({ args, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const chosen =
    args[1] === undefined ? await tellingPoint(api, taskId) : { pointId: args[1], which: "" };
  const { pointId, which } = chosen;
  const of = pointId.startsWith("run-") ? `steering ${pointId}` : `point ${pointId}`;
  const response = await api.open("pointLog", {
    params: { taskId, pointId },
    accept: "text/plain",
  });
  const text = await boundedText(response);
  if (output.json) {
    output.item("Log", { taskId, pointId, text });
    return EXIT.success;
  }
  if (which !== "") output.talk(`Output of ${of}, ${which}:`);
  if (text === "") output.talk(`No output of ${of} yet; it comes when an attempt has ended.`);
  else output.data((output.stdout.isTty ? neutraliseLines(text) : text).replace(/\n$/, ""));
  return EXIT.success;
};

/** The point whose output most likely tells something: a failed one, else one that was evaluated, else a running one. */
async function tellingPoint(
  api: Api,
  taskId: TaskId,
): Promise<{ readonly pointId: string; readonly which: string }> {
  const kinds: readonly (readonly [PointState, string])[] = [
    ["hopeless", "which failed"],
    ["diverged", "which diverged"],
    ["done", "the best one"],
    ["leased", "which runs"],
  ];
  for (const [state, which] of kinds) {
    const query = { limit: 1, state, sort: state === "done" ? ("loss" as const) : ("id" as const) };
    const { items } = await api.call("listPoints", { params: { taskId }, query });
    const first = items[0];
    if (first !== undefined) return { pointId: first.pointId, which };
  }
  const { spec, runs } = await api.call("showTask", { params: { taskId } });
  if ("exec" in spec.steering)
    return { pointId: `run-${runs.finished}`, which: "as no point has been evaluated" };
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `No point of task ${taskId} has been evaluated yet.`,
    remedy: `See why: hyperpilot task why ${taskId}`,
  });
}

async function boundedText(response: Response): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.length;
    if (bytes > LOG_BYTES_MAX) {
      throw new HyperpilotError({
        code: "E_TOO_LARGE",
        message: `The output has more than ${LOG_BYTES_MAX} bytes.`,
        remedy: "Check that the address is that of a Hyperpilot server.",
      });
    }
    text += decoder.decode(part, { stream: true });
  }
  return text + decoder.decode();
}
