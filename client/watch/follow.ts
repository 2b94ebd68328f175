/** `task watch` and `submit --wait`: shows a task until it ends. */
import { EXIT, HyperpilotError, type ExitCode } from "../../protocol/errors.ts";
import type { TaskId } from "../../protocol/ids.ts";
import type { TaskDetail } from "../../protocol/rest.ts";
import { isEnded } from "../../protocol/states.ts";
import type { Api } from "../api.ts";
import type { Context } from "../context.ts";
import { neutralise } from "../format.ts";
import { bestText, parametersText, stateText, stateTone } from "../words.ts";
import { createDisplay } from "./display.ts";
import { Progress } from "./progress.ts";
import { screenLines, type Shown } from "./screen.ts";
import { taskStates } from "./stream.ts";

const REDRAW_MS = 1_000;

/** Resolves with 0 when the task finished, 5 when it ended otherwise, 130 after Ctrl-C. */
export async function followTask(context: Context, api: Api, taskId: TaskId): Promise<ExitCode> {
  const { output } = context;
  const last = await watchTask(context, api, taskId, ({ state }) => isEnded(state));
  if (last === null) {
    output.talk(`Stopped watching, the task goes on: hyperpilot task watch ${taskId}`);
    return EXIT.interrupted;
  }
  if (!output.json) tellEnd(context, last);
  return last.state === "finished" ? EXIT.success : EXIT.taskUnsuccessful;
}

/** Shows a task until it is over, which an ended one always is. Resolves with its last state; null after Ctrl-C. */
export async function watchTask(
  context: Context,
  api: Api,
  taskId: TaskId,
  isOver: (detail: TaskDetail) => boolean,
): Promise<TaskDetail | null> {
  const { clock, output } = context;
  const abort = new AbortController();
  const stopListening = context.onInterrupt(() => abort.abort(new Error("interrupted")));
  const view = output.json
    ? jsonView(context)
    : output.stdout.canRedraw
      ? liveView(context)
      : lineView(context);
  let last: TaskDetail | null = null;
  try {
    const states = taskStates({
      api,
      taskId,
      clock,
      signal: abort.signal,
      onAway: (reason) => view.away(reason),
    });
    for await (const detail of states) {
      last = detail;
      view.show(detail);
      if (isOver(detail)) break;
    }
  } finally {
    view.close();
    stopListening();
  }
  if (abort.signal.aborted) return null;
  if (last === null || !isOver(last)) {
    throw new HyperpilotError({
      code: "E_PROTOCOL",
      message: "The server ended the stream too early.",
      remedy: `Try again: hyperpilot task watch ${taskId}`,
    });
  }
  return last;
}

function tellEnd({ output }: Context, detail: TaskDetail): void {
  const { taskId, best } = detail;
  const state = output.paint(stateTone(detail.state), stateText(detail.state));
  output.data(
    `${state}  task ${taskId} "${neutralise(detail.name)}": ${neutralise(detail.reason)}`,
  );
  if (best !== null) output.data(`${bestText(best)}: ${parametersText(best.text)}`);
  output.talk(`Next  hyperpilot task ${detail.state === "finished" ? "best" : "why"} ${taskId}`);
}

interface View {
  show(detail: TaskDetail): void;
  away(reason: string | null): void;
  close(): void;
}

function jsonView({ output }: Context): View {
  return {
    show: (detail) => output.item("Task", detail),
    away: (reason) => {
      if (reason !== null) output.talk(JSON.stringify({ event: "serverAway", reason }));
    },
    close: () => undefined,
  };
}

function lineView({ output, clock }: Context): View {
  const progress = new Progress();
  return {
    show: (detail) => {
      for (const warning of progress.newWarnings(detail)) output.talk(warning);
      const line = progress.next(detail, clock.wallMs());
      if (line !== null) output.talk(line);
    },
    away: (reason) =>
      output.talk(
        reason === null
          ? "The server is back."
          : `Server away: ${neutralise(reason)}; trying again`,
      ),
    close: () => undefined,
  };
}

function liveView(context: Context): View {
  const { output, clock } = context;
  const display = createDisplay(output);
  let shown: Shown | null = null;
  const redraw = (): void => {
    if (shown !== null) display.draw(screenLines(shown, clock.wallMs(), output.stdout));
  };
  // Elapsed time goes on where nothing changes.
  const tick = (): void => {
    redraw();
    timer = clock.setTimer(REDRAW_MS, tick);
  };
  let timer = clock.setTimer(REDRAW_MS, tick);
  return {
    show: (detail) => {
      shown = { detail, changedAtMs: clock.wallMs(), away: null };
      redraw();
    },
    away: (reason) => {
      if (shown !== null) shown = { ...shown, away: reason };
      redraw();
    },
    close: () => {
      timer.cancel();
      display.close();
    },
  };
}
