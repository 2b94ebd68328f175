/** Watches the one point of a trial up to its first outcome. */
import type { TaskId } from "../../protocol/ids.ts";
import type { Outcome } from "../../protocol/pilot-messages.ts";
import type { TaskDetail } from "../../protocol/rest.ts";
import { isEnded } from "../../protocol/states.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { isBuiltin, type TaskSpecification } from "../../protocol/task.ts";
import type { Api } from "../api.ts";
import type { Context } from "../context.ts";
import { cutTo, formatDuration, neutralise } from "../format.ts";
import { createDisplay } from "../watch/display.ts";
import { parametersText } from "../words.ts";
import { outputEnd } from "./failed-evaluation.ts";
import { awaitedImage } from "./pilot-logs.ts";

const POLL_MS = 100;

export interface SeenTrial {
  readonly pointId: string;
  /** The point's JSON text. */
  readonly text: string;
  readonly outcome: Outcome;
  /** The end of what was printed. */
  readonly output: string;
  readonly askSeconds: number;
  readonly evaluationSeconds: number;
}

export interface TrialToWatch {
  readonly taskId: TaskId;
  readonly spec: TaskSpecification;
  readonly signal: AbortSignal;
  readonly startedMs: number;
  /** Data directory of the pilot. */
  readonly data: string;
}

/** Null when the signal came first. Errors: E_STEERING with the output of the steering, when no point was proposed. */
export async function watchTrial(
  context: Context,
  api: Api,
  watched: TrialToWatch,
): Promise<SeenTrial | null> {
  const { clock } = context;
  const { taskId, signal, startedMs, data } = watched;
  const progress = progressOf(context);
  let askSeconds: number | null = null;
  try {
    while (!isAborted(signal)) {
      const detail = await api.call("showTask", { params: { taskId } });
      const seconds = (clock.monotonicMs() - startedMs) / 1_000;
      if (detail.generated > 0) askSeconds ??= seconds;
      if (hasOutcome(detail) && askSeconds !== null) {
        const seen = await firstOutcome(api, taskId);
        if (seen !== null) return { ...seen, askSeconds };
      }
      if (isEnded(detail.state)) throw await noPoint(api, detail);
      progress.show(await stageOf(api, detail, data), clock.monotonicMs());
      await clock.sleep(POLL_MS, signal).catch(() => undefined);
    }
    return null;
  } finally {
    progress.close();
  }
}

/** A call, because the compiler takes the property for constant. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

function hasOutcome({ points, attemptsFailed, interruptions }: TaskDetail): boolean {
  return points.done + points.diverged + attemptsFailed + interruptions > 0;
}

async function firstOutcome(
  api: Api,
  taskId: TaskId,
): Promise<Omit<SeenTrial, "askSeconds"> | null> {
  const { items } = await api.call("listPoints", { params: { taskId }, query: { limit: 1 } });
  const pointId = items[0]?.pointId;
  if (pointId === undefined) return null;
  const { history, text } = await api.call("showPoint", { params: { taskId, pointId } });
  const [first] = history;
  if (first === undefined) return null;
  const output = await outputEnd(api, taskId, pointId);
  const { outcome, durationSeconds } = first;
  return { pointId, text, outcome, output, evaluationSeconds: durationSeconds };
}

async function noPoint(api: Api, detail: TaskDetail): Promise<HyperpilotError> {
  const { taskId, spec, reason } = detail;
  const output = isBuiltin(spec.steering) ? "" : await outputEnd(api, taskId, "run-0");
  const last = output.trimEnd().split("\n").slice(-10).join("\n");
  return new HyperpilotError({
    code: "E_STEERING",
    message: "The steering proposed no point.",
    why: `${reason}${last === "" ? "" : `\nIts output ends with:\n${last}`}`,
    remedy: isBuiltin(spec.steering)
      ? "Correct the search space."
      : "Correct --steeringExec, the image or the search space, then try again.",
  });
}

interface Stage {
  readonly name: string;
  /** Added on a terminal. */
  readonly more: string;
}

async function stageOf(api: Api, detail: TaskDetail, data: string): Promise<Stage> {
  if (detail.generated === 0) {
    const { steering } = detail.spec;
    const who = isBuiltin(steering) ? steering.method : "the steering container";
    return { name: `Asking ${who} for a point`, more: "" };
  }
  if (detail.points.leased === 0) return { name: "Starting a pilot", more: "" };
  const image = awaitedImage(data);
  if (image !== null) return { name: `Waiting: ${neutralise(image)}`, more: "" };
  const query = { limit: 1 };
  const { items } = await api.call("listPoints", { params: { taskId: detail.taskId }, query });
  const text = items[0]?.text ?? "";
  return { name: "Evaluating", more: text === "" ? "" : ` ${parametersText(text)}` };
}

interface Progress {
  show(stage: Stage, nowMs: number): void;
  close(): void;
}

/** One line that is drawn over on a terminal, a line per stage elsewhere, nothing for programs. */
function progressOf({ output }: Context): Progress {
  let last = "";
  if (output.json) return { show: () => undefined, close: () => undefined };
  if (!output.stdout.canRedraw) {
    return {
      show: ({ name }) => {
        if (name !== last) output.talk(`${name} ...`);
        last = name;
      },
      close: () => undefined,
    };
  }
  const display = createDisplay(output);
  let sinceMs = 0;
  return {
    show: ({ name, more }, nowMs) => {
      if (name !== last) sinceMs = nowMs;
      last = name;
      const line = `… ${name}${more}`;
      const seconds = Math.floor((nowMs - sinceMs) / 1_000);
      const time = seconds < 1 ? "" : `, ${formatDuration(seconds)}`;
      display.draw([cutTo(line, output.stdout.columns - 1 - time.length) + time]);
    },
    close: () => {
      display.draw([]);
      display.close();
    },
  };
}
