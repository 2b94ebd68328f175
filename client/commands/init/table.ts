/** A first search to copy. */
import type { Command } from "../../command.ts";

export const INIT: Command = {
  path: "init",
  summary: "write a first search to change: a commented task, a search space, a training program",
  description:
    "Write a first search to change: search.toml (the task, commented), space.json (the search space) and train.py (a training that saves its state and resumes from it, pure Python). Nothing that exists is overwritten.",
  arguments: [
    { name: "[dir]", description: "directory, made when it is not there (the present one)" },
  ],
  examples: ["hyperpilot init", "hyperpilot init first-search"],
  isRemote: false,
  load: async () => (await import("./init.ts")).run,
};
