import { findProgram } from "../../pilot/runtime/find-program.ts";

/**
 * Skips the suite, by name, where a real tool is missing: call it first in a `before` hook. Only for tools that a machine may
 * lack; whatever is part of the project must be there.
 */
export function requireTool(context: Mocha.Context, program: string): void {
  if (findProgram(program) !== null) return;
  console.log(`        skipped: ${program} is not installed`);
  context.skip();
}

/** Skips the suite where the tests do not run as root. */
export function requireRoot(context: Mocha.Context): void {
  if (process.getuid?.() === 0) return;
  console.log("        skipped: needs root");
  context.skip();
}
