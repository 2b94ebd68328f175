/**
 * Starts a program of the build (scripts/build.ts) with the code that was compiled for it then: reading and compiling the text is
 * half of what a short command costs, and Node 20 keeps compiled code of scripts only, not of modules.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { constants, Script } from "node:vm";

/** Words after `hyperpilot` that use other code than the commands do, and have compiled code of their own. */
const PROGRAMS: readonly string[] = ["server", "harvester", "pilot"];

/** Whose compiled code a start is to take; `word` is the first argument. */
export function codeUse(word = ""): string {
  return PROGRAMS.includes(word) ? word : "commands";
}

/** Compiled code is good for one text, version and processor; V8 looks at most of that too, but not at the text. */
export function codeCacheFile(bundle: string, use: string): string {
  return `${bundle}.${process.version}-${process.arch}.${use}.cache`;
}

/** What a bundle is: a function with the parameters of a CommonJS module. */
type Bundle = (this: unknown, ...parts: readonly unknown[]) => void;

/** Runs a bundle, a file in ASCII with a hash of its text in its name. Without compiled code that fits it only takes longer. */
export function startBundle(file: string, use: string): Script {
  const cache = codeCacheFile(file, use);
  const script = new Script(readFileSync(file, "latin1"), {
    filename: file,
    ...(existsSync(cache) ? { cachedData: readFileSync(cache) } : {}),
    importModuleDynamically: constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
  });
  const module = { exports: {} };
  const run = script.runInThisContext() as Bundle;
  const { exports } = module;
  run.call(exports, exports, createRequire(file), module, file, dirname(file));
  return script;
}
