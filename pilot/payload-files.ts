/** What a payload and its runtime write, looked at from outside. */
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { systemErrorCode } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import { EVERYTHING } from "./checkpoint-names.ts";
import type { OutputFile } from "./output-file.ts";
import type { LoopingRule } from "./payload-watch.ts";
import { survey } from "./snapshot.ts";
import type { PayloadDirectories } from "./workdir.ts";

const BOUNDS = { entriesMax: PILOT.loopingEntriesMax, depthMax: PILOT.loopingDepthMax };

/** When the payload is looping, by its work directory, its temporary directory and its output; undefined: its task has no such rule. */
export function loopingRule(
  limitSeconds: number | null,
  { work, temporary }: Pick<PayloadDirectories, "work" | "temporary">,
  log: Pick<OutputFile, "path">,
): LoopingRule | undefined {
  if (limitSeconds === null) return undefined;
  const look = async (): Promise<string | null> => {
    const hash = createHash("sha256");
    const { size, mtimeMs } = statSync(log.path);
    hash.update(`${size} ${mtimeMs}`);
    for (const directory of [work, temporary]) {
      const { signature, unfit } = await survey(directory, EVERYTHING, BOUNDS);
      if (unfit !== null) return null;
      hash.update(`\n${signature}\n`);
    }
    return hash.digest("hex");
  };
  const files = async (): Promise<string | null> => {
    try {
      return await look();
    } catch (error) {
      if (systemErrorCode(error) === undefined) throw error;
      // A directory that its payload has closed to others, say: what is in it may change.
      return null;
    }
  };
  return { limitSeconds, files };
}

/** What the runtime has written about itself; empty when there is nothing. */
export function readStatus(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}
