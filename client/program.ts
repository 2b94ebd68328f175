/** Turns a table of commands into a parser with help texts. Says what is wrong with a command line in our own form. */
import { Command as Parser, CommanderError, InvalidArgumentError, Option } from "commander";
import { didYouMean } from "../protocol/did-you-mean.ts";
import type { HyperpilotError } from "../protocol/errors.ts";
import type { Command, CommandGroup, OptionSpec, OptionValues } from "./command.ts";
import { usageError } from "./errors.ts";

/** What a command line asks for. */
export type Parsed =
  | { readonly type: "text"; readonly text: string }
  | {
      readonly type: "command";
      readonly command: Command;
      readonly args: readonly string[];
      readonly options: OptionValues;
    };

export interface ProgramSpec {
  readonly name: string;
  readonly description: string;
  readonly version: string;
  readonly commands: readonly Command[];
  readonly groups: readonly CommandGroup[];
}

const HELP_COLUMNS = 100;

const REMOTE_OPTIONS: readonly OptionSpec[] = [
  { flags: "--server <url>", description: "address of the server (or HYPERPILOT_SERVER)" },
];
const COMMON_OPTIONS: readonly OptionSpec[] = [
  { flags: "--data <dir>", description: "data directory of 'hyperpilot up' (or HYPERPILOT_DATA)" },
  { flags: "--json", description: "answer in JSON, for programs" },
  { flags: "--noColor", description: "no colours (or NO_COLOR)" },
];

/** All options of a command, those that every command has included, unless it describes them itself. */
export function optionsOf(command: Command): readonly OptionSpec[] {
  const own = command.options ?? [];
  const flags = new Set(own.map((one) => one.flags));
  const common = [...(command.isRemote ? REMOTE_OPTIONS : []), ...COMMON_OPTIONS];
  return [...own, ...common.filter((one) => !flags.has(one.flags))];
}

