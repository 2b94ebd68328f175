/** The search-space file: {name: {"method": M, "dimension": {...}}}, hpogrid's format. */
import { didYouMean } from "./did-you-mean.ts";
import { HyperpilotError } from "./errors.ts";
import { memberOf, parseJsonText, placeOf, type JsonNode } from "./json-text.ts";
import { TASK } from "./limits.ts";

export type RangeMethod =
  "uniform" | "uniformint" | "quniform" | "loguniform" | "loguniformint" | "qloguniform";
export type NormalMethod = "normal" | "qnormal" | "lognormal" | "qlognormal";

export type Parameter =
  | {
      readonly name: string;
      readonly method: "categorical";
      /** JSON text of each category, as written. */
      readonly categories: readonly string[];
    }
  | {
      readonly name: string;
      readonly method: RangeMethod;
      readonly low: number;
      readonly high: number;
      /** Distance of neighbouring values, all of them multiples of it; null: continuous. 1 for integers. */
      readonly step: number | null;
    }
  | {
      readonly name: string;
      readonly method: NormalMethod;
      /** Mean and standard deviation; of the logarithm for lognormal. */
      readonly mu: number;
      readonly sigma: number;
      readonly step: number | null;
    }
  | { readonly name: string; readonly method: "fixed"; readonly value: string };

export interface SearchSpace {
  /** In the order of the file. */
  readonly parameters: readonly Parameter[];
  readonly warnings: readonly string[];
}

const RANGES: readonly RangeMethod[] = [
  "uniform",
  "uniformint",
  "quniform",
  "loguniform",
  "loguniformint",
  "qloguniform",
];
const NORMALS: readonly NormalMethod[] = ["normal", "qnormal", "lognormal", "qlognormal"];
const SUPPORTED = ["categorical", ...RANGES, ...NORMALS, "fixed"];
/** Parses and checks a search space. Errors: E_JSON, E_SEARCH_SPACE, each with `name:line:column`, reason and remedy. */
export function parseSearchSpace(text: string, fileName: string): SearchSpace {
  return readSearchSpace(
    parseJsonText(text, { name: fileName, bytesMax: TASK.searchSpaceBytesMax }),
    text,
    fileName,
  );
}

/** As {@link parseSearchSpace}, of one node of `text`. Errors: E_SEARCH_SPACE. */
export function readSearchSpace(node: JsonNode, text: string, fileName: string): SearchSpace {
  return new SpaceReader(text, fileName).space(node);
}

class SpaceReader {
  private readonly text: string;
  private readonly fileName: string;
  private readonly warnings: string[] = [];

  constructor(text: string, fileName: string) {
    this.text = text;
    this.fileName = fileName;
  }

  space(root: JsonNode): SearchSpace {
    if (root.type !== "object") {
      throw this.wrong(
        root.start,
        "the search space must be an object",
        '{"lr": {"method": "uniform", "dimension": {...}}}',
      );
    }
    if (root.members.length === 0)
      throw this.wrong(root.start, "the search space is empty", "add a hyperparameter");
    if (root.members.length > TASK.hyperparametersMax) {
      throw this.wrong(
        root.start,
        `more than ${TASK.hyperparametersMax} hyperparameters`,
        "use fewer",
      );
    }
    const parameters = root.members.map(({ key, value }) => this.parameter(key, value));
    return { parameters, warnings: this.warnings };
  }

  private parameter(name: string, node: JsonNode): Parameter {
    this.checkKeys(name, node, ["method", "dimension"]);
    const methodNode = memberOf(node, "method");
    const dimension = memberOf(node, "dimension");
    if (methodNode?.type !== "string") {
      throw this.wrong(
        node.start,
        `"${name}" has no method`,
        `add "method": one of ${SUPPORTED.join(", ")}`,
      );
    }
    const method = methodNode.value;
    if (!SUPPORTED.includes(method)) throw this.unknownMethod(name, methodNode.start, method);
    if (dimension?.type !== "object") {
      throw this.wrong(node.start, `"${name}" has no dimension`, 'add "dimension": {...}');
    }
    if (method === "categorical") return this.categorical(name, dimension);
    if (method === "fixed") {
      this.checkKeys(name, dimension, ["value"]);
      const value = memberOf(dimension, "value");
      if (value === undefined)
        throw this.wrong(dimension.start, `"${name}" has no value`, 'add "value"');
      return { name, method, value: value.raw };
    }
    const range = RANGES.find((one) => one === method);
    if (range !== undefined) return this.range(name, range, dimension);
    return this.normal(name, NORMALS.find((one) => one === method) ?? "normal", dimension);
  }

  private unknownMethod(name: string, start: number, method: string): HyperpilotError {
    const near = didYouMean(method, SUPPORTED);
    const remedy = near === null ? `use one of ${SUPPORTED.join(", ")}` : `did you mean "${near}"?`;
    return this.wrong(start, `unknown method "${method}" of "${name}"`, remedy);
  }

