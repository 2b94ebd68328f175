/** All commands of `hyperpilot`, in the order of the help. */
import type { Command, CommandGroup } from "./command.ts";
import { ADMIN_COMMANDS } from "./commands/admin/table.ts";
import { INIT } from "./commands/init/table.ts";
import { POINT_SHELL } from "./commands/point/table.ts";
import { RUN } from "./commands/run/table.ts";
import { SECRET_COMMANDS } from "./commands/secret/table.ts";
import { SERVER_COMMANDS } from "./commands/server/table.ts";
import { SITE_COMMANDS } from "./commands/site/table.ts";
import { TASK_COMMANDS } from "./commands/task/table.ts";
import { HYPERPILOT_PHPO } from "./phpo-command.ts";
import { SUBMIT_OPTIONS } from "./submit/options.ts";

const SUBMIT: Command = {
  path: "submit",
  summary: "submit a search",
  description:
    "Submit a search. Everything is checked before anything is sent; the files that go with it are listed first.",
  options: SUBMIT_OPTIONS,
  examples: [
    'hyperpilot submit --space space.json --exec "python3 train.py" --maxPoints 24 --nParallelEvaluation 4',
    "hyperpilot submit --task task.json --seed 7 --wait --json",
  ],
  isRemote: true,
  load: async () => (await import("./submit/run.ts")).run,
};

const HELP: Command = {
  path: "help",
  summary: "print the help of a command, or the table of exit codes",
  arguments: [{ name: "[topic...]", description: "words of a command, or exit-codes" }],
  examples: ["hyperpilot help task watch", "hyperpilot help exit-codes"],
  isRemote: false,
  load: async () => (await import("./commands/help.ts")).run,
};

export const COMMANDS: readonly Command[] = [
  INIT,
  RUN,
  ...SERVER_COMMANDS,
  SUBMIT,
  HYPERPILOT_PHPO,
  ...TASK_COMMANDS,
  POINT_SHELL,
  ...SECRET_COMMANDS,
  ...SITE_COMMANDS,
  ...ADMIN_COMMANDS,
  HELP,
];

/** Parents before children. */
export const GROUPS: readonly CommandGroup[] = [
  { path: "task", summary: "searches: list, watch, control" },
  { path: "point", summary: "one point of a search, on this machine" },
  { path: "secret", summary: "credentials for image registries: set, list, forget" },
  { path: "site", summary: "queues, pilots and nodes, for people who run a site" },
  { path: "site pilot", summary: "show, read, drain, kill one pilot" },
  { path: "site node", summary: "take a node out of work, or back" },
  { path: "site queue", summary: "add, change, test, remove queues" },
  { path: "admin", summary: "health and tokens, for administrators" },
  { path: "admin tokens", summary: "list, issue, revoke tokens" },
  { path: "admin steering", summary: "images with libraries that propose points" },
];
