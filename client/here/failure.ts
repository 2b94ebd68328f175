/** What to do about an evaluation that gave no loss, read off what it printed. */
import type { Outcome } from "../../protocol/pilot-messages.ts";
import { parseJsonText } from "../../protocol/json-text.ts";
import { printedLossName, type TaskSpecification } from "../../protocol/task.ts";

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
  const key = find(/^KeyError: '([^']+)'$/m);
  const known = key === null ? [] : hyperparameters(spec);
  if (key !== null && known.length > 0 && !known.includes(key))
    hints.push(
      `The search space has no "${key}"; ${evaluation.input} holds ${known.join(", ")}. Use the same names in both.`,
    );
  if (outcome.type === "failed" && outcome.code === "E_BAD_OUTPUT") {
    const printed = otherLoss(evaluation.output, output);
    if (printed !== null)
      hints.push(
        `It printed "${printed}: <number>": if that is the loss, say --loss ${printed} (phpo and submit: --evaluationOutput stdout:${printed}).`,
      );
  }
  if (outcome.type === "interrupted" && / was denied/.test(text))
    hints.push(
      "Where access needs a password: start 'hyperpilot up', set it once in another terminal with 'hyperpilot secret set', then try again.",
    );
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
  if (NO_NETWORK.test(text))
    hints.push("The network was not reached: fetch data beforehand and send it along.");
  return hints;
}

const NO_NETWORK =
  /Connection refused|Name or service not known|Temporary failure in name resolution|Network is unreachable|Could not resolve host/;

/** Names of the search space's hyperparameters; none where it has no object of them. */
function hyperparameters({ searchSpace }: TaskSpecification): readonly string[] {
  const root = parseJsonText(searchSpace, { name: "searchSpace" });
  return root.type === "object" ? root.members.map((member) => member.key) : [];
}

/** A loss of another name than the one that is looked for, the last that was printed. */
function otherLoss(wanted: string, output: string): string | null {
  if (printedLossName(wanted) === null) return null;
  const found = [...output.matchAll(/(?<![\w./-])([A-Za-z_][\w./-]{0,63})\s*[:=]\s*[-+]?\.?\d/g)];
  const names = found
    .map(([, name = ""]) => name)
    .filter((name) => /loss|error|rmse|mse/i.test(name));
  return names.at(-1) ?? null;
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
