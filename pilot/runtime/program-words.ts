import type { ProgramResult } from "../../common/child.ts";

/** Why a program failed, in its own last words. */
export function wordsOf(result: ProgramResult): string {
  if (result.missing) return "there is no such program";
  if (result.timedOut) return "it did not end in time";
  const said = result.stderr.trim().split("\n").slice(-3).join(" ");
  if (said !== "") return said;
  return result.signal === null ? `exit code ${result.exitCode}` : `ended by ${result.signal}`;
}
