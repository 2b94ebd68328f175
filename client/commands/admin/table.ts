/** Commands of administrators. */
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
];
