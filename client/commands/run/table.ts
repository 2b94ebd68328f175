/** The first commands of someone who has a training program and nothing else. */
import type { Command, OptionSpec } from "../../command.ts";
import { SUBMIT_OPTIONS } from "../../submit/options.ts";

/** Options of `submit` that mean the same here. */
const AS_SUBMIT = [
  "name",
  "method",
  "container",
  "evaluationTimeout",
  "cpus",
  "memory",
  "gpus",
  "direction",
  "seed",
  "noFailFast",
  "queue",
];

const RUN_OPTIONS: readonly OptionSpec[] = [
  {
    flags: "--space <space>",
    description:
      "search space: one line such as 'lr=log(1e-5,1e-1) batch=int(10,30)', or a JSON file",
  },
  { flags: "--maxPoints <n>", description: "points in the whole search", defaultText: "20" },
  {
    flags: "--nParallelEvaluation <n>",
    description: "points evaluated at a time",
    defaultText: "one per CPU of this machine",
  },
  {
    flags: "--loss <name>",
    description: "name of the loss in what the program prints, such as val_loss",
    defaultText: "loss",
  },
  {
    flags: "--noArgs",
    description: "do not give the hyperparameters to the program as --name=value",
  },
  {
    flags: "--files <dir>",
    description: "*.json *.sh *.py *.yaml below it go along",
    defaultText: "the present directory",
  },
  {
    flags: "--file <path>",
    description: "further file below it that goes along, repeatable",
    repeatable: true,
  },
  {
    flags: "--readOnlyPath <path>",
    description: "path of this machine that the program may read, repeatable",
    repeatable: true,
  },
  { flags: "--try", description: "one point only, here, and a forecast for the whole search" },
  ...SUBMIT_OPTIONS.filter(({ flags }) => AS_SUBMIT.includes(/--(\w+)/.exec(flags)?.[1] ?? "")),
];

export const RUN: Command = {
  path: "run",
  summary: "search with a program of yours, as it is: no JSON, no image",
  description:
    `Search with a program of yours, as it is. It is given the hyperparameters as options --name=value (and finds them in
input.json); the last "loss: <number>" that it prints counts, or output.json where it writes one. Spaces: x=0..1,
lr=log(1e-5,1e-1), n=int(1,8), n=int(1,64,log), q=step(0,1,0.1), w=normal(0,1), act=relu|tanh, seed=3. Where no server answers,
one is started for the search.`.replaceAll("\n", " "),
  arguments: [
    {
      name: "<program...>",
      description: "a script, or a command line in quotes; options of its own after --",
    },
  ],
  options: RUN_OPTIONS,
  unknownOptionHint:
    "Options of the program's own come last, after --: hyperpilot run train.py --space ... -- --epochs 3",
  examples: [
    "hyperpilot run train.py --space 'lr=log(1e-5,1e-1) batch=int(10,30)'",
    "hyperpilot run 'python3 -u train.py --epochs 3' --space 'lr=log(1e-5,1e-1)' --loss val_loss",
    "hyperpilot run ./train.sh --space 'act=relu|tanh x=0..1' --noArgs --try",
  ],
  isRemote: true,
  load: async () => (await import("./run.ts")).run,
};
