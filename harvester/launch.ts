/** How a node starts the pilot. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { HyperpilotError } from "../protocol/errors.ts";

export interface PilotLaunch {
  /** Words that start a pilot where the node sees the harvester's files under the same paths. */
  on(bootFile: string): readonly string[];
  /** For batch systems that bring files to the node, into the directory in which the job runs. */
  readonly brought: {
    readonly files: readonly string[];
    /** `bootFile` is a name in that directory. */
    on(bootFile: string): readonly string[];
  };
}

/** A pilot that is started by a command which all nodes have. */
export function commandLaunch(command: readonly string[]): PilotLaunch {
  const on = (bootFile: string): readonly string[] => [...command, bootFile];
  return { on, brought: { files: [], on } };
}

const START = "start.sh";
const FILES = [START, "pilot.mjs", "node", "SHA256SUMS"];

/** The unpacked archive of the pilot. Errors: E_CONFIG when files are missing in it. */
export function packageLaunch(directory: string): PilotLaunch {
  const missing = FILES.filter((name) => !existsSync(join(directory, name)));
  if (missing.length > 0) {
    throw new HyperpilotError({
      code: "E_CONFIG",
      message: `${directory} does not hold the packed pilot.`,
      why: `missing: ${missing.join(", ")}`,
      remedy: "Unpack hyperpilot-pilot-linux-*.tar.gz there; npm run pack-pilot makes it.",
    });
  }
  return {
    on: (bootFile) => ["/bin/sh", join(directory, START), bootFile],
    brought: {
      files: FILES.map((name) => join(directory, name)),
      on: (bootFile) => ["/bin/sh", START, bootFile],
    },
  };
}
