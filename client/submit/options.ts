/** Options of a search: the one table of `phpo` and `hyperpilot submit`. Names are phpo's where phpo has them. */
import type { OptionSpec } from "../command.ts";

// Not taken from protocol/task, whose schemas would make every help text slow; a test compares them.
const METHODS = ["random", "grid", "tpe"] as const;

/** Every option that says what a search is, by name. */
export const TASK_OPTIONS = {
  maxPoints: {
    flags: "--maxPoints <n>",
    description: "points in the whole search",
    defaultText: "10",
  },
  nParallelEvaluation: {
    flags: "--nParallelEvaluation <n>",
    description: "points evaluated at a time",
    defaultText: "1",
  },
  maxEvaluationJobs: {
    flags: "--maxEvaluationJobs <n>",
    description:
      "evaluation jobs in the whole search, which ends when all points are evaluated or this number is reached",
    defaultText: "2*maxPoints",
  },
  maxPointsPerEvaluationJob: {
    flags: "--maxPointsPerEvaluationJob <n>",
    description: "points that one job evaluates, one after another",
    defaultText: "no limit",
  },
  nPointsPerIteration: {
    flags: "--nPointsPerIteration <n>",
    description: "steering fills up to so many unevaluated points each time it runs",
    defaultText:
      "2; nParallelEvaluation+2 with built-in steering where minUnevaluatedPoints is absent too",
  },
  minUnevaluatedPoints: {
    flags: "--minUnevaluatedPoints <n>",
    description:
      "steering runs again when fewer points are unevaluated, so that slots stay busy; must be less than nPointsPerIteration",
    defaultText:
      "0; nParallelEvaluation+1 with built-in steering where nPointsPerIteration is absent too",
  },
  steeringContainer: {
    flags: "--steeringContainer <image>",
    description: "container image of the steering; steeringExec is run inside",
    defaultText: "none",
  },
  steeringExec: {
    flags: "--steeringExec <command>",
    description:
      'what proposes points: run by /bin/sh in steeringContainer; without one, docker\'s arguments: run --rm -v "$(pwd)":/X IMAGE COMMAND. Filled in: %IN %OUT %NUM_POINTS %MAX_POINTS',
  },
  steeringTimeout: {
    flags: "--steeringTimeout <seconds>",
    description: "longest time of one run of the steering container",
    defaultText: "1800",
  },
  whileSteering: {
    flags: "--whileSteering <mode>",
    description:
      "slots that wait for steering: leave them idle, or evaluate random points meanwhile",
    choices: ["wait", "random"],
    defaultText: "wait",
  },
  direction: {
    flags: "--direction <direction>",
    description: "what is better: a lower or a higher loss",
    choices: ["min", "max"],
    defaultText: "min; max where steeringExec says -d max or --mode max",
  },
  penalty: {
    flags: "--penalty <mode>",
    description:
      "what steering is told of points without a loss: a large one, the worst so far, nothing",
    choices: ["large", "worst", "omit"],
    defaultText: "large",
  },
  penaltyLoss: {
    flags: "--penaltyLoss <loss>",
    description: "the large loss",
    defaultText: "100000",
  },
  duplicates: {
    flags: "--duplicates <mode>",
    description: "points proposed again: evaluate them, or reuse the loss",
    choices: ["evaluate", "reuse"],
    defaultText: "evaluate",
  },
  seed: {
    flags: "--seed <n>",
    description: "seed of steering and of every evaluation",
    defaultText: "drawn",
  },
  noFailFast: {
    flags: "--noFailFast",
    description: "go on even if the first evaluations all fail alike",
  },
  evaluationInput: {
    flags: "--evaluationInput <file>",
    description: "file in which an evaluation finds its point",
    defaultText: "input.json",
  },
  evaluationOutput: {
    flags: "--evaluationOutput <file>",
    description:
      "file in which an evaluation reports its loss; 'none': exit status 0 is loss 0; 'stdout:loss': the last 'loss: <number>' that it prints",
    defaultText: "output.json",
  },
  evaluationTrainingData: {
    flags: "--evaluationTrainingData <file>",
    description: "file in which an evaluation finds the list of training files",
    defaultText: "input_ds.json",
  },
  evaluationMeta: {
    flags: "--evaluationMeta <file>",
    description: "metadata file that an evaluation makes",
    defaultText: "none",
  },
  evaluationMetrics: {
    flags: "--evaluationMetrics <file>",
    description: "tarball of metrics that an evaluation makes",
    defaultText: "none",
  },
  evaluationTimeout: {
    flags: "--evaluationTimeout <seconds>",
    description: "longest time of one evaluation",
    defaultText: "no limit",
  },
  loopingTimeout: {
    flags: "--loopingTimeout <seconds>",
    description:
      "an evaluation that has written no file and used no CPU time for so long is ended as looping, or 'none'",
    defaultText: "7200",
  },
  trainingDS: {
    flags: "--trainingDS <name>",
    description: "training dataset",
    defaultText: "none",
  },
  segmentSpecFile: {
    flags: "--segmentSpecFile <file>",
    description:
      'segments of a segmented search, each optimised by itself: JSON [{"name": "a", "files": ["f1", ...]}, ...], or "datasets" for "files"',
    defaultText: "none",
  },
  checkPointToSave: {
    flags: "--checkPointToSave <files>",
    description:
      "comma-separated files and directories of the work directory that are saved, below 100 MB together, so that an interrupted evaluation goes on from them",
    defaultText: "none",
  },
  checkPointToLoad: {
    flags: "--checkPointToLoad <file>",
    description: "name under which a resumed evaluation finds them as a tarball",
    defaultText: "extracted in the work directory",
  },
  checkPointInterval: {
    flags: "--checkPointInterval <minutes>",
    description: "how often they are looked at",
    defaultText: "5",
  },
  checkPointKeep: {
    flags: "--checkPointKeep",
    description: "keep the last checkpoint of points that have been evaluated",
  },
  cpus: {
    flags: "--cpus <number>",
    description: "CPUs of one evaluation, fractions allowed",
    defaultText: "0.5",
  },
  memory: {
    flags: "--memory <amount>",
    description: "memory of one evaluation: 8GB, 512MiB, or MB",
    defaultText: "1GB",
  },
  gpus: {
    flags: "--gpus <n[:model[:memory]]>",
    description: "GPUs of one evaluation, such as 1:A100:40GB",
    defaultText: "none asked for",
  },
  resources: {
    flags: "--resources <forms>",
    description:
      "forms of slot that do alike, best first: gpus=1,cpus=4|cpus=16. What a form does not say is as in --cpus, --memory, --gpus",
    defaultText: "one form",
  },
  internet: {
    flags: "--internet",
    description: "evaluations fetch something: only queues whose nodes reach the internet",
  },
  try: {
    flags: "--try",
    description: "one point only, on this machine, and a forecast; nothing is submitted",
  },
  files: {
    flags: "--files <dir>",
    description: "*.json *.sh *.py *.yaml below it go with the task",
    defaultText: "the present directory",
  },
  wait: {
    flags: "--wait",
    description: "watch until the end; exit code 5 if the task does not finish",
  },
} as const satisfies Readonly<Record<string, OptionSpec>>;