/** Parses the words after the program's name. Errors: E_USAGE. */
export async function parseWords(spec: ProgramSpec, words: readonly string[]): Promise<Parsed> {
  refuseSecrets(words);
  const hasRootCommand = spec.commands.some((command) => command.path === "");
  if (words.length === 0 && !hasRootCommand) return { type: "text", text: helpText(spec, "") };
  const written: string[] = [];
  const found: Parsed[] = [];
  const parser = buildParser(
    spec,
    (text) => void written.push(text),
    (parsed) => void found.push(parsed),
  );
  try {
    await parser.parseAsync(camelCased(spec, words), { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return { type: "text", text: written.join("") };
    throw translated(spec, words, error);
  }
  return found[0] ?? { type: "text", text: parser.helpInformation() };
}

/** The help text of a command or a group. Errors: E_USAGE when there is no such thing. */
export function helpText(spec: ProgramSpec, path: string): string {
  let parser = buildParser(
    spec,
    () => undefined,
    () => undefined,
  );
  for (const word of path.split(" ").filter((one) => one !== "")) {
    const next = parser.commands.find((one) => one.name() === word);
    if (next === undefined) throw unknownCommand(spec, path);
    parser = next;
  }
  const command = spec.commands.find((one) => one.path === path);
  return parser.helpInformation() + (command === undefined ? "" : examplesText(command));
}

type Found = (parsed: Parsed) => void;
type Write = (text: string) => void;

function buildParser(spec: ProgramSpec, write: Write, found: Found): Parser {
  const root = configured(new Parser(spec.name), write).description(spec.description);
  const isSingle = spec.commands.some((command) => command.path === "");
  root.version(spec.version, "--version", "print the version");
  root.usage(isSingle ? "[options]" : "<command> [options]");
  const groups = new Map<string, Parser>([["", root]]);
  for (const group of spec.groups) {
    const { parent, name } = splitPath(group.path);
    const parser = configured(new Parser(name), write).description(group.summary);
    parser.usage("<command> [options]");
    groups.get(parent)?.addCommand(parser);
    groups.set(group.path, parser);
  }
  for (const command of spec.commands) {
    const { parent, name } = splitPath(command.path);
    const parser = configured(command.path === "" ? root : new Parser(name), write);
    parser.summary(command.summary).description(command.description ?? command.summary);
    for (const { name: argument, description } of command.arguments ?? []) {
      parser.argument(argument, description);
    }
    for (const option of optionsOf(command)) parser.addOption(toOption(option));
    parser.addHelpText("after", examplesText(command));
    parser.action((...given: unknown[]) => {
      const args = given
        .slice(0, -2)
        .flat()
        .filter((one) => typeof one === "string");
      found({ type: "command", command, args, options: parser.opts() });
    });
    if (command.path !== "") {
      groups.get(parent)?.addCommand(parser, { isDefault: command.isDefault === true });
      groups.set(command.path, parser);
    }
  }
  return root;
}

function configured(parser: Parser, write: Write): Parser {
  return (
    parser
      .exitOverride()
      // A command may have others below it, such as `server backup`: options after the last word belong to that one.
      .enablePositionalOptions()
      .helpCommand(false)
      .helpOption("-h, --help", "print this help")
      .showSuggestionAfterError(false)
      .configureOutput({
        writeOut: write,
        writeErr: () => undefined,
        getOutHelpWidth: () => HELP_COLUMNS,
      })
      .configureHelp({
        helpWidth: HELP_COLUMNS,
        showGlobalOptions: false,
        optionDescription: describedOption,
      })
  );
}

function toOption(spec: OptionSpec): Option {
  const option = new Option(spec.flags, spec.description);
  // For the help only: values of options that are not given stay undefined.
  if (spec.defaultText !== undefined) option.defaultValueDescription = spec.defaultText;
  if (spec.hidden === true) option.hideHelp();
  if (spec.group !== undefined) option.helpGroup(`${spec.group}:`);
  const { choices, repeatable } = spec;
  if (choices !== undefined) option.choices([...choices]);
  if (repeatable === true) {
    // Takes the place of the check that choices() set.
    option.argParser((value: string, previous: unknown) => {
      if (choices?.includes(value) === false)
        throw new InvalidArgumentError(`Allowed choices are ${choices.join(", ")}.`);
      return [...(Array.isArray(previous) ? (previous as unknown[]) : []), value];
    });
  }
  return option;
}

/** "what it does (one of a, b; default: a)". */
function describedOption(option: Option): string {
  const facts = [
    ...(option.argChoices === undefined ? [] : [`one of ${option.argChoices.join(", ")}`]),
    ...(option.defaultValueDescription === undefined
      ? []
      : [`default: ${option.defaultValueDescription}`]),
  ];
  return facts.length === 0 ? option.description : `${option.description} (${facts.join("; ")})`;
}

function examplesText(command: Command): string {
  return `\nExamples:\n${command.examples.map((line) => `  $ ${line}`).join("\n")}\n`;
}

function splitPath(path: string): { readonly parent: string; readonly name: string } {
  const at = path.lastIndexOf(" ");
  return { parent: path.slice(0, Math.max(0, at)), name: path.slice(at + 1) };
}

function longNames(options: readonly OptionSpec[]): string[] {
  return options
    .filter((one) => one.hidden !== true)
    .map((one) => /--[\w-]+/.exec(one.flags)?.[0] ?? "");
}

/** `--max-points` is `--maxPoints` where an option has that name. */
function camelCased(spec: ProgramSpec, words: readonly string[]): string[] {
  const names = new Set(spec.commands.flatMap((command) => longNames(optionsOf(command))));
  const end = words.indexOf("--");
  return words.map((word, index) => {
    const match = /^(--[a-zA-Z]+(?:-[a-zA-Z]+)+)(=.*)?$/s.exec(word);
    if (match === null || (end >= 0 && index > end)) return word;
    const camel = `--${(match[1] ?? "").slice(2).replace(/-([a-zA-Z])/g, (_all, letter: string) => letter.toUpperCase())}`;
    return names.has(camel) ? camel + (match[2] ?? "") : word;
  });
}

function refuseSecrets(words: readonly string[]): void {
  const end = words.indexOf("--");
  const before = end < 0 ? words : words.slice(0, end);
  const secret = before.find((word) => /^--(token|password|secret)(=|$)/i.test(word));
  if (secret === undefined) return;
  throw usageError(
    `${secret.split("=", 1)[0] ?? ""} is not taken.`,
    "Save the token in a file of mode 0600 and name it in HYPERPILOT_TOKEN_FILE. If it was a real one, revoke it: hyperpilot admin tokens revoke ID",
    "Whatever is in a command line can be read by every user of the machine and stays in the shell's history.",
  );
}

/** commander's complaint in our form. Words after `=` are left out: they may be anything. */
function translated(
  spec: ProgramSpec,
  words: readonly string[],
  error: CommanderError,
): HyperpilotError {
  const quoted = /'([^']*)'/.exec(error.message)?.[1]?.split("=", 1)[0] ?? "";
  const command = commandOf(spec, words);
  const help = `${spec.name} ${command === null ? "" : `${command.path} `}--help`.replace(
    "  ",
    " ",
  );
  switch (error.code) {
    case "commander.unknownOption": {
      const known =
        command === null ? ["--help", "--version"] : [...longNames(optionsOf(command)), "--help"];
      const meant = meantOptions(quoted, known);
      const hints = [
        meant === null ? undefined : `Did you mean ${meant}?`,
        command?.unknownOptionHint,
      ];
      const remedy = [...hints, `All options: ${help}`].filter((one) => one !== undefined);
      return usageError(`Unknown option ${quoted}.`, remedy.join("\n"));
    }
    case "commander.unknownCommand":
    case "commander.help":
      return unknownCommand(spec, words.filter((word) => !word.startsWith("-")).join(" "));
    default: {
      const message = error.message.replace(/^error: /, "").split("\n", 1)[0] ?? "";
      return usageError(
        `${message.charAt(0).toUpperCase()}${message.slice(1).replace(/\.$/, "")}.`,
        `See: ${help}`,
      );
    }
  }
}

