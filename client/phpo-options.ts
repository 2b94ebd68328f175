/**
 * Every option of phpo. Groups are those of panda-client's phpo (INPUT, OUTPUT, CONFIG, SUBMIT, EXPERT); what only Hyperpilot
 * has is in a group of its own.
 */
import type { OptionSpec } from "./command.ts";
import { methodOption, TASK_OPTIONS, taskOptions } from "./submit/options.ts";

export interface PhpoGroup {
  readonly name: string;
  readonly summary: string;
  /** Parts of a group with a heading of their own. */
  readonly sections: readonly { readonly title: string; readonly options: readonly OptionSpec[] }[];
}

export const PHPO_GROUPS: readonly PhpoGroup[] = [
  {
    name: "CONFIG",
    summary: "what is searched, and how",
    sections: [
      {
        title: "the search",
        options: [
          ...taskOptions("nParallelEvaluation", "maxPoints", "maxEvaluationJobs"),
          TASK_OPTIONS.maxPointsPerEvaluationJob,
          {
            flags: "--searchSpaceFile <file>",
            description:
              "JSON file with the search space; with --segmentSpecFile one space for all segments, or a list of one for each",
            defaultText: "none",
          },
          TASK_OPTIONS.segmentSpecFile,
        ],
      },
      {
        title: "steering",
        options: taskOptions(
          "steeringContainer",
          "steeringExec",
          "nPointsPerIteration",
          "minUnevaluatedPoints",
        ),
      },
      {
        title: "evaluation",
        options: [
          {
            flags: "--evaluationContainer <image>",
            description:
              "container image of the evaluation: docker://..., a SIF file, a sandbox directory, or host: (mandatory)",
          },
          {
            flags: "--evaluationExec <command>",
            description: "what evaluates one point, run by /bin/sh in that image (mandatory)",
          },
          ...taskOptions("evaluationInput", "evaluationTrainingData", "evaluationOutput"),
          ...taskOptions("evaluationMeta", "evaluationMetrics"),
        ],
      },
      {
        title: "checkpoints",
        options: taskOptions("checkPointToSave", "checkPointToLoad", "checkPointInterval"),
      },
      {
        title: "options and machines",
        options: [
          {
            flags: "--loadJson <file>",
            description:
              'read options from a JSON file, {"maxPoints": 20, ...}; the command line wins',
            defaultText: "none",
          },
          {
            flags: "--dumpJson <file>",
            description: "write all options, returnCode, returnOut and jediTaskID to a JSON file",
            defaultText: "none",
          },
          {
            flags: "--architecture <text>",
            description:
              'needed hardware, <#CPU><&GPU>: "#&nvidia-A100", "#&nvidia:vram>=40960:model=.*A100.*". GPUs become --gpus, the rest is shown only',
            defaultText: "none",
          },
          {
            flags: "--alrbArgs <text>",
            description: "arguments of ALRB's container set-up, which is not used here; shown only",
            defaultText: "none",
          },
          { flags: "-v, --verbose", description: "say more: every option in effect" },
        ],
      },
    ],
  },
  {
    name: "INPUT",
    summary: "training data",
    sections: [{ title: "", options: taskOptions("trainingDS") }],
  },
  {
    name: "OUTPUT",
    summary: "names",
    sections: [
      {
        title: "",
        options: [
          {
            flags: "--outDS <name>",
            description: "name of the task, and of the dataset with its output (mandatory)",
          },
          { flags: "--official", description: "official dataset; shown only" },
        ],
      },
    ],
  },
  {
    name: "SUBMIT",
    summary: "where it runs",
    sections: [
      {
        title: "",
        options: [
          {
            flags: "--site <queues>",
            description: "comma-separated queues that may be used",
            defaultText: "every one",
          },
          { flags: "--noSubmit", description: "check everything and print the task; send nothing" },
          {
            flags: "--workingGroup <group>",
            description: "working group; shown only",
            defaultText: "none",
          },
          { flags: "--noEmail", description: "no e-mail is ever sent" },
          { flags: "--voms <roles>", description: "VOMS roles; shown only", defaultText: "none" },
          { flags: "-3, --python3", description: "taken for the sake of scripts; no effect" },
        ],
      },
    ],
  },
  {
    name: "EXPERT",
    summary: "for panda-client's developers",
    sections: [
      {
        title: "",
        options: [
          { flags: "--intrSrv", description: "a test server of panda-client; no effect here" },
        ],
      },
    ],
  },
  {
    name: "HYPERPILOT",
    summary: "what only this phpo has",
    sections: [
      {
        title: "steering",
        options: [
          methodOption("steeringMethod", "none"),
          ...taskOptions("steeringTimeout", "whileSteering", "direction", "penalty"),
          ...taskOptions("penaltyLoss", "duplicates", "seed"),
        ],
      },
      {
        title: "evaluation",
        options: taskOptions("evaluationTimeout", "loopingTimeout", "noFailFast", "checkPointKeep"),
      },
      {
        title: "machines",
        options: taskOptions("cpus", "memory", "gpus", "resources", "internet"),
      },
      { title: "submission", options: taskOptions("files", "try", "wait") },
    ],
  },
];

const HELP_GROUP: OptionSpec = {
  flags: "--helpGroup <group>",
  description: `print the options of one group: ${PHPO_GROUPS.map(({ name }) => name).join(", ")}, or ALL`,
};

/** The options of one group, each with its heading. */
export function groupOptions({ name, summary, sections }: PhpoGroup): OptionSpec[] {
  return sections.flatMap(({ title, options }) =>
    options.map((option) => ({
      ...option,
      group: title === "" ? `${name}, ${summary}` : `${name}, ${title}`,
    })),
  );
}

/** All options. */
export const PHPO_OPTIONS: readonly OptionSpec[] = [
  HELP_GROUP,
  ...PHPO_GROUPS.flatMap(groupOptions),
];

/** Those that are printed for a group, or for ALL (null). */
export function optionsOfGroup(group: PhpoGroup | null): readonly OptionSpec[] {
  return group === null ? PHPO_OPTIONS : [HELP_GROUP, ...groupOptions(group)];
}

/** Name of an option's value, as in a --loadJson file. */
export function optionName(option: OptionSpec): string {
  return /--(\w+)/.exec(option.flags)?.[1] ?? "";
}
