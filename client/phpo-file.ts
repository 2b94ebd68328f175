/** The file of --loadJson: phpo's options as JSON, read into the form of a command line's. */
import { didYouMean } from "../protocol/did-you-mean.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { parseJsonText, placeOf, type JsonNode } from "../protocol/json-text.ts";
import { USER_JSON } from "../protocol/limits.ts";
import type { OptionSpec, OptionValues } from "./command.ts";
import { usageError } from "./errors.ts";
import { neutralise } from "./format.ts";
import { PHPO_OPTIONS, optionName } from "./phpo-options.ts";
import { readUserFile } from "./user-file.ts";

export interface FileOptions {
  readonly values: OptionValues;
  /** `file:line:column` of each value. */
  readonly places: ReadonlyMap<string, string>;
  readonly warnings: readonly string[];
}

/** panda-client's names of values that we call after their options. */
const ALIASES: Readonly<Record<string, string>> = { vomsRoles: "voms" };
/** What an earlier --dumpJson left, and what makes sense on a command line only. */
const PASSED_OVER = ["returnCode", "returnOut", "jediTaskID", "loadJson", "helpGroup", "version"];
/** Options whose value may be a list, written with commas on a command line. */
const LISTS = ["site", "checkPointToSave"];

/** Errors: E_FILE; E_JSON and E_USAGE with `file:line:column`. */
export function readOptionsFile(file: string, workingDirectory: string): FileOptions {
  const text = readUserFile(file, workingDirectory, USER_JSON.bytesMax);
  const root = parseJsonText(text, { name: file });
  const place = (offset: number): string => placeOf(text, offset, file);
  if (root.type !== "object") {
    throw usageError(
      `${place(root.start)} holds no options.`,
      'Write {"evaluationExec": "...", "maxPoints": 20, ...}.',
    );
  }
  const values: Record<string, unknown> = {};
  const places = new Map<string, string>();
  const warnings: string[] = [];
  for (const { key, keyStart, value } of root.members) {
    const name = ALIASES[key] ?? key;
    const option = PHPO_OPTIONS.find((one) => optionName(one) === name);
    if (PASSED_OVER.includes(name)) continue;
    if (option === undefined) {
      warnings.push(`${place(keyStart)} ${unknown(key)}`);
      continue;
    }
    const read = readValue(option, value, place(value.start));
    if (read === null) {
      // A value that is taken back, such as a second "maxPoints": null.
      values[name] = undefined;
      continue;
    }
    values[name] = read;
    places.set(name, place(value.start));
  }
  return { values, places, warnings };
}

function unknown(key: string): string {
  const near = didYouMean(key, PHPO_OPTIONS.map(optionName));
  const hint = near === null ? "" : ` Did you mean "${near}"?`;
  return `unknown option "${neutralise(key)}" is passed over.${hint}`;
}

/** As a command line would have it: a text, or true; null: not given. */
function readValue(option: OptionSpec, node: JsonNode, place: string): string | true | null {
  if (node.type === "null") return null;
  const name = optionName(option);
  const wrong = (what: string, remedy: string): HyperpilotError =>
    usageError(`${place} option "${name}" must be ${what}, and it is ${described(node)}.`, remedy);
  if (!option.flags.includes("<")) {
    if (node.type === "boolean") return node.value ? true : null;
    if (node.raw === "1" || node.raw === "0") return node.raw === "1" ? true : null;
    throw wrong("true or false", `Write "${name}": true, or leave it out.`);
  }
  if (option.choices !== undefined) {
    const choices = option.choices.join(", ");
    if (node.type === "string" && option.choices.includes(node.value)) return node.value;
    throw wrong(`one of ${choices}`, `Write "${name}": "${option.choices[0] ?? ""}", for example.`);
  }
  const isNumber = /<(n|number|seconds|minutes|loss)>$/.test(option.flags);
  if (node.type === "number") return node.raw;
  if (node.type === "string") return node.value;
  if (LISTS.includes(name) && node.type === "array") {
    const texts = node.items.flatMap((one) => (one.type === "string" ? [one.value] : []));
    if (texts.length === node.items.length) return texts.join(",");
  }
  if (isNumber) throw wrong("a number", `Write "${name}": 20, for example.`);
  throw wrong("a text", `Write "${name}": "...", as on the command line.`);
}

function described(node: JsonNode): string {
  switch (node.type) {
    case "string":
      return JSON.stringify(neutralise(node.value).slice(0, 40));
    case "array":
      return "a list";
    case "object":
      return "an object";
    default:
      return node.raw;
  }
}

/** An error about an option's value says where in the file the value is, if it comes from there. */
export function withPlace(error: unknown, places: ReadonlyMap<string, string>): unknown {
  if (!(error instanceof HyperpilotError) || error.code !== "E_USAGE") return error;
  const name = /^--(\w+)\b/.exec(error.message)?.[1];
  const place = name === undefined ? undefined : places.get(name);
  if (name === undefined || place === undefined) return error;
  const message = `${place} option "${name}"${error.message.slice(name.length + 2)}`;
  // As it is written in a file.
  const remedy = error.remedy?.replace(new RegExp(`--${name} (?=[\\d.])`), `"${name}": `);
  return usageError(message, remedy ?? `Correct "${name}".`, error.why);
}
