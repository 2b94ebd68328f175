/** Shows, packs and sends a task. */
import { resolve } from "node:path";
import { EXIT, type ExitCode } from "../../protocol/errors.ts";
import { effectiveLimits, isBuiltin, type TaskSpecification } from "../../protocol/task.ts";
import type { SubmitAnswer } from "../../protocol/rest.ts";
import type { Api } from "../api.ts";
import type { Context } from "../context.ts";
import { neutralise } from "../format.ts";
import type { Output } from "../output.ts";
import {
  describeFiles,
  findFiles,
  packForTask,
  refuseSecretNames,
  type FoundFile,
} from "./files.ts";

export interface Sending {
  readonly spec: TaskSpecification;
  readonly filesDirectory: string;
  /** Files below the directory that go with the task whatever their names end in. */
  readonly furtherFiles?: readonly string[];
  /** Watch until the end. */
  readonly wait: boolean;
  /** Called once the server has taken the task. */
  readonly onSubmitted?: (taskId: number) => void;
}

/** Sentences that a person should know before the task is sent. */
export function tellNotes(output: Output, notes: readonly string[]): void {
  for (const note of notes)
    output.talk(`Note: ${neutralise(note)}${/[.?!]$/.test(note) ? "" : "."}`);
}

export interface Sent {
  readonly api: Api;
  readonly answer: SubmitAnswer;
  readonly spec: TaskSpecification;
}

/** `submit`: sends a task, says so, and watches it if asked to. */
export async function sendTask(context: Context, sending: Sending): Promise<ExitCode> {
  const { output } = context;
  const { api, answer, spec } = await submitTask(context, sending);
  const { taskId } = answer;
  if (output.json) {
    if (!sending.wait) output.item("SubmittedTask", answer);
  } else if (output.stdout.isTty) {
    output.data(submittedSentence(taskId, spec));
  } else {
    // A program gets the id and nothing else.
    if (!sending.wait) output.data(String(taskId));
    output.talk(submittedSentence(taskId, spec));
  }
  if (sending.wait) {
    const { followTask } = await import("../watch/follow.ts");
    return followTask(context, api, taskId);
  }
  output.talk(`Next  hyperpilot task watch ${taskId}`);
  return EXIT.success;
}

/** Shows what leaves the machine, before it leaves, and submits. */
export async function submitTask(context: Context, sending: Omit<Sending, "wait">): Promise<Sent> {
  const { output } = context;
  const { directory, files } = filesToSend(context, sending);
  output.talk(neutralise(`Sending ${describeFiles(files)}`));
  const packed = files.length === 0 ? null : await packForTask(directory, files);
  const api = await context.api();
  if (packed !== null) await api.upload("putSandbox", { sha256: packed.sha256 }, packed.bytes);
  const spec: TaskSpecification = { ...sending.spec, sandboxSha256: packed?.sha256 ?? null };
  const answer = await api.call("submitTask", { body: { spec } });
  sending.onSubmitted?.(answer.taskId);
  for (const warning of answer.warnings) output.talk(`Warning: ${neutralise(warning)}`);
  return { api, answer, spec };
}

/** The files that go with a task. Errors: E_FILE, E_LIMIT. */
export function filesToSend(
  context: Pick<Context, "workingDirectory">,
  { filesDirectory, furtherFiles = [] }: Pick<Sending, "filesDirectory" | "furtherFiles">,
): { readonly directory: string; readonly files: readonly FoundFile[] } {
  const directory = resolve(context.workingDirectory, filesDirectory);
  const files = findFiles(directory, furtherFiles);
  refuseSecretNames(files);
  return { directory, files };
}

export function submittedSentence(taskId: number, spec: TaskSpecification): string {
  const { maxPoints, nParallelEvaluation } = effectiveLimits(spec.limits, isBuiltin(spec.steering));
  const where = spec.segments.length === 0 ? "" : ` in each of ${spec.segments.length} segments`;
  const steering = isBuiltin(spec.steering) ? spec.steering.method : "container";
  return (
    `✓ Task ${taskId} "${neutralise(spec.name)}" submitted: ${maxPoints} points${where}, ` +
    `${nParallelEvaluation} at a time, steering ${steering}, seed ${spec.seed}.`
  );
}
