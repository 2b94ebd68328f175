/** Commands about one point that are done on this machine. */
import type { Command } from "../../command.ts";

export const POINT_SHELL: Command = {
  path: "point shell",
  summary:
    "open a shell where a point's evaluation would run: its image, files, input and environment",
  description:
    "Open a shell on this machine where a point's evaluation would run: its image, files, input.json and environment, in the same sandbox. 'run' in it does what the evaluation does. What stands on standard input is executed where that is no terminal. With one argument, a point of the last task.",
  arguments: [
    {
      name: "<task>",
      description: "id or name of the task, or 'last'; or the point of the last one",
    },
    { name: "[point]", description: "id of the point" },
  ],
  options: [
    { flags: "--keep", description: "leave the directory when the shell has ended" },
    {
      flags: "--queue <name>",
      description: "queue whose sandbox, paths, images and environment are taken",
      defaultText: "the local one, if it may be used",
    },
  ],
  examples: ["hyperpilot point shell 17", "hyperpilot point shell last 17 --keep"],
  isRemote: true,
  load: async () => (await import("./shell.ts")).run,
};
