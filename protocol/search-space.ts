/** The search-space file: {name: {"method": M, "dimension": {...}}}, hpogrid's format. */
import { didYouMean } from "./did-you-mean.ts";
import { HyperpilotError } from "./errors.ts";
import { memberOf, parseJsonText, placeOf, type JsonNode } from "./json-text.ts";
import { TASK } from "./limits.ts";

export type Parameter =
  | {
      readonly name: string;
      readonly method: "categorical";
      /** JSON text of each category, as written. */
      readonly categories: readonly string[];
    }
  | {
      readonly name: string;
      readonly method: "uniform" | "uniformint" | "loguniform" | "loguniformint";
      readonly low: number;
      readonly high: number;
    }
  | { readonly name: string; readonly method: "fixed"; readonly value: string };

export interface SearchSpace {
  /** In the order of the file. */
  readonly parameters: readonly Parameter[];
  readonly warnings: readonly string[];
}

const SUPPORTED = ["categorical", "uniform", "uniformint", "loguniform", "loguniformint", "fixed"];
const KNOWN = [
  ...SUPPORTED,
  "quniform",
  "qloguniform",
  "normal",
  "qnormal",
  "lognormal",
  "qlognormal",
];

/** Parses and checks a search space. Errors: E_JSON, E_SEARCH_SPACE, each with `name:line:column`, reason and remedy. */
export function parseSearchSpace(text: string, fileName: string): SearchSpace {
  const root = parseJsonText(text, { name: fileName, bytesMax: TASK.searchSpaceBytesMax });
  const reader = new SpaceReader(text, fileName);
  return reader.space(root);
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
    return this.range(name, method as "uniform", dimension);
  }

  private unknownMethod(name: string, start: number, method: string): HyperpilotError {
    if (KNOWN.includes(method)) {
      return this.wrong(
        start,
        `method "${method}" of "${name}" is not supported by built-in steering`,
        `use one of ${SUPPORTED.join(", ")}`,
      );
    }
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

  private range(
    name: string,
    method: "uniform" | "uniformint" | "loguniform" | "loguniformint",
    dimension: JsonNode,
  ): Parameter {
    this.checkKeys(name, dimension, ["low", "high", "base", "q", "grid_search"]);
    const low = this.bound(name, dimension, "low", method.endsWith("int"));
    const high = this.bound(name, dimension, "high", method.endsWith("int"));
    const start = memberOf(dimension, "low")?.start ?? dimension.start;
    if (low > high)
      throw this.wrong(
        start,
        `"low" ${low} of "${name}" is greater than "high" ${high}`,
        "swap them",
      );
    if (method.startsWith("log") && low <= 0) {
      throw this.wrong(
        start,
        `"low" ${low} of "${name}" must be greater than 0 on a logarithmic scale`,
        "raise it",
      );
    }
    return { name, method, low, high };
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
  switch (parameter.method) {
    case "fixed":
      return 1;
    case "categorical":
      return parameter.categories.length;
    case "uniformint":
    case "loguniformint":
      return parameter.high - parameter.low + 1;
    case "uniform":
    case "loguniform":
      return parameter.low === parameter.high ? 1 : Number.POSITIVE_INFINITY;
  }
}
