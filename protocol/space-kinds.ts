/** The kinds of hyperparameters that a one-line search space names, and the search-space JSON that each becomes. */
import type { HyperpilotError } from "./errors.ts";
import { TASK } from "./limits.ts";

/** A word or a number as it was written. */
export interface Value {
  readonly start: number;
  /** Without quotes. */
  readonly text: string;
  readonly json: string;
  /** null for words. */
  readonly number: number | null;
  readonly isQuoted: boolean;
}

/** What the values belong to, and how a mistake in them is told: by its place, what it is and what to write. */
export interface Owner {
  readonly name: string;
  readonly start: number;
  readonly wrong: (offset: number, what: string, remedy: string) => HyperpilotError;
}

export interface Kind {
  readonly family: "range" | "normal" | "choice" | "fixed";
  readonly isLog: boolean;
  readonly isInteger: boolean;
  /** The step must be given. */
  readonly needsStep: boolean;
}

const KIND: Kind = { family: "range", isLog: false, isInteger: false, needsStep: false };

/** Short names first, then the methods' own. */
export const KINDS = {
  uniform: KIND,
  log: { ...KIND, isLog: true },
  int: { ...KIND, isInteger: true },
  step: { ...KIND, needsStep: true },
  normal: { ...KIND, family: "normal" },
  lognormal: { ...KIND, family: "normal", isLog: true },
  choice: { ...KIND, family: "choice" },
  fixed: { ...KIND, family: "fixed" },
  loguniform: { ...KIND, isLog: true },
  uniformint: { ...KIND, isInteger: true },
  loguniformint: { ...KIND, isInteger: true, isLog: true },
  quniform: { ...KIND, needsStep: true },
  qloguniform: { ...KIND, needsStep: true, isLog: true },
  qnormal: { ...KIND, family: "normal", needsStep: true },
  qlognormal: { ...KIND, family: "normal", needsStep: true, isLog: true },
  categorical: { ...KIND, family: "choice" },
} satisfies Readonly<Record<string, Kind>>;
export const SHORT_KINDS = Object.keys(KINDS).slice(0, 8).join(", ");
export const EXAMPLE = "lr=log(1e-5,1e-1)";

/** The kind of this name, in any case; null when there is none. */
export function kindNamed(word: string): Kind | null {
  return new Map<string, Kind>(Object.entries(KINDS)).get(word.toLowerCase()) ?? null;
}

type Dimension = readonly (readonly [string, string])[];
type Numeric = Value & { readonly number: number };

/** The JSON of a hyperparameter: `{"method": ..., "dimension": ...}`. Errors: those of `owner.wrong`. */
export function parameterJson(kind: Kind, values: readonly Value[], owner: Owner): string {
  switch (kind.family) {
    case "choice":
      return choice(values, owner);
    case "fixed": {
      const [value] = values;
      if (value === undefined || values.length > 1) {
        const what = `"${owner.name}" needs one value`;
        throw owner.wrong(owner.start, what, `write ${owner.name}=${value?.text ?? "3"}`);
      }
      return method("fixed", [["value", value.json]]);
    }
    case "normal":
      return normal(kind, values, owner);
    case "range":
      return range(kind, values, owner);
  }
}

function range(kind: Kind, values: readonly Value[], owner: Owner): string {
  const saysLog = values.at(-1)?.text === "log";
  const isLog = kind.isLog || saysLog;
  const [low, high, step] = numbers(saysLog ? values.slice(0, -1) : values, kind, owner);
  if (low.number > high.number) {
    const what = `${low.text} is greater than ${high.text} in "${owner.name}"`;
    throw owner.wrong(low.start, what, "swap them");
  }
  if (isLog && low.number <= 0) {
    const what = `${low.text} of "${owner.name}" must be greater than 0 on a logarithmic scale`;
    throw owner.wrong(low.start, what, "raise it, or use uniform(...)");
  }
  const ends: Dimension = [
    ["low", low.json],
    ["high", high.json],
  ];
  if (step === null)
    return method(`${isLog ? "loguniform" : "uniform"}${kind.isInteger ? "int" : ""}`, ends);
  if (Math.floor(high.number / step.number) < Math.ceil(low.number / step.number)) {
    const what = `no multiple of ${step.text} lies between ${low.text} and ${high.text}`;
    throw owner.wrong(step.start, `${what} in "${owner.name}"`, "make the step smaller");
  }
  return method(isLog ? "qloguniform" : "quniform", [...ends, ["q", step.json]]);
}

function normal(kind: Kind, values: readonly Value[], owner: Owner): string {
  const [mu, sigma, step] = numbers(values, kind, owner);
  if (sigma.number <= 0) {
    const what = `the standard deviation ${sigma.text} of "${owner.name}" must be greater than 0`;
    throw owner.wrong(sigma.start, what, "raise it");
  }
  const dimension: Dimension = [
    ["mu", mu.json],
    ["sigma", sigma.json],
  ];
  const base = kind.isLog ? "lognormal" : "normal";
  if (step === null) return method(base, dimension);
  return method(`q${base}`, [...dimension, ["q", step.json]]);
}

function choice(values: readonly Value[], owner: Owner): string {
  if (values.length > TASK.categoriesMax)
    throw owner.wrong(owner.start, `more than ${TASK.categoriesMax} categories`, "use fewer");
  const seen = new Set<string>();
  for (const { json, text, start } of values) {
    if (seen.has(json)) throw owner.wrong(start, `"${text}" comes twice`, "leave one out");
    seen.add(json);
  }
  return method("categorical", [["categories", `[${values.map(({ json }) => json).join(", ")}]`]]);
}

/** Two numbers and perhaps a step. */
function numbers(
  values: readonly Value[],
  kind: Kind,
  owner: Owner,
): readonly [Numeric, Numeric, Numeric | null] {
  const [first, second, third] = values.map((value) => numeric(value, kind, owner));
  const isComplete = !kind.needsStep || third !== undefined;
  if (first === undefined || second === undefined || !isComplete || values.length > 3) {
    const needed = kind.needsStep ? "3 numbers" : "2 or 3 numbers";
    const what = `"${owner.name}" has ${values.length} of the ${needed} that it needs`;
    throw owner.wrong(owner.start, what, `write for example ${EXAMPLE}`);
  }
  if (third !== undefined && third.number <= 0) {
    const what = `the step ${third.text} of "${owner.name}" must be greater than 0`;
    throw owner.wrong(third.start, what, "raise it");
  }
  return [first, second, third ?? null];
}

function numeric(value: Value, kind: Kind, owner: Owner): Numeric {
  const { number } = value;
  if (number === null) {
    const what = `"${value.text}" of "${owner.name}" is not a number`;
    throw owner.wrong(value.start, what, "write a number such as 0.1 or 1e-5");
  }
  if (kind.isInteger && !Number.isSafeInteger(number)) {
    const what = `${value.text} of "${owner.name}" is not a whole number`;
    throw owner.wrong(value.start, what, "round it, or use uniform(...) or step(...)");
  }
  return { ...value, number };
}

function method(name: string, dimension: Dimension): string {
  const members = dimension.map(([key, json]) => `"${key}": ${json}`).join(", ");
  return `{"method": "${name}", "dimension": {${members}}}`;
}
