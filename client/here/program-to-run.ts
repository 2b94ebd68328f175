/** From the words after `hyperpilot run` to the command of an evaluation. */
import {
  accessSync,
  constants,
  openSync,
  readSync,
  closeSync,
  readdirSync,
  statSync,
} from "node:fs";
import { basename, delimiter, dirname, isAbsolute, join, relative, resolve } from "node:path";
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { PAYLOAD_PATH } from "../../protocol/host-paths.ts";
import type { Environment } from "../style.ts";
import { askPython, type Python } from "./python.ts";
import { isHiddenFromPayloads } from "./readable-paths.ts";
import { shellWord } from "./shell-words.ts";

export interface ProgramToRun {
  /** For `/bin/sh -c` in the work directory of an evaluation. */
  readonly exec: string;
  /** As the person would type it here. */
  readonly shown: string;
  /** Absolute. */
  readonly filesDirectory: string;
  /** Relative to it: the program itself, which goes with the task whatever its name ends in. */
  readonly furtherFiles: readonly string[];
  readonly readOnlyPaths: readonly string[];
}

export interface ProgramRequest {
  /** A file and its arguments, a program of PATH and its arguments, or one command line. */
  readonly words: readonly [string, ...string[]];
  readonly workingDirectory: string;
  /** From --files; null: the working directory, or that of a program outside of it. */
  readonly filesDirectory: string | null;
  /** From --readOnlyPath: nothing below them is out of sight. */
  readonly readOnlyPaths: readonly string[];
  /** The program runs in an image, which has programs of its own. */
  readonly isInImage: boolean;
  readonly environment: Environment;
}

/** Programs that run files of their language. */
const INTERPRETERS: Readonly<Record<string, string>> = {
  py: "python3",
  sh: "sh",
  R: "Rscript",
  jl: "julia",
  js: "node",
  mjs: "node",
  pl: "perl",
  rb: "ruby",
  lua: "lua",
};

/** Errors: E_FILE, E_USAGE, each with what to write instead. */
export async function programToRun(request: ProgramRequest): Promise<ProgramToRun> {
  const [first, ...rest] = request.words;
  const file = resolve(request.workingDirectory, first);
  if (isFile(file)) return fileToRun(request, file, rest);
  if (/\s/.test(first.trim()) && rest.length === 0) return commandLine(request, first.trim());
  if (!first.includes("/") && findInPath(first, request.environment) !== null)
    return commandLine(request, request.words.map(shellWord).join(" "));
  throw noSuchProgram(request, first);
}

async function fileToRun(
  request: ProgramRequest,
  file: string,
  rest: readonly string[],
): Promise<ProgramToRun> {
  const { directory, inside } = placeIn(request, file);
  const words = rest.map(shellWord);
  const program = interpreterOf(file);
  const shownFile = shellWord(request.words[0]);
  const common = { filesDirectory: directory, furtherFiles: [inside] };
  if (program === null) {
    const exec = [shellWord(`./${inside}`), ...words].join(" ");
    const path = request.words[0].includes("/") ? shownFile : `./${shownFile}`;
    // The pilot makes it executable; here it may not be.
    const start = isExecutable(file) ? [path] : [firstLineOf(file).slice(2).trim(), shownFile];
    const shown = [...start, ...words].filter((word) => word !== "").join(" ");
    return { ...common, exec, shown, readOnlyPaths: [...request.readOnlyPaths] };
  }
  const { words: start, readOnlyPaths } = await startOf(request, program, file);
  return {
    ...common,
    exec: [...start, shellWord(inside), ...words].join(" "),
    shown: [program, shownFile, ...words].join(" "),
    readOnlyPaths,
  };
}

/** One command line, as a shell takes it; its first word is looked at, and a Python script in it is checked. */
async function commandLine(request: ProgramRequest, line: string): Promise<ProgramToRun> {
  const { workingDirectory } = request;
  const program = /^\S+/.exec(line)?.[0] ?? "";
  const directory = request.filesDirectory ?? workingDirectory;
  const further = isFile(resolve(directory, program)) && !isAbsolute(program) ? [program] : [];
  const common = { shown: line, filesDirectory: directory, furtherFiles: further };
  // Assignments, subshells and the like are left to the shell.
  const isPlain = /^[\w.+-]+$/.test(program) && !program.includes("=");
  if (!isPlain) return { ...common, exec: line, readOnlyPaths: [...request.readOnlyPaths] };
  const script = line.split(/\s+/).find((word) => /\.py$/.test(word));
  const path = script === undefined ? null : resolve(workingDirectory, script);
  const start = await startOf(request, program, path !== null && isFile(path) ? path : null);
  const exec = [...start.words, line.slice(program.length).trim()].join(" ").trim();
  return { ...common, exec, readOnlyPaths: start.readOnlyPaths };
}

