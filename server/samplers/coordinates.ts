/** Points as coordinates: an index for parameters with few values, a number in [0, 1] for the others. */
import { memberOf, parseJsonText } from "../../protocol/json-text.ts";
import { valuesOf, type Parameter } from "../../protocol/search-space.ts";
import type { RandomStream } from "./random-stream.ts";

/** Significant digits of proposed real numbers: fine enough to search, short enough to read. */
const DIGITS = 6;

/** Coordinates of one point, in the order of the parameters, each in [0, 1] or a category's index. */
export type Coordinates = readonly number[];

export function isLogarithmic(parameter: Parameter): boolean {
  return parameter.method === "loguniform" || parameter.method === "loguniformint";
}

function scaled(parameter: Parameter & { low: number; high: number }, value: number): number {
  const of = isLogarithmic(parameter) ? Math.log : (x: number) => x;
  // Integers own half a unit on both sides, so that the bounds are as likely as the others.
  const margin = parameter.method.endsWith("int") ? 0.5 : 0;
  const low = of(
    parameter.low - (isLogarithmic(parameter) ? Math.min(margin, parameter.low / 2) : margin),
  );
  const high = of(parameter.high + margin);
  return high === low ? 0.5 : (of(value) - low) / (high - low);
}

function unscaled(parameter: Parameter & { low: number; high: number }, position: number): number {
  const isLog = isLogarithmic(parameter);
  const isInt = parameter.method.endsWith("int");
  const margin = isInt ? 0.5 : 0;
  const low = parameter.low - (isLog ? Math.min(margin, parameter.low / 2) : margin);
  const high = parameter.high + margin;
  const value = isLog
    ? Math.exp(Math.log(low) + position * (Math.log(high) - Math.log(low)))
    : low + position * (high - low);
  const rounded = isInt ? Math.round(value) : Number(value.toPrecision(DIGITS));
  return Math.min(parameter.high, Math.max(parameter.low, rounded));
}

/** A uniformly drawn coordinate. */
export function drawCoordinate(parameter: Parameter, random: RandomStream): number {
  if (parameter.method === "fixed") return 0;
  if (parameter.method === "categorical") return random.below(parameter.categories.length);
  return random.next();
}

/** The JSON text of the point at these coordinates. */
export function toText(space: readonly Parameter[], coordinates: Coordinates): string {
  const members = space.map(
    (parameter, index) =>
      `${JSON.stringify(parameter.name)}: ${valueText(parameter, coordinates[index] ?? 0)}`,
  );
  return `{${members.join(", ")}}`;
}

function valueText(parameter: Parameter, coordinate: number): string {
  if (parameter.method === "fixed") return parameter.value;
  if (parameter.method === "categorical") return parameter.categories[coordinate] ?? "null";
  return String(unscaled(parameter, coordinate));
}

/** The coordinates of a point of this space, or null when the text is none. */
export function fromText(space: readonly Parameter[], text: string): Coordinates | null {
  const root = parseJsonText(text, { name: "point" });
  const coordinates: number[] = [];
  for (const parameter of space) {
    const node = memberOf(root, parameter.name);
    if (node === undefined) return null;
    if (parameter.method === "fixed") coordinates.push(0);
    else if (parameter.method === "categorical") {
      const index = parameter.categories.indexOf(node.raw);
      if (index < 0) return null;
      coordinates.push(index);
    } else {
      if (node.type !== "number") return null;
      coordinates.push(Math.min(1, Math.max(0, scaled(parameter, node.value))));
    }
  }
  return coordinates;
}

/** The centre of a coordinate's value: integers are searched by their values, not by places between them. */
export function snap(parameter: Parameter, coordinate: number): number {
  if (parameter.method !== "uniformint" && parameter.method !== "loguniformint") return coordinate;
  return scaled(parameter, unscaled(parameter, coordinate));
}

/** The `index`-th of `levels` values of a parameter, evenly spread over its scale. */
export function levelText(parameter: Parameter, index: number, levels: number): string {
  if (parameter.method === "fixed") return parameter.value;
  if (parameter.method === "categorical") return parameter.categories[index] ?? "null";
  if (valuesOf(parameter) === levels) return String(parameter.low + index);
  const bare = {
    ...parameter,
    method: isLogarithmic(parameter) ? ("loguniform" as const) : ("uniform" as const),
  };
  const value = unscaled(bare, levels === 1 ? 0.5 : index / (levels - 1));
  return String(parameter.method.endsWith("int") ? Math.round(value) : value);
}
