/** What `phpo` does: checks, shows, submits, and keeps what became of it. */
import { EXIT, HyperpilotError, errorText, type ExitCode } from "../protocol/errors.ts";
import { effectiveLimits, isBuiltin, type TaskSpecification } from "../protocol/task.ts";
import { VERSION } from "../protocol/version.ts";
import type { OptionValues, Run } from "./command.ts";
import type { Context } from "./context.ts";
import { writeFields } from "./fields.ts";
import { neutralise } from "./format.ts";
import { flagOption, textOption } from "./option-values.ts";
import { checkDumpFile, writeDump, type SubmissionResult } from "./phpo-dump.ts";
import { lookForPhpo, phpoNotes } from "./phpo-path.ts";
import { PHPO_OPTIONS, optionName } from "./phpo-options.ts";
import { phpoTask, type PhpoTask } from "./phpo-task.ts";
import { specificationFields } from "./specification-fields.ts";
import { sendTask, tellNotes } from "./submit/send.ts";

export const run: Run = async ({ options: commandLine, context }) => {
  const { output, workingDirectory, environment, selfArgv } = context;
  const task = phpoTask(commandLine, workingDirectory);
  const { options } = task;
  const look = lookForPhpo(environment, selfArgv.at(-1) ?? "");
  if (flagOption(options, "verbose")) {
    output.talk(`phpo of Hyperpilot ${VERSION}, ${look.own}`);
    tellOptions(context, task, commandLine);
  }
  const warnings = [...task.warnings, ...phpoNotes(look)];
  tellNotes(output, warnings);
  const dumpFile = textOption(options, "dumpJson");
  const dump = (result: SubmissionResult): void => {
    if (dumpFile !== undefined) writeDump(dumpFile, workingDirectory, options, result);
  };
  if (dumpFile !== undefined) checkDumpFile(dumpFile, workingDirectory);
  if (flagOption(options, "try")) return tryIt(context, task, dump);
  if (!flagOption(options, "noSubmit")) return submit(context, task, dump);
  if (output.stdout.isTty && !output.json) writeFields(output, wholeTask(task.spec));
  else output.item("TaskSpecification", task.spec);
  const said = "Nothing was submitted (--noSubmit).";
  output.talk(said);
  dump({ returnCode: null, returnOut: said, jediTaskID: null });
  return EXIT.success;
};

async function tryIt(
  context: Context,
  { spec, options }: PhpoTask,
  dump: (result: SubmissionResult) => void,
): Promise<ExitCode> {
  const { tryTask } = await import("./here/try.ts");
  const filesDirectory = textOption(options, "files") ?? ".";
  const nothing = { furtherFiles: [], readOnlyPaths: [], shown: "" };
  const exitCode = await tryTask(context, { spec, filesDirectory, ...nothing });
  dump({ returnCode: null, returnOut: "Nothing was submitted (--try).", jediTaskID: null });
  return exitCode;
}

/** A task that is not submitted, for a person. */
function wholeTask(spec: TaskSpecification): (readonly [string, string])[] {
  const limits = effectiveLimits(spec.limits, isBuiltin(spec.steering));
  const counts = `${limits.maxPoints}, ${limits.nParallelEvaluation} at a time, in at most ${limits.maxEvaluationJobs} jobs`;
  const cadence = `steering fills up to ${limits.nPointsPerIteration} when fewer than ${Math.max(1, limits.minUnevaluatedPoints)} wait for a loss`;
  return [
    ["Task", neutralise(spec.name)],
    ["Points", `${counts}; ${cadence}`],
    ...specificationFields(spec),
  ];
}

async function submit(
  context: Context,
  { spec, options }: PhpoTask,
  dump: (result: SubmissionResult) => void,
): Promise<ExitCode> {
  const submitted: number[] = [];
  try {
    return await sendTask(context, {
      spec,
      filesDirectory: textOption(options, "files") ?? ".",
      wait: flagOption(options, "wait"),
      onSubmitted: (taskId) => {
        submitted.push(taskId);
        const returnOut = `succeeded. new jediTaskID=${taskId}`;
        dump({ returnCode: null, returnOut, jediTaskID: taskId });
      },
    });
  } catch (error) {
    if (submitted.length === 0)
      dump({ returnCode: 1, returnOut: failureText(error), jediTaskID: null });
    throw error;
  }
}

function failureText(error: unknown): string {
  if (!(error instanceof HyperpilotError)) return errorText(error);
  return [`${error.code} ${error.message}`, error.why, error.remedy]
    .filter((part) => part !== undefined)
    .join(" ");
}

/** Every option in effect and where it comes from. */
function tellOptions({ output }: Context, task: PhpoTask, commandLine: OptionValues): void {
  for (const option of PHPO_OPTIONS) {
    const name = optionName(option);
    const value =
      textOption(task.options, name) ?? (flagOption(task.options, name) ? "true" : null);
    if (value === null) continue;
    const origin = commandLine[name] === undefined ? (task.places.get(name) ?? "") : "command line";
    output.talk(neutralise(`  ${name.padEnd(26)} ${value}   (${origin})`));
  }
}
