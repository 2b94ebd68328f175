/** A search that is started and watched by one command, on a server that is there or on one that is started for it. */
import { resolve } from "node:path";
import { EXIT, HyperpilotError, type ExitCode } from "../../protocol/errors.ts";
import type { TaskId } from "../../protocol/ids.ts";
import type { TaskDetail } from "../../protocol/rest.ts";
import { isEnded } from "../../protocol/states.ts";
import type { TaskSpecification } from "../../protocol/task.ts";
import { createApi, type Api } from "../api.ts";
import { readAccess } from "../connection.ts";
import type { Context } from "../context.ts";
import { neutralise } from "../format.ts";
import { filesToSend, submitTask, submittedSentence } from "../submit/send.ts";
import { whileUp, type Up } from "../up/while-up.ts";
import { watchTask } from "../watch/follow.ts";
import { bestText, endedPoints, parametersText, stateText, stateTone } from "../words.ts";
import { failureError, lastFailed } from "./failed-evaluation.ts";
import { untilPlacementFails } from "./placement.ts";
import { showPaths } from "./readable-paths.ts";
import { pointOptions } from "./shell-words.ts";

export interface Search {
  readonly spec: TaskSpecification;
  readonly filesDirectory: string;
  readonly furtherFiles: readonly string[];
  /** Must be visible to evaluations on this machine. */
  readonly readOnlyPaths: readonly string[];
  /** The program as the person would start it; "" where that is not known. */
  readonly shown: string;
}

const OTHERS_POLL_MS = 1_000;

/** On a server that answers; Ctrl-C stops watching, not the search. */
export async function searchThere(context: Context, api: Api, search: Search): Promise<ExitCode> {
  const watched: Context = { ...context, api: () => Promise.resolve(api) };
  if (isThisMachine(api.server)) await letRead(watched, api, search);
  else if (search.readOnlyPaths.length > 0)
    context.output.talk(
      `Warning: the nodes of ${api.server} must have ${search.readOnlyPaths.join(", ")}.`,
    );
  const { detail, taskId } = await submitAndWatch(watched, search, null);
  if (detail !== null) return tellEnd(watched, api, { search, detail, isOwn: false });
  context.output.talk(`Stopped watching, the task goes on: hyperpilot task watch ${taskId}`);
  return EXIT.interrupted;
}

/** With a server of its own, in the data directory of `up`: what was found stays there. Ctrl-C pauses the search. */
export async function searchHere(context: Context, search: Search): Promise<ExitCode> {
  const { output } = context;
  const data = resolve(context.workingDirectory, context.dataDirectory);
  output.talk(`Server   none answers: started for this search, data stay in ${data}`);
  const request = {
    context,
    data,
    port: 0,
    serverArguments: [],
    environment: {},
    endingSentence: "",
  };
  const end = await whileUp(request, (up) => searchWithOwn(context, search, { up, data }));
  return end ?? EXIT.interrupted;
}

async function searchWithOwn(
  context: Context,
  search: Search,
  { up, data }: { readonly up: Up; readonly data: string },
): Promise<ExitCode> {
  const { output } = context;
  const access = readAccess(data);
  if (access === null) throw new Error("a server that answers has written access.json");
  const api = createApi(access);
  const own: Context = {
    ...context,
    api: () => Promise.resolve(api),
    onInterrupt: (listener) => onAbort(up.signal, listener),
  };
  const before = await activeTasks(api);
  if (before.length > 0)
    output.talk(
      `Note     ${before.length} earlier ${before.length === 1 ? "search goes" : "searches go"} on as well: hyperpilot task list`,
    );
  await letRead(own, api, search);
  const { detail, taskId } = await submitAndWatch(own, search, data);
  if (detail === null) return pauseOwn(own, api, taskId);
  const exitCode = await tellEnd(own, api, { search, detail, isOwn: true });
  await untilOthersEnded(own, api, { before, up });
  return exitCode;
}

/** Ends when the task has, or when it was paused because its evaluations fail; null after Ctrl-C. */
async function submitAndWatch(
  context: Context,
  search: Search,
  ownData: string | null,
): Promise<{ readonly detail: TaskDetail | null; readonly taskId: TaskId }> {
  const { api, answer, spec } = await submitTask(context, search);
  const { taskId } = answer;
  context.output.talk(submittedSentence(taskId, spec));
  const watching = new AbortController();
  try {
    const isOver = (detail: TaskDetail): boolean => isEnded(detail.state) || isStopped(detail);
    const watched = watchTask(context, api, taskId, isOver);
    if (ownData === null) return { detail: await watched, taskId };
    const placement = { taskId, signal: watching.signal, data: ownData };
    const failing = untilPlacementFails(context.clock, api, placement);
    return { detail: await Promise.race([watched, failing]), taskId };
  } catch (error) {
    // Otherwise it would begin with the next start of a server here.
    if (ownData !== null) await endTask(api, taskId);
    throw error;
  } finally {
    watching.abort();
  }
}

/** Paused by the server itself: evaluations fail alike, or their image cannot be had. It goes on when a person says so. */
function isStopped({ state, reason }: TaskDetail): boolean {
  return state === "paused" && !reason.startsWith("paused by ");
}

