/** Every option of phpo as its users know it, with its defaults. */
import type { OptionSpec } from "./command.ts";

const SEARCH: readonly OptionSpec[] = [
  {
    flags: "--nParallelEvaluation <n>",
    description: "points evaluated concurrently. 1 by default",
  },
  { flags: "--maxPoints <n>", description: "points evaluated in the entire search. 10 by default" },
  {
    flags: "--maxEvaluationJobs <n>",
    description:
      "evaluation jobs in the entire search. 2*maxPoints by default. The task ends when all points are evaluated or this number is reached",
  },
  {
    flags: "--maxPointsPerEvaluationJob <n>",
    description: "points that one job evaluates. No limit by default",
  },
  { flags: "--outDS <name>", description: "name of the task and of its output" },
  { flags: "--site <queues>", description: "comma-separated list of queues. Every one by default" },
];

const STEERING: readonly OptionSpec[] = [
  {
    flags: "--steeringMethod <method>",
    description: "built-in steering instead of a container",
    choices: ["random", "grid", "tpe"],
  },
  {
    flags: "--nPointsPerIteration <n>",
    description:
      "points generated in each iteration. 2 by default; with built-in steering and minUnevaluatedPoints absent, as slots need",
  },
  {
    flags: "--minUnevaluatedPoints <n>",
    description: "the next iteration is triggered when fewer points are unevaluated. 0 by default",
  },
  { flags: "--steeringContainer <image>", description: "container image for steering" },
  {
    flags: "--steeringExec <command>",
    description:
      "execution string for steering: inside of --steeringContainer if there is one, else arguments of the docker command",
  },
  {
    flags: "--searchSpaceFile <file>",
    description: "JSON file that defines the search space. None by default",
  },
];

const EVALUATION: readonly OptionSpec[] = [
  { flags: "--evaluationContainer <image>", description: "container image for evaluation" },
  { flags: "--evaluationExec <command>", description: "execution string of the evaluation" },
  {
    flags: "--evaluationInput <file>",
    description: "input file with the point. input.json by default",
  },
  {
    flags: "--evaluationTrainingData <file>",
    description: "input file with the list of training data. input_ds.json by default",
  },
  { flags: "--evaluationOutput <file>", description: "output file. output.json by default" },
  { flags: "--evaluationMeta <file>", description: "metadata file that the evaluation makes" },
  { flags: "--evaluationMetrics <file>", description: "metrics file that the evaluation makes" },
  { flags: "--trainingDS <name>", description: "training dataset" },
  {
    flags: "--checkPointToSave <files>",
    description:
      "comma-separated list of files and directories that are saved for checkpointing. None by default",
  },
  {
    flags: "--checkPointToLoad <name>",
    description: "name of the tarball that a resumed evaluation is given. Extracted by default",
  },
  {
    flags: "--checkPointInterval <minutes>",
    description: "how often checkpoint files are looked at. 5 by default",
  },
  { flags: "--alrbArgs <text>", description: "additional arguments of the container setup" },
  { flags: "--architecture <text>", description: "architecture and GPUs" },
  {
    flags: "--segmentSpecFile <file>",
    description: "JSON file with the segments of a segmented search",
  },
];

const GRID: readonly OptionSpec[] = [
  {
    flags: "--loadJson <file>",
    description: "read options from a JSON file; the command line wins",
  },
  { flags: "--dumpJson <file>", description: "write all options and the task's id to a JSON file" },
  { flags: "--try", description: "one point only, here, and a forecast; nothing is submitted" },
  { flags: "--noSubmit", description: "check everything, submit nothing" },
  { flags: "--official", description: "produce an official dataset" },
  { flags: "--workingGroup <group>", description: "working group of the task" },
  { flags: "--noEmail", description: "no notification" },
  { flags: "--voms <roles>", description: "VOMS roles" },
  { flags: "-v, --verbose", description: "say more" },
  { flags: "-3, --python3", description: "no effect" },
  { flags: "--intrSrv", description: "no effect", hidden: true },
  {
    flags: "--helpGroup <group>",
    description: "print the options of a group: SEARCH, STEERING, EVALUATION, GRID or ALL",
  },
];

export const PHPO_GROUPS = { SEARCH, STEERING, EVALUATION, GRID } as const;

/** All options, each with its group's heading. */
export const PHPO_OPTIONS: readonly OptionSpec[] = Object.entries(PHPO_GROUPS).flatMap(
  ([group, options]) => options.map((option) => ({ ...option, group })),
);

/** Name of an option's value, as in a --loadJson file. */
export function optionName(option: OptionSpec): string {
  return /--(\w+)/.exec(option.flags)?.[1] ?? "";
}
