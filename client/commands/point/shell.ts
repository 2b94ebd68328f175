/** `hyperpilot point shell`. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";
import type { TaskId } from "../../../protocol/ids.ts";
import { TASK } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import type { TaskSpecification } from "../../../protocol/task.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { neutralise, neutraliseLines } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import type { ShellOptions, ShellReady } from "../../programs.ts";
import { findTask } from "../../selector.ts";
import { parametersText } from "../../words.ts";

export const run: Run = async ({ args, options, context }) => {
  if (context.output.json)
    throw usageError(
      "A shell has no JSON form.",
      "Leave --json out; see also: hyperpilot task point",
    );
  const [first = "", second] = args;
  const [selector, pointId] = second === undefined ? ["last", first] : [first, second];
  if (!/^\d{1,16}$/.test(pointId))
    throw usageError(
      `${JSON.stringify(pointId)} is no id of a point.`,
      "Points are numbered: hyperpilot point shell last 17; all of them: hyperpilot task points last",
    );
  const api = await context.api();
  const taskId = await findTask(api, selector);
  const [{ spec }, point] = await Promise.all([
    api.call("showTask", { params: { taskId } }),
    api.call("showPoint", { params: { taskId, pointId } }),
  ]);
  const { queue, note } = await queueFor(api, spec, textOption(options, "queue"));
  const keep = flagOption(options, "keep");
  const exitCode = await context.programs.shell({
    taskId,
    pointId,
    pointText: point.text,
    seed: point.seed,
    spec,
    sandbox: await filesOf(api, taskId, spec),
    queue,
    keep,
    segment: segmentOf(spec, point.segment),
    isInteractive: context.isInputTty,
    onImage: (line) => context.output.talk(neutralise(line)),
    onReady: (ready) =>
      tellReady(context, { ready, taskId, pointId, text: point.text, keep, note }),
  });
  // How a person left the shell says nothing about the command.
  return exitCode === 0 || context.isInputTty ? EXIT.success : EXIT.failed;
};

function segmentOf(spec: TaskSpecification, id: number | null): ShellOptions["segment"] {
  const segment = id === null ? undefined : spec.segments[id];
  return id === null || segment === undefined ? null : { id, name: segment.name };
}

/** The task's files; null when it has none. Errors: E_CHECKSUM, E_TOO_LARGE. */
async function filesOf(
  api: Api,
  taskId: TaskId,
  spec: TaskSpecification,
): Promise<Uint8Array | null> {
  const { sandboxSha256 } = spec;
  if (sandboxSha256 === null) return null;
  const response = await api.open("taskFiles", { params: { taskId }, accept: "application/gzip" });
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    const part = chunk as Uint8Array;
    bytes += part.length;
    if (bytes > TASK.sandboxBytesMax)
      throw new HyperpilotError({
        code: "E_TOO_LARGE",
        message: `The task's files have more than ${TASK.sandboxBytesMax} bytes.`,
        remedy: "Check that the address is that of a Hyperpilot server.",
      });
    parts.push(part);
  }
  const file = Buffer.concat(parts);
  if (createHash("sha256").update(file).digest("hex") !== sandboxSha256)
    throw new HyperpilotError({
      code: "E_CHECKSUM",
      message: "The task's files arrived damaged.",
      remedy: "Try again.",
    });
  return file;
}

type ShellQueue = Pick<QueueConfig, "runtime" | "readOnlyPaths" | "environment" | "images">;

/**
 * The queue as which this machine acts: the one that is named, else a local one that the task may use, else any that it may use.
 * Paths that this machine lacks are left out, and said. Errors: E_NOT_FOUND.
 */
async function queueFor(
  api: Api,
  spec: TaskSpecification,
  name: string | undefined,
): Promise<{ readonly queue: ShellQueue; readonly note: string }> {
  const { items } = await api.call("listQueues", {});
  const queues = items.map(({ config }) => config).filter(({ role }) => role === "evaluation");
  const named = queues.find((queue) => queue.name === name);
  if (name !== undefined && named === undefined)
    throw new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `There is no queue ${JSON.stringify(name)} for evaluations.`,
      remedy: `One of: ${queues.map((queue) => queue.name).join(", ")}.`,
    });
  const usable = queues.filter(
    (queue) => spec.queues.length === 0 || spec.queues.includes(queue.name),
  );
  const isLocal = ({ batch }: QueueConfig): boolean => batch.kind === "local";
  const queue = named ?? usable.find(isLocal) ?? usable[0] ?? QueueConfig.parse({ name: "here" });
  const missing = queue.readOnlyPaths.filter((path) => !existsSync(path));
  return {
    queue: { ...queue, readOnlyPaths: queue.readOnlyPaths.filter((path) => existsSync(path)) },
    note:
      missing.length === 0 ? "" : `queue ${queue.name} shows ${missing.join(", ")}, absent here`,
  };
}

interface Told {
  readonly ready: ShellReady;
  readonly taskId: TaskId;
  readonly pointId: string;
  readonly text: string;
  readonly keep: boolean;
  readonly note: string;
}

function tellReady({ output, isInputTty }: Context, told: Told): void {
  const { ready, taskId, pointId, text, keep, note } = told;
  const fate = keep ? "stays" : "is removed afterwards";
  const lines = [
    `Point    ${pointId} of task ${taskId}: ${parametersText(text)}`,
    `Sandbox  ${ready.runtime}, directory ${ready.workDirectory} (${fate})`,
    `Command  ${neutraliseLines(ready.command)}`,
    ...(note === "" ? [] : [`Note     ${note}`]),
    ...(isInputTty
      ? ["'run' does what the evaluation does; 'exit' leaves. Memory is not limited here."]
      : []),
  ];
  output.talk(lines.map((line) => neutralise(line)).join("\n"));
}