/** Options that an abbreviation begins, else the one that is spelled alike; null: none. Abbreviations themselves are not taken. */
function meantOptions(word: string, known: readonly string[]): string | null {
  const lower = word.toLowerCase();
  const same = known.find((name) => name.toLowerCase() === lower);
  if (same !== undefined) return same;
  const longer = known.filter((name) => name.toLowerCase().startsWith(lower));
  if (word.length < 4 || longer.length === 0) return didYouMean(word, known);
  const shown = longer.slice(0, 4);
  const last = shown.pop() ?? "";
  return shown.length === 0 ? last : `${shown.join(", ")} or ${last}`;
}

/** The command whose words stand first, or null. */
function commandOf(spec: ProgramSpec, words: readonly string[]): Command | null {
  const fitting = spec.commands.filter((command) => {
    const path = command.path === "" ? [] : command.path.split(" ");
    return path.every((word, index) => words[index] === word);
  });
  const longest = fitting.sort((a, b) => b.path.length - a.path.length)[0];
  if (longest !== undefined) return longest;
  const fallback = spec.commands.find((one) => {
    const { parent } = splitPath(one.path);
    return one.isDefault === true && words.join(" ").startsWith(parent);
  });
  return fallback ?? null;
}

function unknownCommand(spec: ProgramSpec, text: string): HyperpilotError {
  const words = text.split(" ").filter((word) => word !== "");
  const paths = [
    ...spec.groups.map((group) => group.path),
    ...spec.commands.map((command) => command.path),
  ];
  // The longest known beginning; the word after it is the unknown one.
  let known = "";
  let rest = words;
  while (rest.length > 0 && paths.includes(`${known} ${rest[0] ?? ""}`.trim())) {
    known = `${known} ${rest[0] ?? ""}`.trim();
    rest = rest.slice(1);
  }
  const children = paths
    .filter((path) => splitPath(path).parent === known && path !== "")
    .map((path) => splitPath(path).name);
  const word = rest[0];
  const help = `See: ${spec.name} ${known === "" ? "" : `${known} `}--help`;
  if (word === undefined)
    return usageError(`"${spec.name} ${known}" needs one of: ${children.join(", ")}.`, help);
  const near = didYouMean(word, children);
  // A verb without its noun, such as `hyperpilot watch`.
  const elsewhere = paths.find((path) => path.endsWith(` ${word}`));
  const meant = near === null ? elsewhere : `${known} ${near}`.trim();
  const remedy = meant === undefined ? help : `Did you mean "${spec.name} ${meant}"?\n${help}`;
  return usageError(`Unknown command "${`${known} ${word}`.trim()}".`, remedy);
}
