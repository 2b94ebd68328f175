/** The command `hyperpilot`. The only file that imports the programs, each when it is started. */
import { hyperpilotProgram } from "./hyperpilot.ts";
import { endProcessWith, endQuietlyOnClosedPipe, processWorld } from "./process-world.ts";
import { parsePhpo, phpoVersionText } from "./phpo-command.ts";
import { lookForPhpo, phpoNotes } from "./phpo-path.ts";
import { parseWords } from "./program.ts";
import { runClient } from "./run.ts";

endQuietlyOnClosedPipe();
const maintenance = () => import("../server/maintenance.ts");
const world = processWorld({
  server: async (options) => (await import("../server/main.ts")).runServer(options),
  harvester: async (options) => (await import("../harvester/main.ts")).runHarvester(options),
  pilot: async (options) => (await import("../pilot/main.ts")).runPilot(options),
  shell: async (options) => (await import("../pilot/shell.ts")).runShell(options),
  fsck: async (options) => (await maintenance()).checkData(options),
  backup: async (options) => (await maintenance()).writeBackupFile(options),
  restore: async (options) => (await maintenance()).restoreBackupFile(options),
});
endProcessWith(
  runClient(world, (words) => {
    if (words[0] !== "phpo") return parseWords(hyperpilotProgram(), words);
    const look = lookForPhpo(world.environment, world.selfArgv.at(-1) ?? "");
    const version = phpoVersionText(look.own, phpoNotes(look));
    return parsePhpo(words.slice(1), { name: "hyperpilot phpo", version });
  }),
);