/** The first words of a command that begins with this program of the person's PATH. */
async function startOf(
  request: ProgramRequest,
  program: string,
  script: string | null,
): Promise<{ readonly words: readonly string[]; readonly readOnlyPaths: readonly string[] }> {
  const given = request.readOnlyPaths;
  if (request.isInImage) return { words: [program], readOnlyPaths: given };
  if (/^python(\d(\.\d+)?)?$/.test(program)) {
    const python = await askPython(findInPath(program, request.environment) ?? program, script);
    return { words: pythonWords(python), readOnlyPaths: [...given, ...python.readOnlyPaths] };
  }
  const found = findInPath(program, request.environment);
  if (found === null) {
    // A word of the shell, such as `exec`, or a program that only the sandbox has.
    if (findInPath(program, { PATH: PAYLOAD_PATH }) !== null || isShellWord(program))
      return { words: [program], readOnlyPaths: given };
    throw new HyperpilotError({
      code: "E_FILE",
      message: `There is no program ${program} in your PATH.`,
      remedy:
        'Install it, or write how the file is to be run: hyperpilot run "PROGRAM FILE" --space ...',
    });
  }
  const isReadable =
    !isHiddenFromPayloads(found) || given.some((path) => found.startsWith(`${resolve(path)}/`));
  const isSame = findInPath(program, { PATH: PAYLOAD_PATH }) === found;
  if (isReadable) return { words: [isSame ? program : shellWord(found)], readOnlyPaths: given };
  throw new HyperpilotError({
    code: "E_FILE",
    message: `Evaluations do not see your ${program}.`,
    why: `It is ${found}; they see /usr, /opt and what they are shown.`,
    remedy: `Show them all that it needs, for example: --readOnlyPath ${dirname(dirname(found))}`,
  });
}

function pythonWords({ executable, userBase }: Python): readonly string[] {
  const start = userBase === null ? [] : [`PYTHONUSERBASE=${shellWord(userBase)}`];
  return [...start, shellWord(executable)];
}

/** `python3` for train.py; null for what is run by itself. Errors: E_FILE. */
function interpreterOf(file: string): string | null {
  const extension = /\.(\w+)$/.exec(basename(file))?.[1] ?? "";
  const firstLine = firstLineOf(file);
  if (extension === "py" || /\bpython3?\b/.test(firstLine)) return "python3";
  if (firstLine !== "" || firstBytes(file).startsWith("\u007fELF")) return null;
  const interpreter = INTERPRETERS[extension];
  if (interpreter !== undefined) return interpreter;
  throw new HyperpilotError({
    code: "E_FILE",
    message: `It is not known how to run ${basename(file)}.`,
    why: "Its name ends in nothing known, and its first line does not begin with #!.",
    remedy: `Write the whole command: hyperpilot run "PROGRAM ${basename(file)}" --space ...`,
  });
}

/** "#!/bin/sh" of a script; empty where there is none. */
function firstLineOf(file: string): string {
  const head = firstBytes(file);
  return head.startsWith("#!") ? (head.split("\n", 1)[0] ?? "") : "";
}

/** Where a program lies in the directory whose files go with the task. Errors: E_USAGE. */
function placeIn(
  request: ProgramRequest,
  file: string,
): { readonly directory: string; readonly inside: string } {
  const { workingDirectory, filesDirectory } = request;
  const directory = filesDirectory ?? workingDirectory;
  const inside = relative(directory, file);
  if (!inside.startsWith("..") && !isAbsolute(inside)) return { directory, inside };
  if (filesDirectory === null) return { directory: dirname(file), inside: basename(file) };
  throw new HyperpilotError({
    code: "E_USAGE",
    message: `${request.words[0]} does not lie below --files ${filesDirectory}.`,
    remedy: "Name a program of that directory, or leave --files out.",
  });
}

function noSuchProgram(request: ProgramRequest, word: string): HyperpilotError {
  const near = didYouMean(word, namesIn(request.workingDirectory));
  return new HyperpilotError({
    code: "E_FILE",
    message: `There is neither a file ${word} here nor a program of this name.`,
    why: `Looked for in ${request.workingDirectory} and in PATH.`,
    remedy:
      near === null
        ? "Name a script, such as: hyperpilot run train.py --space 'lr=log(1e-5,1e-1)'"
        : `Did you mean ${near}?`,
  });
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).slice(0, 1_000);
  } catch {
    // Only for a hint.
    return [];
  }
}

/** Absolute path of a program in PATH, or null. */
export function findInPath(name: string, environment: Environment): string | null {
  for (const directory of (environment["PATH"] ?? "").split(delimiter)) {
    if (!directory.startsWith("/")) continue;
    const path = join(directory, name);
    if (isFile(path) && isExecutable(path)) return path;
  }
  return null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    // Not there, or not ours to run.
    return false;
  }
}

function isShellWord(word: string): boolean {
  return ["exec", "cd", "set", "export", "time", "if", "for", "while", "test"].includes(word);
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

function firstBytes(path: string): string {
  const file = openSync(path, "r");
  try {
    const buffer = Buffer.alloc(256);
    return buffer.toString("latin1", 0, readSync(file, buffer, 0, buffer.length, 0));
  } finally {
    closeSync(file);
  }
}
