/** Commands of administrators. */
import { STEERING_LIBRARIES } from "../../../protocol/image-names.ts";
import type { Command } from "../../command.ts";

export const ADMIN_COMMANDS: readonly Command[] = [
  {
    path: "admin status",
    summary: "show the health of the server; ends with 1 when something is not good",
    examples: ["hyperpilot admin status", "hyperpilot admin status --json"],
    isRemote: true,
    load: async () => (await import("./status.ts")).run,
  },
  {
    path: "admin tokens list",
    summary: "list the tokens, without their secrets",
    examples: ["hyperpilot admin tokens", "hyperpilot admin tokens list --json"],
    isDefault: true,
    isRemote: true,
    load: async () => (await import("./tokens.ts")).runList,
  },
  {
    path: "admin tokens issue",
    summary: "make a token; it is printed once",
    arguments: [{ name: "<name>", description: "what the token is for" }],
    options: [
      { flags: "--user <user>", description: "whose token it is (the name)" },
      {
        flags: "--role <role>",
        description: "what it may do, repeatable (user)",
        choices: ["user", "operator", "admin", "harvester"],
        repeatable: true,
      },
    ],
    examples: [
      "hyperpilot admin tokens issue laptop --user anna",
      "hyperpilot admin tokens issue site-a --user site-a --role harvester",
    ],
    isRemote: true,
    load: async () => (await import("./tokens.ts")).runIssue,
  },
  {
    path: "admin tokens revoke",
    summary: "make a token invalid, for good",
    arguments: [{ name: "<id>", description: "id of the token" }],
    examples: ["hyperpilot admin tokens revoke 3"],
    isRemote: true,
    load: async () => (await import("./tokens.ts")).runRevoke,
  },
  {
    path: "admin steering build",
    summary: "build the predefined steering images, and tell the queues that run steering",
    description:
      "Build images with nevergrad, scikit-optimize and optuna, known to searches as hyperpilot/nevergrad, hyperpilot/skopt and hyperpilot/optuna. What is built already is not built again. `all` is one image for all three names.",
    arguments: [
      { name: "[images...]", description: `${STEERING_LIBRARIES.join(", ")} or all (all)` },
    ],
    options: [
      {
        flags: "--builder <program>",
        description: "what builds it (the first of these that is installed)",
        choices: ["apptainer", "podman", "docker"],
      },
      {
        flags: "--base <image>",
        description:
          "image of a registry, SIF file, root directory, or debian[:suite]: made of Debian packages (a Python image of Docker's registry)",
      },
      { flags: "--mirror <url>", description: "mirror of Debian (that of this machine)" },
      {
        flags: "--images <directory>",
        description: "where SIF files are kept (images in the data directory)",
      },
      {
        flags: "--queue <name>",
        description: "queue that is told, repeatable (those for steering on this machine)",
        repeatable: true,
      },
      { flags: "--noRegister", description: "tell no queue" },
      { flags: "--force", description: "build also what is built already" },
    ],
    examples: [
      "hyperpilot admin steering build",
      "hyperpilot admin steering build optuna --builder apptainer --base debian",
    ],
    isRemote: true,
    load: async () => (await import("./steering.ts")).runBuild,
  },
];
