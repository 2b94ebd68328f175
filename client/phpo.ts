/** The command `phpo`. */
import { HyperpilotError } from "../protocol/errors.ts";
import { parsePhpo, phpoVersionText } from "./phpo-command.ts";
import { lookForPhpo, phpoNotes } from "./phpo-path.ts";
import { endProcessWith, endQuietlyOnClosedPipe, processWorld } from "./process-world.ts";
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
const world = processWorld({
  server: notHere,
  harvester: notHere,
  pilot: notHere,
  shell: notHere,
  fsck: notHere,
  backup: notHere,
  restore: notHere,
});
endProcessWith(
  runClient(world, (words) => {
    if (!words.includes("--version")) return parsePhpo(words);
    const look = lookForPhpo(world.environment, world.selfArgv.at(-1) ?? "");
    return parsePhpo(words, { version: phpoVersionText(look.own, phpoNotes(look)) });
  }),
);
