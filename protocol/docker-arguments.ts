/**
 * The docker-arguments form of steeringExec: `run --rm -v "$(pwd)":/X image cmd ...`. It is read, never run: words as a shell
 * would make them, without any expansion but that of the working directory.
 */
import { didYouMean } from "./did-you-mean.ts";
import { HyperpilotError } from "./errors.ts";

export interface DockerRun {
  readonly image: string;
  /** Absolute paths inside the container at which the working directory is mounted. */
  readonly mounts: readonly string[];
  /** Command after the image; empty: the image's own. The working directory in it is written as {@link WORK_DIRECTORY}. */
  readonly argv: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly entrypoint: string | null;
}

/** Stands for the host's working directory in the words that were read. */
export const WORK_DIRECTORY = "\u0000pwd\u0000";

const FLAGS = ["--rm", "-i", "-t", "-it", "-ti", "--interactive", "--tty"];
/** Options with a value; those that only concern docker's own side are read and dropped. */
const VALUED = ["-v", "--volume", "-w", "--workdir", "-e", "--env", "-u", "--user", "--entrypoint", "--name", "--network", "--net", "--platform", "--pull"]; // prettier-ignore

/** Errors: E_TASK_SPECIFICATION, naming what is not accepted and why. */
export function parseDockerArguments(text: string): DockerRun {
  const words = splitWords(text);
  if (words[0] === "docker") words.shift();
  if (words[0] !== "run") {
    throw refused(
      `steeringExec begins with '${words[0] ?? ""}'`,
      'Without --steeringContainer it must be docker\'s arguments: run --rm -v "$(pwd)":/work IMAGE COMMAND ...',
    );
  }
  const run = {
    mounts: [] as string[],
    environment: {} as Record<string, string>,
    entrypoint: null as string | null,
  };
  let index = 1;
  for (; index < words.length; index += 1) {
    const word = words[index] ?? "";
    if (!word.startsWith("-")) break;
    if (FLAGS.includes(word)) continue;
    const [option, inline] = word.startsWith("--") ? splitOnce(word, "=") : [word];
    if (!VALUED.includes(option)) throw unknownOption(option);
    if (inline === undefined) index += 1;
    takeOption(run, option, inline ?? words[index] ?? "");
  }
  const image = words[index];
  if (image === undefined)
    throw refused("steeringExec names no image", "Write the image after docker's options.");
  return { image, ...run, argv: words.slice(index + 1) };
}

function takeOption(
  run: { mounts: string[]; environment: Record<string, string>; entrypoint: string | null },
  option: string,
  value: string,
): void {
  if (option === "-v" || option === "--volume") run.mounts.push(mountOf(value));
  if (option === "--entrypoint") run.entrypoint = value;
  if (option !== "-e" && option !== "--env") return;
  const [name, content] = splitOnce(value, "=");
  if (content === undefined) {
    throw refused(
      `-e ${name} would copy a variable of the server's host`,
      `Write its value: -e ${name}=VALUE.`,
    );
  }
  run.environment[name] = content;
}

function mountOf(value: string): string {
  const [host, target, mode, ...rest] = value.split(":");
  const isWorkDirectory = host === WORK_DIRECTORY || host === ".";
  if (
    !isWorkDirectory ||
    target?.startsWith("/") !== true ||
    rest.length > 0 ||
    (mode ?? "rw") !== "rw"
  ) {
    throw refused(
      `-v ${value.replaceAll(WORK_DIRECTORY, "$(pwd)")} is not the working directory`,
      'Only -v "$(pwd)":/PATH is mounted; other directories of the host are not for steering containers.',
    );
  }
  return target.replace(/\/+$/, "") || "/";
}

function unknownOption(option: string): HyperpilotError {
  const near = didYouMean(option, [...FLAGS, ...VALUED]);
  const hint = near === null ? "" : ` Did you mean ${near}?`;
  return refused(
    `docker's option ${option} is not accepted`,
    `Accepted are --rm -i -t -v -w -e -u --entrypoint --name --network --platform --pull.${hint}`,
  );
}

function splitOnce(text: string, separator: string): [string, string?] {
  const at = text.indexOf(separator);
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Words after the quoting rules of the POSIX shell; what a shell would expand or act upon is refused. */
function splitWords(text: string): string[] {
  const words: string[] = [];
  let isOpen = false;
  let offset = 0;
  while (offset < text.length) {
    const rest = text.slice(offset);
    const space = /^\s+/.exec(rest);
    if (space !== null) {
      isOpen = false;
      offset += space[0].length;
      continue;
    }
    const part = readPart(rest);
    words.push(isOpen ? `${words.pop() ?? ""}${part.text}` : part.text);
    isOpen = true;
    offset += part.length;
  }
  return words;
}

interface Part {
  readonly text: string;
  readonly length: number;
}

const PWD = /^(?:\$\(\s*pwd\s*\)|`\s*pwd\s*`|\$\{PWD\}|\$PWD\b)/;

function readPart(rest: string): Part {
  const first = rest[0] ?? "";
  if (first === "'") {
    const end = rest.indexOf("'", 1);
    if (end < 0) throw refused("a single quote is not closed", "Close it.");
    return { text: rest.slice(1, end), length: end + 1 };
  }
  if (first === '"') return readDoubleQuoted(rest);
  if (first === "\\") return { text: rest[1] ?? "", length: 2 };
  const pwd = PWD.exec(rest);
  if (pwd !== null) return { text: WORK_DIRECTORY, length: pwd[0].length };
  if ("$`".includes(first)) throw expands(rest);
  if (";&|<>()".includes(first)) {
    throw refused(
      `'${first}' would be acted upon by a shell`,
      "Put the command into quotes: /bin/sh -c '...'.",
    );
  }
  const plain = /^[^\s'"\\$`;&|<>()]+/.exec(rest)?.[0] ?? first;
  return { text: plain, length: plain.length };
}

function readDoubleQuoted(rest: string): Part {
  let text = "";
  let offset = 1;
  while (offset < rest.length) {
    const here = rest.slice(offset);
    const character = here[0] ?? "";
    if (character === '"') return { text, length: offset + 1 };
    const pwd = PWD.exec(here);
    if (pwd !== null) {
      text += WORK_DIRECTORY;
      offset += pwd[0].length;
    } else if (character === "\\" && '"\\$`'.includes(here[1] ?? "\0")) {
      text += here[1] ?? "";
      offset += 2;
    } else if (character === "$" && /^\$[A-Za-z_{(]/.test(here)) {
      throw expands(here);
    } else if (character === "`") {
      throw expands(here);
    } else {
      text += character;
      offset += 1;
    }
  }
  throw refused("a double quote is not closed", "Close it.");
}

function expands(rest: string): HyperpilotError {
  const what = /^\S{1,20}/.exec(rest)?.[0] ?? "";
  return refused(
    `'${what}' would be expanded by a shell of the server's host`,
    "Only $(pwd) and $PWD are known there. To expand it inside the container, write it in single quotes.",
  );
}

function refused(what: string, remedy: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_TASK_SPECIFICATION",
    message: `${capital(what)}.`,
    remedy,
  });
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
