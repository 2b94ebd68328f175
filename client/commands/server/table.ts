/** Commands that start the programs. */
import type { Command, OptionSpec } from "../../command.ts";

const READ_ONLY_PATH: OptionSpec = {
  flags: "--readOnlyPath <path>",
  description: "path of this machine that evaluations on the local queue may read, repeatable",
  repeatable: true,
};
const HOST: OptionSpec = {
  flags: "--host <address>",
  description: "address to listen on (127.0.0.1)",
};
const PORT: OptionSpec = {
  flags: "--port <n>",
  description: "port to listen on, 0: any free one (7070)",
};
const END_WITH_PARENT: OptionSpec = {
  flags: "--endWithParent",
  description: "end when standard input ends",
  hidden: true,
};

export const SERVER_COMMANDS: readonly Command[] = [
  {
    path: "up",
    summary: "start everything on this machine: server, harvester, pilots where there is work",
    description:
      "Start everything on this machine: a server, a harvester, and pilots where there is work. All data are in one directory. Ctrl-C ends everything; the next start goes on.",
    options: [HOST, PORT, READ_ONLY_PATH],
    examples: ["hyperpilot up", "hyperpilot up --data /data/search --port 7071"],
    isRemote: false,
    load: async () => (await import("./up.ts")).run,
  },
  {
    path: "server",
    summary: "run a server",
    description:
      "Run a server. It listens on this machine only, unless it has a certificate or is behind a proxy that has one.",
    options: [
      HOST,
      PORT,
      { flags: "--certificate <file>", description: "certificate (PEM)" },
      { flags: "--key <file>", description: "its key (PEM)" },
      {
        flags: "--behindProxy <address>",
        description: "address of a proxy that holds the certificate, repeatable",
        repeatable: true,
      },
      { flags: "--localQueue", description: "keep a queue 'local' for this machine" },
      READ_ONLY_PATH,
      END_WITH_PARENT,
    ],
    examples: [
      "hyperpilot server --data /data/hyperpilot",
      "hyperpilot server --data /data/hyperpilot --host 0.0.0.0 --certificate cert.pem --key key.pem",
    ],
    isRemote: false,
    load: async () => (await import("./programs.ts")).runServer,
  },
  {
    path: "server fsck",
    summary: "check the data of a stopped server; changes nothing",
    description:
      "Check the data of a stopped server: chain and events of the journal, its head, snapshots, blobs, keys. Changes nothing. Ends with 1 when something is not good.",
    examples: ["hyperpilot server fsck --data /data/hyperpilot"],
    isRemote: false,
    load: async () => (await import("./maintenance.ts")).runFsck,
  },
  {
    path: "server backup",
    summary: "write a backup into one file, also while the server runs",
    description:
      "Write a backup into one file, also while the server runs: journal, blobs and keys as of one moment. The file is complete or not there. Whoever has it has the server's keys.",
    options: [{ flags: "--to <file>", description: "file to write; must not be there yet" }],
    examples: ["hyperpilot server backup --data /data/hyperpilot --to /backup/monday.hpbackup"],
    isRemote: true,
    load: async () => (await import("./maintenance.ts")).runBackup,
  },
  {
    path: "server restore",
    summary: "make a data directory out of a backup",
    description:
      "Make a data directory out of a backup. What was granted after the backup is stale for the restored server: those points are evaluated again. Do not start the old server again afterwards.",
    options: [
      { flags: "--from <file>", description: "backup to restore" },
      { flags: "--data <dir>", description: "directory to make; must not be there, or be empty" },
    ],
    examples: ["hyperpilot server restore --from /backup/monday.hpbackup --data /data/new"],
    isRemote: false,
    load: async () => (await import("./maintenance.ts")).runRestore,
  },
  {
    path: "pilot",
    summary: "run a pilot; batch jobs do this",
    options: [{ flags: "--boot <file>", description: "boot file that the harvester wrote" }],
    examples: ["hyperpilot pilot --boot boot.json"],
    isRemote: false,
    load: async () => (await import("./programs.ts")).runPilot,
  },
  {
    path: "harvester",
    summary: "run a harvester, which submits pilots where there is demand",
    description:
      "Run a harvester, which submits pilots where there is demand. Without --tokenFile it takes address and token from the data directory of a server on this machine.",
    options: [
      {
        flags: "--tokenFile <file>",
        description: "file of mode 0600 with a token of role harvester",
      },
      { flags: "--directory <dir>", description: "its own data (DATA/harvester)" },
      { flags: "--name <name>", description: "name of this harvester (local)" },
      {
        flags: "--site <site>",
        description: "site whose queues it serves, repeatable (local)",
        repeatable: true,
      },
      {
        flags: "--caFingerprint <sha256>",
        description: "fingerprint of the authority that signed the server's certificate",
      },
      {
        flags: "--pilotPackage <dir>",
        description:
          "unpacked archive of the pilot, for nodes without Hyperpilot; Slurm, Grid Engine, PBS and LSF need it on a shared file system",
      },
      { flags: "--stopPilots", description: "end the pilots as well when it ends" },
      END_WITH_PARENT,
    ],
    examples: [
      "hyperpilot harvester --data /data/hyperpilot",
      "hyperpilot harvester --server https://hp.example.org --tokenFile token --directory state --site site-a",
    ],
    isRemote: true,
    load: async () => (await import("./programs.ts")).runHarvester,
  },
];
