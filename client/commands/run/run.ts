/** `hyperpilot run`: a program and a search space become a task, a server is there or is started, the search is watched. */
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { parseSearchSpace } from "../../../protocol/search-space.ts";
import { isSpaceText, spaceFromText } from "../../../protocol/space-text.ts";
import { PRINTED_NAME, PRINTED_OUTPUT, type TaskSpecification } from "../../../protocol/task.ts";
import { createApi, type Api } from "../../api.ts";
import type { OptionValues, Run } from "../../command.ts";
import { readAccess } from "../../connection.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { neutralise } from "../../format.ts";
import { programToRun, type ProgramToRun } from "../../here/program-to-run.ts";
import { pathsToShow } from "../../here/readable-paths.ts";
import { searchHere, searchThere, type Search } from "../../here/search.ts";
import { hiddenPathsOf } from "../../here/visible-words.ts";
import { tryTask } from "../../here/try.ts";
import { flagOption, textOption, textsOption } from "../../option-values.ts";
import { spaceWords } from "../../space-words.ts";
import { specificationOf } from "../../submit/specification.ts";

const MAX_POINTS = "20";

export const run: Run = async ({ args, options, context }) => {
  const [first, ...rest] = args;
  if (first === undefined) throw usageError("There is no program.", "See: hyperpilot run --help");
  requireSpace(options, first);
  refuseSpaceInWords(textOption(options, "space") ?? "", rest);
  const absolute = (path: string): string => resolve(context.workingDirectory, path);
  const files = textOption(options, "files");
  const program = await programToRun({
    words: [first, ...rest],
    workingDirectory: context.workingDirectory,
    filesDirectory: files === undefined ? null : absolute(files),
    readOnlyPaths: textsOption(options, "readOnlyPath").map(absolute),
    isInImage: (textOption(options, "container") ?? "host:") !== "host:",
    environment: context.environment,
  });
  const spec = specification(options, program, context);
  tellPlan(context, spec);
  const search: Search = {
    spec,
    filesDirectory: program.filesDirectory,
    furtherFiles: [...program.furtherFiles, ...textsOption(options, "file")],
    readOnlyPaths: pathsToShow(
      [...program.readOnlyPaths, ...(await hiddenPathsOf(spec))],
      context.homeDirectory,
    ),
    shown: program.shown,
  };
  if (flagOption(options, "try")) return tryTask(context, search);
  const api = await answeringApi(context, options);
  return api === null ? searchHere(context, search) : searchThere(context, api, search);
};

function requireSpace(options: OptionValues, program: string): void {
  if ((textOption(options, "space") ?? "").trim() !== "") return;
  throw usageError(
    "There is no search space.",
    `Write for example: hyperpilot run ${program} --space 'lr=log(1e-5,1e-1) batch=int(10,30) act=relu|tanh'`,
  );
}

/** Without quotes, all but the first hyperparameter would become words of the program. */
function refuseSpaceInWords(space: string, words: readonly string[]): void {
  if (!isSpaceText(space)) return;
  const more = words.filter((word) => /^[A-Za-z_][\w.-]*=/.test(word) && isRange(word));
  if (more.length === 0) return;
  throw usageError(
    `${more.join(" ")} is not part of the search space.`,
    `Put the space into quotes: --space '${[space, ...more].join(" ")}'`,
  );
}

/** Whether a word is a hyperparameter with more than one value: `seed=3` may well be the program's own. */
function isRange(word: string): boolean {
  try {
    const { parameters } = parseSearchSpace(spaceFromText(word, "--space"), "--space");
    return parameters.some(({ method }) => method !== "fixed");
  } catch (error) {
    if (error instanceof HyperpilotError) return false;
    throw error;
  }
}

function specification(
  options: OptionValues,
  program: ProgramToRun,
  context: Context,
): TaskSpecification {
  const parallel = Math.min(
    availableParallelism(),
    Number(textOption(options, "maxPoints") ?? MAX_POINTS),
  );
  const loss = textOption(options, "loss") ?? "loss";
  if (!PRINTED_NAME.test(loss)) {
    throw usageError(
      `--loss ${JSON.stringify(loss)} is no name that can be looked for.`,
      "Write the name as it is printed before the number: letters, digits, _ . - and /.",
    );
  }
  const spec = specificationOf(
    {
      maxPoints: MAX_POINTS,
      nParallelEvaluation: String(Math.max(1, parallel || 1)),
      ...options,
      exec: program.exec,
      evaluationOutput: `${PRINTED_OUTPUT}${loss}`,
    },
    context.workingDirectory,
  );
  const takesOptions = !flagOption(options, "noArgs");
  return {
    ...spec,
    evaluation: { ...spec.evaluation, arguments: takesOptions ? "options" : "none" },
  };
}

function tellPlan({ output }: Context, spec: TaskSpecification): void {
  const { parameters } = parseSearchSpace(spec.searchSpace, "--space");
  const { exec, arguments: given } = spec.evaluation;
  const words = parameters.map(({ name }) => `--${name}=...`).join(" ");
  output.talk(`Search   ${spaceWords(parameters)}`);
  output.talk(`Command  ${neutralise(`${exec}${given === "options" ? ` ${words}` : ""}`)}`);
}

/** The server that the command line names, or that of the data directory where it answers; null when one has to be started. */
async function answeringApi(context: Context, options: OptionValues): Promise<Api | null> {
  const named = textOption(options, "server") ?? context.environment["HYPERPILOT_SERVER"] ?? "";
  if (named !== "") return context.api();
  const access = readAccess(context.dataDirectory);
  if (access === null) return null;
  const api = createApi(access);
  try {
    await api.call("listTasks", { query: { limit: 1 } });
    return api;
  } catch (error) {
    if (error instanceof HyperpilotError && error.code === "E_UNREACHABLE") return null;
    throw error;
  }
}
