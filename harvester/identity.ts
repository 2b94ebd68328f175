/** Who this harvester is: an id that stays with its directory, so that a restart is told from a copy elsewhere. */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";

const ID = /^h-[0-9a-f]{12}$/;

/** The id in the directory; made on first use. Errors: E_FILE. */
export function harvesterId(directory: string): string {
  const file = join(directory, "harvester-id");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const id = readOrNull(file);
    if (id !== null && ID.test(id)) return id;
    const made = `h-${randomBytes(6).toString("hex")}`;
    writeFileSync(file, `${made}\n`, { mode: 0o600, flush: true });
    return made;
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `The harvester cannot write into ${directory}.`,
        why: errorText(error),
        remedy: "Name another directory: --directory, or correct its owner and mode.",
      },
      error,
    );
  }
}

function readOrNull(file: string): string | null {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}
