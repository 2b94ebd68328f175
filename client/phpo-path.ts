/** Which `phpo` a shell runs: panda-client has a command of the same name. */
import {
  accessSync,
  closeSync,
  constants,
  openSync,
  readSync,
  realpathSync,
  statSync,
} from "node:fs";
import { delimiter, dirname, extname, join } from "node:path";
import type { Context } from "./context.ts";
import { neutralise } from "./format.ts";
import type { Environment } from "./style.ts";

export interface PhpoOnPath {
  /** As the shell finds it. */
  readonly path: string;
  readonly isOurs: boolean;
  /** "panda-client's" or "another program's". */
  readonly whose: string;
}

export interface PhpoLook {
  /** The file of this program. */
  readonly own: string;
  /** In the order of PATH; the first is what a shell runs. */
  readonly found: readonly PhpoOnPath[];
}

/** Read of a found file, to tell whose it is. */
const HEAD_BYTES = 8_192;
const FOUND_MAX = 16;

/** Looks through PATH. `script`: the file that Node was started with, phpo's own or that of `hyperpilot`. */
export function lookForPhpo(environment: Environment, script: string): PhpoLook {
  const real = realPath(script) ?? script;
  const own = join(dirname(real), `phpo${extname(real)}`);
  const found: PhpoOnPath[] = [];
  const seen = new Set<string>();
  for (const directory of (environment["PATH"] ?? "").split(delimiter)) {
    const path = join(directory === "" ? "." : directory, "phpo");
    const target = isExecutable(path) ? realPath(path) : null;
    if (target === null || seen.has(target) || found.length >= FOUND_MAX) continue;
    seen.add(target);
    const head = target === own ? "" : headOf(target);
    const isOurs = target === own || head.includes(own);
    const isPanda = /pandaclient|PANDA_SYS|PhpoScript/.test(head);
    found.push({ path, isOurs, whose: isPanda ? "panda-client's" : "another program's" });
  }
  return { own, found };
}

/** What a person must know before typing `phpo`; null where it runs this one, or none. */
export function foreignPhpoNote({ found }: PhpoLook): string | null {
  const [first] = found;
  if (first === undefined || first.isOurs) return null;
  const ours = found.find((one) => one.isOurs);
  const choice =
    ours === undefined
      ? "for this one, type: hyperpilot phpo"
      : `for this one, type: hyperpilot phpo, or put ${dirname(ours.path)} first in PATH`;
  return `typing "phpo" here runs ${first.path}, ${first.whose}, not Hyperpilot's; ${choice}`;
}

/** Says so where someone is about to type `phpo`. */
export function tellForeignPhpo({ environment, selfArgv, output }: Context): void {
  const note = foreignPhpoNote(lookForPhpo(environment, selfArgv.at(-1) ?? ""));
  if (note !== null) output.talk(neutralise(`Note: ${note}.`));
}

/** All that is worth knowing of other programs named phpo, as sentences, while this one runs. */
export function phpoNotes(look: PhpoLook): string[] {
  const front = foreignPhpoNote(look);
  if (front !== null) return [front];
  return look.found
    .filter((one) => !one.isOurs)
    .map(
      ({ path, whose }) =>
        `another phpo, ${whose}, is behind this one in PATH: ${path}; to run that one, type its path`,
    );
}

function realPath(path: string): string | null {
  try {
    return realpathSync(path);
  } catch {
    // Not there, or not for us to see: the shell does not run it either.
    return null;
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

function headOf(path: string): string {
  let file: number | null = null;
  try {
    file = openSync(path, "r");
    const buffer = Buffer.alloc(HEAD_BYTES);
    return buffer.subarray(0, readSync(file, buffer, 0, HEAD_BYTES, 0)).toString("latin1");
  } catch {
    // Executable, but not readable: whose it is stays unknown.
    return "";
  } finally {
    if (file !== null) closeSync(file);
  }
}
