/** What to do about an evaluation that gave no loss, read off what it printed. */
import type { Outcome } from "../../protocol/pilot-messages.ts";
import type { TaskSpecification } from "../../protocol/task.ts";

export interface FailureSources {
  readonly spec: TaskSpecification;
  readonly outcome: Outcome;
  /** The end of the output. */
  readonly output: string;
  /** Whether a file of this name, relative to the task's directory, is here but did not go with the task. */
  readonly isLeftBehind: (path: string) => boolean;
  /** The Python that the person has here, where it is not the one that ran. */
  readonly ownPython: string | null;
}

/** One line per thing that most likely helps; empty when nothing is recognised. */
export function failureHints(sources: FailureSources): readonly string[] {
  const { spec, outcome, output, isLeftBehind, ownPython } = sources;
  const { evaluation } = spec;
  const text = `${"message" in outcome ? outcome.message : ""}\n${output}`;
  const hints: string[] = [];
  const find = (pattern: RegExp): string | null => pattern.exec(text)?.[1] ?? null;
  if (
    evaluation.arguments === "options" &&
    /unrecognized arguments?:|[Nn]o such option|unknown option/.test(text)
  )
    hints.push(
      "The program does not take the hyperparameters as options --name=value: add them to it, or leave them out with --noArgs and read input.json.",
    );
  const module = find(/No module named '([\w.]+)'/);
  if (module !== null) {
    hints.push(
      ownPython === null
        ? `The Python that ran has no ${module}: install it there, or name the Python that has it.`
        : `The Python that ran has no ${module}. Yours is ${ownPython}: name it in the command, and start 'hyperpilot up' with --readOnlyPath for its directory.`,
    );
  }
  const missing = find(/No such file or directory: '([^']+)'/);
  if (missing !== null && isLeftBehind(missing)) {
    hints.push(
      `${missing} did not go with the task: only *.json, *.sh, *.py and *.yaml do, and what 'hyperpilot run' is given with --file.`,
    );
  }
  if (/Read-only file system/.test(text))
    hints.push("Only the working directory and /tmp can be written.");
  if (outcome.type === "failed" && outcome.code === "E_MEMORY")
    hints.push("Ask for more memory, for example --memory 4GB.");
  if (outcome.type === "failed" && outcome.exitCode === 127)
    hints.push(
      "A program was not found: evaluations see /usr, /opt and the queue's readOnlyPaths, or the image's own.",
    );
  if (/Connection refused|Temporary failure in name resolution|Network is unreachable/.test(text))
    hints.push("The network was not reached: fetch data beforehand and send it along.");
  return hints;
}

/** The outcome in a few words: "failed (E_PAYLOAD, exit code 1)". */
export function outcomeWords(outcome: Outcome): string {
  switch (outcome.type) {
    case "loss":
      return "gave a loss";
    case "diverged":
      return `diverged: the loss is ${outcome.value}`;
    case "failed":
      return `failed (${outcome.code}, ${outcome.signal ?? `exit code ${outcome.exitCode}`})`;
    case "timeout":
      return `was ended after ${Math.round(outcome.afterSeconds)} s, the time it may take`;
    case "interrupted":
      return `could not be run here (${outcome.reason})`;
  }
}
