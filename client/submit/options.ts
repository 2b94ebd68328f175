/** Options of `hyperpilot submit`; names are phpo's where phpo has them. */
import type { OptionSpec } from "../command.ts";

export const LIMIT_OPTIONS: readonly OptionSpec[] = [
  { flags: "--maxPoints <n>", description: "points in the whole search (10)" },
  { flags: "--nParallelEvaluation <n>", description: "points evaluated at a time (1)" },
  {
    flags: "--maxEvaluationJobs <n>",
    description: "evaluation jobs in the whole search (2 * maxPoints)",
  },
  {
    flags: "--nPointsPerIteration <n>",
    description: "pending points after a run of steering (nParallelEvaluation + 2)",
  },
  {
    flags: "--minUnevaluatedPoints <n>",
    description:
      "steering runs when fewer are pending (nParallelEvaluation + 1; 0 where nPointsPerIteration is given)",
  },
  {
    flags: "--maxPointsPerEvaluationJob <n>",
    description: "points that one job evaluates (no limit)",
  },
];

export const SUBMIT_OPTIONS: readonly OptionSpec[] = [
  { flags: "--name <text>", description: "name of the task (that of the present directory)" },
  { flags: "--space <file>", description: "search space: a JSON file, or JSON text" },
  {
    flags: "--exec <command>",
    description: "what evaluates the point in input.json and writes output.json",
  },
  { flags: "--method <method>", description: "steering (tpe)", choices: ["random", "grid", "tpe"] },
  { flags: "--container <image>", description: "container image of the evaluation (host:)" },
  ...LIMIT_OPTIONS,
  {
    flags: "--evaluationTimeout <seconds>",
    description: "longest time of one evaluation (no limit)",
  },
  {
    flags: "--evaluationOutput <file>",
    description: "result file, or 'none': exit status 0 is loss 0 (output.json)",
  },
  { flags: "--cpus <n>", description: "CPUs of one evaluation, fractions allowed (0.5)" },
  { flags: "--memory <amount>", description: "memory of one evaluation: 8GB, 512MiB, or MB (1GB)" },
  {
    flags: "--gpus <n[:model[:memory]]>",
    description: "GPUs of one evaluation, such as 1:A100:40GB (none asked for)",
  },
  {
    flags: "--direction <direction>",
    description: "what is better: a lower or a higher loss (min)",
    choices: ["min", "max"],
  },
  { flags: "--seed <n>", description: "seed of steering and of every evaluation (drawn)" },
  { flags: "--noFailFast", description: "go on even if the first evaluations all fail" },
  {
    flags: "--penalty <mode>",
    description: "loss that steering is told for points without one (large)",
    choices: ["large", "worst", "omit"],
  },
  { flags: "--penaltyLoss <loss>", description: "the large loss (100000)" },
  {
    flags: "--duplicates <mode>",
    description: "points proposed again: evaluate them, or reuse the loss (evaluate)",
    choices: ["evaluate", "reuse"],
  },
  {
    flags: "--queue <name>",
    description: "queue that may be used, repeatable (every one)",
    repeatable: true,
  },
  {
    flags: "--files <dir>",
    description: "*.json *.sh *.py *.yaml below it go with the task (the present directory)",
  },
  { flags: "--task <file>", description: "JSON specification of the task; options win over it" },
  { flags: "--try", description: "one point only, here, and a forecast; nothing is submitted" },
  { flags: "--wait", description: "watch until the end; exit code 5 if the task does not finish" },
];
