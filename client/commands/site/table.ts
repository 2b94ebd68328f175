/** Commands of people who run a site. */
import { BATCH_KINDS } from "../../../protocol/batch-kinds.ts";
import { QUEUE_STATES } from "../../../protocol/states.ts";
import type { ArgumentSpec, Command, OptionSpec } from "../../command.ts";

const QUEUE: ArgumentSpec = { name: "<queue>", description: "name of the queue" };
const FILE: ArgumentSpec = { name: "<file>", description: "the queue in TOML, or in JSON (.json)" };
const PILOT: ArgumentSpec = {
  name: "<pilot>",
  description: "id of the pilot, or of its submission",
};
const PILOTS: ArgumentSpec = {
  name: "<pilots...>",
  description: "ids of pilots, or of their submissions",
};
const OF_QUEUE: OptionSpec = { flags: "--queue <name>", description: "only those of this queue" };
const ON_NODE: OptionSpec = { flags: "--node <name>", description: "only those on this node" };
const SINCE: OptionSpec = {
  flags: "--since <time>",
  description: "how far back: 2h, 3d, or a time (24h)",
};
const TIMEOUT: OptionSpec = {
  flags: "--timeout <time>",
  description: "how long the test pilot may take (10min)",
};

const QUEUE_COMMANDS: readonly Command[] = [
  {
    path: "site queue add",
    summary: "add a queue, or change it, and try it with one pilot",
    description:
      "Add a queue, or change it, and try it with one pilot. What is wrong in the file is said with its line; nothing is sent then.",
    arguments: [FILE],
    options: [{ flags: "--noTest", description: "submit no test pilot" }, TIMEOUT],
    examples: ["hyperpilot site queue add gpu.toml", "hyperpilot site queue add gpu.toml --noTest"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runAdd,
  },
  {
    path: "site queue show",
    summary: "print what was written of a queue, as a file for 'site queue add'",
    arguments: [QUEUE],
    options: [
      {
        flags: "--effective",
        description: "every value with its origin: file, API, server, default",
      },
    ],
    examples: ["hyperpilot site queue show gpu", "hyperpilot site queue show gpu --effective"],
    isRemote: true,
    load: async () => (await import("./queue-show.ts")).runShow,
  },
  {
    path: "site queue fields",
    summary: "explain every field of a queue",
    arguments: [{ name: "[kind]", description: `batch system: ${BATCH_KINDS.join(", ")}` }],
    examples: ["hyperpilot site queue fields slurm"],
    isRemote: false,
    load: async () => (await import("./queue-show.ts")).runFields,
  },
  {
    path: "site queue set",
    summary: "change values of a queue",
    description:
      "Change values of a queue. Lists are written with commas or in JSON, tables in JSON; 'none' takes a value away.",
    arguments: [QUEUE, { name: "<values...>", description: "key=value, such as slot.cpus=4" }],
    examples: [
      "hyperpilot site queue set gpu slot.walltimeSeconds=14400 batch.partition=long",
      "hyperpilot site queue set gpu readOnlyPaths=/cvmfs,/data",
    ],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runSet,
  },
  {
    path: "site queue limit",
    summary: "change the limits of a queue",
    arguments: [QUEUE, { name: "<values...>", description: "key=value, such as maxPilots=200" }],
    examples: ["hyperpilot site queue limit gpu maxPilots=200 maxQueued=20"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runLimit,
  },
  {
    path: "site queue diff",
    summary: "compare a file with the queue at the server; ends with 1 when they differ",
    arguments: [FILE],
    examples: ["hyperpilot site queue diff gpu.toml"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runDiff,
  },
  {
    path: "site queue test",
    summary: "submit one pilot and follow it to its self-test",
    description:
      "Submit one pilot and follow it: submitted, queued, started, connected, self-test. It takes no work. Where it stops, the batch system's own words and the job's output are shown. Ends with 1 when it does not come up, with 8 when it still waits.",
    arguments: [QUEUE],
    options: [TIMEOUT],
    examples: ["hyperpilot site queue test gpu", "hyperpilot site queue test gpu --timeout 30min"],
    isRemote: true,
    load: async () => (await import("./queue-test.ts")).run,
  },
  {
    path: "site queue online",
    summary: "open a queue",
    arguments: [QUEUE],
    examples: ["hyperpilot site queue online gpu"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runOnline,
  },
  {
    path: "site queue offline",
    summary: "close a queue; pilots that have not connected are taken back",
    arguments: [QUEUE],
    examples: ["hyperpilot site queue offline gpu"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runOffline,
  },
  {
    path: "site queue drain",
    summary: "let a queue end what it runs, and nothing more",
    arguments: [QUEUE],
    examples: ["hyperpilot site queue drain gpu"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runDrain,
  },
  {
    path: "site queue set-state",
    summary: "put a queue into any state",
    arguments: [QUEUE, { name: "<state>", description: `one of ${QUEUE_STATES.join(", ")}` }],
    examples: ["hyperpilot site queue set-state gpu test"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runSetState,
  },
  {
    path: "site queue alias",
    summary: "let the nodes of a queue use another image for a name that searches write",
    arguments: [
      QUEUE,
      { name: "<image>", description: "as searches name it" },
      { name: "<target>", description: "what is used: a path on the nodes, or another image" },
    ],
    examples: [
      "hyperpilot site queue alias local docker://registry.example/training:1 /data/images/training.sif",
    ],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runAlias,
  },
  {
    path: "site queue rm",
    summary: "remove a queue",
    arguments: [QUEUE],
    examples: ["hyperpilot site queue rm gpu"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runRemove,
  },
];

const PILOT_COMMANDS: readonly Command[] = [
  {
    path: "site pilots",
    summary: "list the pilots with what they were granted",
    options: [OF_QUEUE, ON_NODE],
    examples: ["hyperpilot site pilots", "hyperpilot site pilots --queue local --json"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runPilots,
  },
  {
    path: "site submissions",
    summary: "list the batch jobs, with the batch system's own words",
    options: [OF_QUEUE],
    examples: ["hyperpilot site submissions --queue gpu"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runSubmissions,
  },
  {
    path: "site pilot show",
    summary: "show everything about a pilot or a submission",
    arguments: [PILOT],
    examples: ["hyperpilot site pilot show pilot-0123456789ab"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runShow,
  },
  {
    path: "site pilot logs",
    summary: "print what the batch job of a pilot has printed",
    arguments: [PILOT],
    options: [{ flags: "--raw", description: "as it was written: one line of JSON per event" }],
    examples: ["hyperpilot site pilot logs sub-0123456789ab"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runLogs,
  },
  {
    path: "site pilot drain",
    summary: "let pilots end what they run, then leave",
    arguments: [PILOTS],
    examples: ["hyperpilot site pilot drain pilot-0123456789ab"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runDrain,
  },
  {
    path: "site pilot kill",
    summary: "remove the batch jobs of pilots; what they ran is evaluated elsewhere",
    arguments: [PILOTS],
    examples: ["hyperpilot site pilot kill sub-0123456789ab"],
    isRemote: true,
    load: async () => (await import("./pilots.ts")).runKill,
  },
];

const NODE_COMMANDS: readonly Command[] = [
  {
    path: "site nodes",
    summary: "list the nodes with what became of evaluations there",
    options: [
      { flags: "--bad", description: "only those that are drained or suspected" },
      OF_QUEUE,
      SINCE,
    ],
    examples: ["hyperpilot site nodes --bad", "hyperpilot site nodes --queue gpu --since 3d"],
    isRemote: true,
    load: async () => (await import("./nodes.ts")).runNodes,
  },
  {
    path: "site node drain",
    summary: "give a node no further work",
    arguments: [{ name: "<node>", description: "name of the node" }],
    options: [
      { flags: "--queue <name>", description: "queue of the node" },
      { flags: "--reason <text>", description: "why, for the others" },
    ],
    examples: ['hyperpilot site node drain wn042 --queue gpu --reason "GPU has ECC errors"'],
    isRemote: true,
    load: async () => (await import("./nodes.ts")).runDrainNode,
  },
  {
    path: "site node undrain",
    summary: "give a node work again",
    arguments: [{ name: "<node>", description: "name of the node" }],
    options: [{ flags: "--queue <name>", description: "queue of the node" }],
    examples: ["hyperpilot site node undrain wn042 --queue gpu"],
    isRemote: true,
    load: async () => (await import("./nodes.ts")).runUndrainNode,
  },
  {
    path: "site errors",
    summary: "list failures and interruptions by cause, node and queue",
    options: [SINCE, OF_QUEUE, ON_NODE],
    examples: ["hyperpilot site errors --since 2h", "hyperpilot site errors --queue gpu --json"],
    isRemote: true,
    load: async () => (await import("./nodes.ts")).runErrors,
  },
  {
    path: "site trace",
    summary: "say who ran what on a node at a time",
    options: [
      { flags: "--node <name>", description: "name of the node" },
      {
        flags: "--time <time>",
        description: "2h for two hours ago, or a time (local, or ISO 8601)",
      },
      { flags: "--around <time>", description: "how long before and after that (1min)" },
    ],
    examples: ['hyperpilot site trace --node wn042 --time "2026-01-31 14:05"'],
    isRemote: true,
    load: async () => (await import("./nodes.ts")).runTrace,
  },
];

export const SITE_COMMANDS: readonly Command[] = [
  {
    path: "site queues",
    summary: "list the queues with their pilots and slots",
    examples: ["hyperpilot site queues"],
    isRemote: true,
    load: async () => (await import("./queues.ts")).runQueues,
  },
  {
    path: "site why",
    summary: "say where a queue stops, why, and what to do",
    description:
      "Say where a queue stops: wanted, harvester, batch system, pilot, lease, loss. The first stage that does not let the next one begin is explained, in the batch system's own words and in ours.",
    arguments: [QUEUE],
    examples: ["hyperpilot site why gpu", "hyperpilot site why gpu --json"],
    isRemote: true,
    load: async () => (await import("./why.ts")).run,
  },
  {
    path: "site harvester",
    summary: "list the harvesters with the queues that each serves",
    examples: ["hyperpilot site harvester"],
    isRemote: true,
    load: async () => (await import("./harvesters.ts")).run,
  },
  ...PILOT_COMMANDS,
  ...NODE_COMMANDS,
  ...QUEUE_COMMANDS,
];