export type TaskOptionName = keyof typeof TASK_OPTIONS;

export function taskOptions(...names: readonly TaskOptionName[]): readonly OptionSpec[] {
  return names.map((name) => TASK_OPTIONS[name]);
}

/** Built-in steering, under the name that a program has for it. */
export function methodOption(name: string, defaultText: string): OptionSpec {
  const description = "built-in steering, which needs no container";
  return { flags: `--${name} <method>`, description, choices: METHODS, defaultText };
}

const LIMIT_NAMES = [
  "maxPoints",
  "nParallelEvaluation",
  "maxEvaluationJobs",
  "nPointsPerIteration",
  "minUnevaluatedPoints",
  "maxPointsPerEvaluationJob",
] as const satisfies readonly TaskOptionName[];

/** Limits of a task that is there already: what is not named stays as it is. */
export const LIMIT_OPTIONS: readonly OptionSpec[] = taskOptions(...LIMIT_NAMES).map(
  ({ flags, description }) => ({ flags, description }),
);

/** Options of `hyperpilot submit`. */
export const SUBMIT_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--name <text>",
    description: "name of the task",
    defaultText: "that of the present directory",
  },
  {
    flags: "--space <file>",
    description:
      "search space: a JSON file, JSON text, or one line such as 'lr=log(1e-5,1e-1) batch=int(10,30)'",
  },
  {
    flags: "--exec <command>",
    description: "what evaluates the point in input.json and writes output.json",
  },
  {
    flags: "--container <image>",
    description: "container image of the evaluation",
    defaultText: "host:",
  },
  methodOption("method", "tpe"),
  ...taskOptions("steeringContainer", "steeringExec", "steeringTimeout", "whileSteering"),
  ...taskOptions(...LIMIT_NAMES),
  ...taskOptions("evaluationTimeout", "loopingTimeout", "evaluationInput", "evaluationOutput"),
  ...taskOptions("evaluationTrainingData", "evaluationMeta", "evaluationMetrics"),
  ...taskOptions("trainingDS", "segmentSpecFile"),
  ...taskOptions("checkPointToSave", "checkPointToLoad", "checkPointInterval", "checkPointKeep"),
  ...taskOptions("cpus", "memory", "gpus", "resources", "internet"),
  ...taskOptions("direction", "seed", "noFailFast", "penalty", "penaltyLoss", "duplicates"),
  {
    flags: "--queue <name>",
    description: "queue that may be used, repeatable",
    repeatable: true,
    defaultText: "every one",
  },
  TASK_OPTIONS.files,
  {
    flags: "--task <file>",
    description: "specification of the task, JSON or TOML (*.toml); options win over it",
  },
  TASK_OPTIONS.try,
  TASK_OPTIONS.wait,
];