interface Ended {
  readonly search: Search;
  readonly detail: TaskDetail;
  /** The server was started for this search and ends with it. */
  readonly isOwn: boolean;
}

async function tellEnd(
  context: Context,
  api: Api,
  { search, detail, isOwn }: Ended,
): Promise<ExitCode> {
  const { output } = context;
  const { taskId, best } = detail;
  if (best === null) throw await noLoss(context, api, { search, detail, isOwn });
  if (output.json) return detail.state === "finished" ? EXIT.success : EXIT.taskUnsuccessful;
  const state = output.paint(stateTone(detail.state), stateText(detail.state));
  output.data(
    `${state}  task ${taskId} "${neutralise(detail.name)}": ${neutralise(detail.reason)}`,
  );
  output.data(`${bestText(best)}: ${parametersText(best.text)}`);
  const options = search.spec.evaluation.arguments === "options" ? pointOptions(best.text) : "";
  if (search.shown !== "")
    output.talk(
      options === ""
        ? `Train with it  hyperpilot task best ${taskId} --export input.json && ${search.shown}`
        : `Train with it  ${search.shown} ${neutralise(options)}`,
    );
  output.talk(
    detail.state === "paused"
      ? nextSteps("to go on", `hyperpilot task resume ${taskId}`, isOwn)
      : nextSteps("to look around", `hyperpilot task points ${taskId} --sort loss`, isOwn),
  );
  return detail.state === "finished" ? EXIT.success : EXIT.taskUnsuccessful;
}

/** One command per line, as people copy them. A server that ends with this command has to be started again first. */
function nextSteps(what: string, command: string, isOwn: boolean): string {
  if (!isOwn) return `Next  ${command}`;
  const start = "hyperpilot up".padEnd(command.length);
  return `Next  ${start}  in another terminal, then\n      ${command}  ${what}`;
}

/** A search without a loss is not left paused: it would wait for ever. */
async function noLoss(
  context: Context,
  api: Api,
  { search, detail, isOwn }: Ended,
): Promise<HyperpilotError> {
  const { taskId, state, reason } = detail;
  const failed = await lastFailed(api, taskId);
  if (!isEnded(state)) await endTask(api, taskId);
  const failures =
    isStopped(detail) && detail.attemptsFailed > 0
      ? `: ${detail.attemptsFailed} evaluations failed`
      : "";
  const message = `The search ended without a loss${failures}.`;
  if (failed === null)
    return new HyperpilotError({
      code: "E_TASK_UNSUCCESSFUL",
      message,
      why: reason,
      remedy: isOwn
        ? "Look at the search space and the limits, then try again."
        : `See why: hyperpilot task why ${taskId}`,
    });
  const { directory, files } = filesToSend(context, search);
  const sent = files.map(({ path }) => path);
  return failureError(message, failed, { spec: search.spec, directory, sent, ownPython: null });
}

async function endTask(api: Api, taskId: TaskId): Promise<void> {
  await api.call("controlTask", { params: { taskId }, body: { action: "hardFinish" } });
}

async function pauseOwn(context: Context, api: Api, taskId: TaskId): Promise<ExitCode> {
  const { output } = context;
  const body = { action: "pause" } as const;
  await api.call("controlTask", { params: { taskId }, body });
  const detail = await api.call("showTask", { params: { taskId } });
  const done = `${endedPoints(detail.points)} of ${detail.maxPoints} points`;
  output.talk(`Stopping: task ${taskId} is paused with ${done}, ${bestText(detail.best)}.`);
  output.talk(nextSteps("to go on", `hyperpilot task resume ${taskId}`, true));
  return EXIT.interrupted;
}

async function letRead(context: Context, api: Api, { readOnlyPaths }: Search): Promise<void> {
  if (readOnlyPaths.length === 0) return;
  const added = await showPaths(api, readOnlyPaths);
  if (added.length > 0)
    context.output.talk(`Sandbox  evaluations on this machine may now read ${added.join(", ")}`);
}

async function activeTasks(api: Api): Promise<readonly TaskId[]> {
  const { items } = await api.call("listTasks", { query: { limit: 1_000, all: "true" } });
  return items
    .filter(({ state }) => !isEnded(state) && state !== "paused")
    .map((one) => one.taskId);
}

/** Another command may have found this server and rely on it. */
async function untilOthersEnded(
  context: Context,
  api: Api,
  { before, up }: { readonly before: readonly TaskId[]; readonly up: Up },
): Promise<void> {
  let hasTold = false;
  while (!up.signal.aborted) {
    const others = (await activeTasks(api)).filter((taskId) => !before.includes(taskId));
    if (others.length === 0) return;
    if (!hasTold)
      context.output.talk(
        `Waiting for task ${others.join(", ")} of another command, which uses this server. Ctrl-C ends it.`,
      );
    hasTold = true;
    await context.clock.sleep(OTHERS_POLL_MS, up.signal).catch(() => undefined);
  }
}

function isThisMachine(server: string): boolean {
  const { hostname } = new URL(server);
  return hostname === "localhost" || hostname === "[::1]" || /^127(\.\d+){3}$/.test(hostname);
}

function onAbort(signal: AbortSignal, listener: () => void): () => void {
  if (signal.aborted) listener();
  else signal.addEventListener("abort", listener, { once: true });
  return () => signal.removeEventListener("abort", listener);
}
