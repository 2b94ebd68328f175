/** Commands about a user's secrets. */
import type { Command } from "../../command.ts";

const REGISTRY = { name: "<registry>", description: "host name, such as registry.example.org" };

export const SECRET_COMMANDS: readonly Command[] = [
  {
    path: "secret set",
    summary: "keep your credential for an image registry",
    description:
      "Keep your credential for an image registry: the nodes fetch the images of your searches with it. It is read from a file or from standard input: a line user:password, a password alone with --username, or docker's config.json.",
    arguments: [REGISTRY],
    options: [
      { flags: "--file <file>", description: "file with the credential (standard input)" },
      { flags: "--username <name>", description: "user name; the file holds the password alone" },
    ],
    examples: [
      "hyperpilot secret set registry.example.org --file credential.txt",
      "hyperpilot secret set ghcr.io --username anna --file token.txt",
      "hyperpilot secret set docker.io --file .docker/config.json",
    ],
    isRemote: true,
    load: async () => (await import("./run.ts")).runSet,
  },
  {
    path: "secret list",
    summary: "list the registries that you keep credentials for",
    examples: ["hyperpilot secret list", "hyperpilot secret list --json"],
    isDefault: true,
    isRemote: true,
    load: async () => (await import("./run.ts")).runList,
  },
  {
    path: "secret rm",
    summary: "forget your credential for a registry",
    arguments: [REGISTRY],
    examples: ["hyperpilot secret rm registry.example.org"],
    isRemote: true,
    load: async () => (await import("./run.ts")).runRemove,
  },
];
