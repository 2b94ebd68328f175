/** Commands of people who search. */
import { POINT_STATES, TASK_STATES } from "../../../protocol/states.ts";
import type { ArgumentSpec, Command } from "../../command.ts";
import { LIMIT_OPTIONS } from "../../submit/options.ts";

const TASK: ArgumentSpec = { name: "<task>", description: "id or name of the task, or 'last'" };
const LIMIT = { flags: "--limit <n>", description: "at most so many (100)" };
const TO = { flags: "--to <dir>", description: "directory for the files (the present one)" };

export const TASK_COMMANDS: readonly Command[] = [
  {
    path: "task list",
    summary: "list your tasks, newest first",
    options: [
      { flags: "--state <state>", description: "only those in this state", choices: TASK_STATES },
      { flags: "--all", description: "those of all users (administrators)" },
      LIMIT,
    ],
    examples: ["hyperpilot task list", "hyperpilot task list --state running --json"],
    isRemote: true,
    load: async () => (await import("./list.ts")).run,
  },
  {
    path: "task show",
    summary: "show everything about a task",
    arguments: [TASK],
    examples: ["hyperpilot task show last"],
    isRemote: true,
    load: async () => (await import("./show.ts")).run,
  },
  {
    path: "task watch",
    summary: "watch a task until it ends",
    description:
      "Watch a task until it ends. Ctrl-C stops watching, not the task. Ends with 0 when the task finished, with 5 when it did not. With --json one document per change.",
    arguments: [TASK],
    examples: ["hyperpilot task watch last", "hyperpilot task watch 10000001 --json"],
    isRemote: true,
    load: async () => (await import("./watch.ts")).run,
  },
  {
    path: "task points",
    summary: "list the points of a task",
    arguments: [TASK],
    options: [
      { flags: "--state <state>", description: "only those in this state", choices: POINT_STATES },
      {
        flags: "--sort <key>",
        description: "by id (as proposed) or by loss (best first)",
        choices: ["id", "loss"],
      },
      { flags: "--segment <name>", description: "only those of this segment" },
      LIMIT,
    ],
    examples: ["hyperpilot task points last --sort loss --limit 10"],
    isRemote: true,
    load: async () => (await import("./points.ts")).runPoints,
  },
  {
    path: "task point",
    summary: "show one point with its attempts",
    arguments: [TASK, { name: "<point>", description: "id of the point" }],
    examples: ["hyperpilot task point last 17"],
    isRemote: true,
    load: async () => (await import("./points.ts")).runPoint,
  },
  {
    path: "task best",
    summary: "show the best loss and its parameters",
    arguments: [TASK],
    options: [
      { flags: "--segments", description: "the best of each segment" },
      {
        flags: "--export <file>",
        description: "write the parameters to a file, byte for byte as evaluated; '-': to stdout",
      },
      { flags: "--force", description: "replace the file of --export" },
    ],
    examples: [
      "hyperpilot task best last",
      "hyperpilot task best digits --json",
      "hyperpilot task best last --export input.json",
    ],
    isRemote: true,
    load: async () => (await import("./best.ts")).run,
  },
  {
    path: "task logs",
    summary: "print the output of a point's evaluations",
    description:
      "Print the output of a point's evaluations, or of a run of steering; without a point, of one that failed, else of the best, else of steering.",
    arguments: [TASK, { name: "[point]", description: "id of the point, or run-N" }],
    examples: [
      "hyperpilot task logs last",
      "hyperpilot task logs last 17",
      "hyperpilot task logs last run-0",
    ],
    isRemote: true,
    load: async () => (await import("./logs.ts")).run,
  },
  {
    path: "task metadata",
    summary: "print the metadata of points as one JSON document",
    description:
      "Print the metadata that evaluations have written (--evaluationMeta), as one JSON document {point: {...}}.",
    arguments: [TASK, { name: "[point]", description: "id of the point; without it, all points" }],
    examples: ["hyperpilot task metadata last", "hyperpilot task metadata last 17"],
    isRemote: true,
    load: async () => (await import("./metadata.ts")).run,
  },
  {
    path: "task metrics",
    summary: "download the metrics of points",
    description: "Download the metrics that evaluations have left (--evaluationMetrics).",
    arguments: [TASK, { name: "[point]", description: "id of the point; without it, all points" }],
    options: [TO],
    examples: ["hyperpilot task metrics last --to metrics", "hyperpilot task metrics last 17"],
    isRemote: true,
    load: async () => (await import("./files.ts")).runMetrics,
  },
  {
    path: "task checkpoint",
    summary: "download the newest checkpoint of a point",
    description:
      "Download the newest checkpoint of a point: one that is not final yet, or one whose task keeps them (--checkPointKeep).",
    arguments: [TASK, { name: "<point>", description: "id of the point" }],
    options: [TO],
    examples: ["hyperpilot task checkpoint last 17 --to checkpoints"],
    isRemote: true,
    load: async () => (await import("./files.ts")).runCheckpoint,
  },
  {
    path: "task why",
    summary: "say why nothing runs, or what runs",
    arguments: [TASK],
    examples: ["hyperpilot task why last"],
    isRemote: true,
    load: async () => (await import("./why.ts")).run,
  },
  {
    path: "task pause",
    summary: "start no new evaluations; running ones go on",
    arguments: [TASK],
    examples: ["hyperpilot task pause last"],
    isRemote: true,
    load: async () => (await import("./control.ts")).runPause,
  },
  {
    path: "task resume",
    summary: "go on with a paused task",
    arguments: [TASK],
    examples: ["hyperpilot task resume last"],
    isRemote: true,
    load: async () => (await import("./control.ts")).runResume,
  },
  {
    path: "task finish",
    summary: "end a task when its running evaluations have ended",
    arguments: [TASK],
    options: [{ flags: "--hard", description: "end running evaluations as well" }],
    examples: ["hyperpilot task finish last", "hyperpilot task finish last --hard"],
    isRemote: true,
    load: async () => (await import("./control.ts")).runFinish,
  },
  {
    path: "task kill",
    summary: "end a task and its evaluations at once",
    arguments: [TASK],
    examples: ["hyperpilot task kill 10000001"],
    isRemote: true,
    load: async () => (await import("./control.ts")).runKill,
  },
  {
    path: "task limits",
    summary: "raise or lower limits; raising them lets an ended task run again",
    arguments: [TASK],
    options: LIMIT_OPTIONS,
    examples: [
      "hyperpilot task limits last --maxPoints 200",
      "hyperpilot task limits last --nParallelEvaluation 8",
    ],
    isRemote: true,
    load: async () => (await import("./control.ts")).runLimits,
  },
  {
    path: "task retry",
    summary: "evaluate points again, as new points",
    arguments: [TASK, { name: "<points...>", description: "ids of the points" }],
    examples: ["hyperpilot task retry last 3 17"],
    isRemote: true,
    load: async () => (await import("./control.ts")).runRetry,
  },
];
