/** The evaluation of a task that tells most about why there is no loss. */
import { statSync } from "node:fs";
import { join } from "node:path";
import type { TaskId } from "../../protocol/ids.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Outcome } from "../../protocol/pilot-messages.ts";
import { POINT_STATES } from "../../protocol/states.ts";
import type { TaskSpecification } from "../../protocol/task.ts";
import type { Api } from "../api.ts";
import { failureHints, outcomeWords } from "./failure.ts";

export interface FailedEvaluation {
  readonly pointId: string;
  readonly outcome: Outcome;
  readonly durationSeconds: number;
  /** The end of its output. */
  readonly output: string;
}

/** Characters of output that are looked at. */
const OUTPUT_CHARACTERS_MAX = 16_384;

/** The last evaluation that gave no loss; null when there is none. */
export async function lastFailed(api: Api, taskId: TaskId): Promise<FailedEvaluation | null> {
  for (const state of POINT_STATES) {
    const query = { state, limit: 20 };
    const { items } = await api.call("listPoints", { params: { taskId }, query });
    for (const { pointId } of items) {
      const { history } = await api.call("showPoint", { params: { taskId, pointId } });
      const last = history.findLast(({ outcome }) => outcome.type !== "loss");
      if (last === undefined) continue;
      const { outcome, durationSeconds } = last;
      const output = await outputEnd(api, taskId, pointId);
      return { pointId, outcome, durationSeconds, output };
    }
  }
  return null;
}

/** The end of what a point's evaluations, or a steering run, have printed. */
export async function outputEnd(api: Api, taskId: TaskId, pointId: string): Promise<string> {
  const response = await api.open("pointLog", {
    params: { taskId, pointId },
    accept: "text/plain",
  });
  return (await response.text()).slice(-OUTPUT_CHARACTERS_MAX);
}

export interface FailureContext {
  readonly spec: TaskSpecification;
  /** Directory whose files went with the task, and those that did. */
  readonly directory: string;
  readonly sent: readonly string[];
  readonly ownPython: string | null;
}

/** The failure as an error: what happened, the last lines of output, what most likely helps. Exit code 5. */
export function failureError(
  message: string,
  failed: FailedEvaluation,
  context: FailureContext,
): HyperpilotError {
  const { outcome, output } = failed;
  const hints = failureHints({
    spec: context.spec,
    outcome,
    output,
    ownPython: context.ownPython,
    isLeftBehind: (path) =>
      !context.sent.includes(path) &&
      statSync(join(context.directory, path), { throwIfNoEntry: false }) !== undefined,
  });
  const said = "message" in outcome ? outcome.message : "";
  return new HyperpilotError({
    code: "E_TASK_UNSUCCESSFUL",
    message,
    why:
      outcome.type === "failed"
        ? `${outcome.code}: ${said}`
        : `It ${outcomeWords(outcome)}. ${said}`,
    remedy: hints.length > 0 ? hints.join("\n") : remedyOf(outcome),
  });
}

function remedyOf(outcome: Outcome): string {
  if (outcome.type === "interrupted") return "Remove the cause on this machine, then try again.";
  if (outcome.type === "diverged")
    return "Make the search space smaller where the training diverges, or correct the loss.";
  if (outcome.type === "timeout") return "Allow more time, or train less in one evaluation.";
  return "Correct the program, then try again.";
}
