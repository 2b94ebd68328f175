#!/usr/bin/env node
/** The command `hyperpilot`. The only file that imports the programs, each when it is started. */
import { hyperpilotProgram } from "./hyperpilot.ts";
import { endQuietlyOnClosedPipe, processWorld } from "./process-world.ts";
import { parseWords } from "./program.ts";
import { runClient } from "./run.ts";

endQuietlyOnClosedPipe();
const world = processWorld({
  server: async (options) => (await import("../server/main.ts")).runServer(options),
  harvester: async (options) => (await import("../harvester/main.ts")).runHarvester(options),
  pilot: async (options) => (await import("../pilot/main.ts")).runPilot(options),
  shell: async (options) => (await import("../pilot/shell.ts")).runShell(options),
});
process.exitCode = await runClient(world, (words) => parseWords(hyperpilotProgram(), words));