  private categorical(name: string, dimension: JsonNode): Parameter {
    this.checkKeys(name, dimension, ["categories", "grid_search"]);
    const node = memberOf(dimension, "categories");
    if (node?.type !== "array") {
      throw this.wrong(dimension.start, `"${name}" has no categories`, 'add "categories": [...]');
    }
    if (node.items.length === 0)
      throw this.wrong(node.start, `"categories" of "${name}" is empty`, "add a category");
    if (node.items.length > TASK.categoriesMax) {
      throw this.wrong(
        node.start,
        `"${name}" has more than ${TASK.categoriesMax} categories`,
        "use fewer",
      );
    }
    const categories = node.items.map((item) => item.raw);
    const distinct = [...new Set(categories)];
    if (distinct.length < categories.length) {
      this.warnings.push(`"${name}" has repeated categories; built-in steering takes each once`);
    }
    return { name, method: "categorical", categories: distinct };
  }

  private range(name: string, method: RangeMethod, dimension: JsonNode): Parameter {
    this.checkKeys(name, dimension, ["low", "high", "base", "q", "grid_search"]);
    const isInteger = method.endsWith("int");
    const low = this.bound(name, dimension, "low", isInteger);
    const high = this.bound(name, dimension, "high", isInteger);
    const start = memberOf(dimension, "low")?.start ?? dimension.start;
    if (low > high) {
      throw this.wrong(
        start,
        `"low" ${low} of "${name}" is greater than "high" ${high}`,
        "swap them",
      );
    }
    if (method.includes("log") && low <= 0) {
      const what = `"low" ${low} of "${name}" must be greater than 0 on a logarithmic scale`;
      throw this.wrong(start, what, "raise it");
    }
    const step = isInteger ? 1 : this.step(name, method, dimension);
    if (step !== null && Math.floor(high / step) < Math.ceil(low / step)) {
      const what = `no multiple of "q" ${step} lies between "low" and "high" of "${name}"`;
      throw this.wrong(start, what, "make q smaller");
    }
    return { name, method, low, high, step };
  }

  private normal(name: string, method: NormalMethod, dimension: JsonNode): Parameter {
    this.checkKeys(name, dimension, ["mu", "sigma", "q", "base", "grid_search"]);
    const mu = this.bound(name, dimension, "mu", false);
    const sigma = this.bound(name, dimension, "sigma", false);
    if (sigma <= 0) {
      const start = memberOf(dimension, "sigma")?.start ?? dimension.start;
      throw this.wrong(start, `"sigma" ${sigma} of "${name}" must be greater than 0`, "raise it");
    }
    return { name, method, mu, sigma, step: this.step(name, method, dimension) };
  }

  /** "q" of the methods that begin with q; the others have none. */
  private step(name: string, method: string, dimension: JsonNode): number | null {
    if (!method.startsWith("q")) return null;
    const q = this.bound(name, dimension, "q", false);
    if (q > 0) return q;
    const start = memberOf(dimension, "q")?.start ?? dimension.start;
    throw this.wrong(start, `"q" ${q} of "${name}" must be greater than 0`, "raise it");
  }

  private bound(name: string, dimension: JsonNode, key: string, isInteger: boolean): number {
    const node = memberOf(dimension, key);
    if (node?.type !== "number") {
      throw this.wrong(
        node?.start ?? dimension.start,
        `"${key}" of "${name}" must be a number`,
        `write "${key}": 1`,
      );
    }
    if (isInteger && !Number.isSafeInteger(node.value)) {
      throw this.wrong(
        node.start,
        `"${key}" ${node.raw} of "${name}" must be an integer`,
        "round it, or use a method without int",
      );
    }
    return node.value;
  }

  private checkKeys(name: string, node: JsonNode, allowed: readonly string[]): void {
    if (node.type !== "object")
      throw this.wrong(node.start, `"${name}" must be an object`, "write {...}");
    for (const { key, keyStart } of node.members) {
      if (allowed.includes(key)) continue;
      const near = didYouMean(key, allowed);
      const remedy = near === null ? `known are ${allowed.join(", ")}` : `did you mean "${near}"?`;
      throw this.wrong(keyStart, `unknown name "${key}" in "${name}"`, remedy);
    }
  }

  private wrong(offset: number, what: string, remedy: string): HyperpilotError {
    const place = placeOf(this.text, offset, this.fileName);
    return new HyperpilotError({
      code: "E_SEARCH_SPACE",
      message: `${place} ${what}`,
      remedy: `${remedy}.`,
    });
  }
}

/** Number of different points of a space; Infinity when a parameter is continuous. */
export function combinationsOf(parameters: readonly Parameter[]): number {
  return parameters.reduce((product, parameter) => product * valuesOf(parameter), 1);
}

/** Number of different values of one parameter. */
export function valuesOf(parameter: Parameter): number {
  if (parameter.method === "fixed") return 1;
  if (parameter.method === "categorical") return parameter.categories.length;
  if ("mu" in parameter) return Number.POSITIVE_INFINITY;
  const { low, high, step } = parameter;
  if (step !== null) return Math.floor(high / step) - Math.ceil(low / step) + 1;
  return low === high ? 1 : Number.POSITIVE_INFINITY;
}
