/** Shows, packs and sends a task. */
import { resolve } from "node:path";
import { EXIT, type ExitCode } from "../../protocol/errors.ts";
import { effectiveLimits, isBuiltin, type TaskSpecification } from "../../protocol/task.ts";
import type { Context } from "../context.ts";
import { neutralise } from "../format.ts";
import type { Output } from "../output.ts";
import { describeFiles, findFiles, packForTask, refuseSecretNames } from "./files.ts";

export interface Sending {
  readonly spec: TaskSpecification;
  readonly filesDirectory: string;
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

export async function sendTask(context: Context, sending: Sending): Promise<ExitCode> {
  const { output } = context;
  const directory = resolve(context.workingDirectory, sending.filesDirectory);
  const files = findFiles(directory);
  refuseSecretNames(files);
  // What leaves the machine is shown before it leaves.
  output.talk(neutralise(`Sending ${describeFiles(files)}`));
  const packed = files.length === 0 ? null : await packForTask(directory, files);
  const api = await context.api();
  if (packed !== null) await api.upload("putSandbox", { sha256: packed.sha256 }, packed.bytes);
  const spec: TaskSpecification = { ...sending.spec, sandboxSha256: packed?.sha256 ?? null };
  const answer = await api.call("submitTask", { body: { spec } });
  const { taskId } = answer;
  sending.onSubmitted?.(taskId);
  for (const warning of answer.warnings) output.talk(`Warning: ${neutralise(warning)}`);
  const { maxPoints, nParallelEvaluation } = effectiveLimits(spec.limits, isBuiltin(spec.steering));
  const where = spec.segments.length === 0 ? "" : ` in each of ${spec.segments.length} segments`;
  const steering = isBuiltin(spec.steering) ? spec.steering.method : "container";
  const sentence =
    `✓ Task ${taskId} "${neutralise(spec.name)}" submitted: ${maxPoints} points${where}, ` +
    `${nParallelEvaluation} at a time, steering ${steering}, seed ${spec.seed}.`;
  if (output.json) {
    if (!sending.wait) output.item("SubmittedTask", answer);
  } else if (output.stdout.isTty) {
    output.data(sentence);
  } else {
    // A program gets the id and nothing else.
    if (!sending.wait) output.data(String(taskId));
    output.talk(sentence);
  }
  if (sending.wait) {
    const { followTask } = await import("../watch/follow.ts");
    return followTask(context, api, taskId);
  }
  output.talk(`Next  hyperpilot task watch ${taskId}`);
  return EXIT.success;
}
