#!/usr/bin/env node
/** The command `phpo`. */
import { HyperpilotError } from "../protocol/errors.ts";
import { parsePhpo } from "./phpo-command.ts";
import { endQuietlyOnClosedPipe, processWorld } from "./process-world.ts";
import { runClient } from "./run.ts";

/** phpo submits; it starts no program. */
function notHere(): Promise<never> {
  throw new HyperpilotError({
    code: "E_USAGE",
    message: "phpo starts no program.",
    remedy: "hyperpilot --help",
  });
}

endQuietlyOnClosedPipe();
const programs = { server: notHere, harvester: notHere, pilot: notHere, shell: notHere };
process.exitCode = await runClient(processWorld(programs), async (words) => parsePhpo(words));
