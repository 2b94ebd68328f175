/** Commands of people who run a site. */
import { QUEUE_STATES } from "../../../protocol/states.ts";
import type { Command } from "../../command.ts";

const QUEUE = { name: "<queue>", description: "name of the queue" };

export const SITE_COMMANDS: readonly Command[] = [
  {
    path: "site queues",
    summary: "list the queues with their pilots and slots",
    examples: ["hyperpilot site queues"],
    isRemote: true,
    load: async () => (await import("./queues.ts")).runQueues,
  },
  {
    path: "site pilots",
    summary: "list the pilots with what they were granted",
    options: [{ flags: "--queue <name>", description: "only those of this queue" }],
    examples: ["hyperpilot site pilots", "hyperpilot site pilots --queue local --json"],
    isRemote: true,
    load: async () => (await import("./queues.ts")).runPilots,
  },
  {
    path: "site queue add",
    summary: "add a queue, or change it",
    arguments: [{ name: "<file>", description: "the queue in TOML, or in JSON (.json)" }],
    examples: ["hyperpilot site queue add gpu.toml"],
    isRemote: true,
    load: async () => (await import("./queue.ts")).runAdd,
  },
  {
    path: "site queue set-state",
    summary: "open, drain or close a queue",
    arguments: [QUEUE, { name: "<state>", description: `one of ${QUEUE_STATES.join(", ")}` }],
    examples: ["hyperpilot site queue set-state gpu drain"],
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
