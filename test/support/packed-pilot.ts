/** The packed pilot for tests, as an operator unpacks it. */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { PROGRAM } from "./deployment.ts";

const REPOSITORY = dirname(dirname(dirname(PROGRAM)));

export const PILOT_ARCHIVE = join(
  REPOSITORY,
  "dist",
  `hyperpilot-pilot-linux-${process.arch}.tar.gz`,
);

/** Makes the archive and unpacks it into a new directory. */
export function unpackPilot(directory: string): void {
  execFileSync(process.execPath, ["--import", "tsx", "scripts/pack-pilot.ts"], { cwd: REPOSITORY });
  mkdirSync(directory, { recursive: true });
  execFileSync("tar", ["-xzf", PILOT_ARCHIVE, "-C", directory]);
}
