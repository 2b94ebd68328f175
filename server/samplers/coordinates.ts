/** Points as coordinates: an index for categories, a place in [0, 1] for numbers. */
import { memberOf, parseJsonText } from "../../protocol/json-text.ts";
import { valuesOf, type Parameter } from "../../protocol/search-space.ts";
import { quantile, shareBelow } from "./normal-distribution.ts";
import type { RandomStream } from "./random-stream.ts";

/** Significant digits of proposed real numbers: fine enough to search, short enough to read. */
const DIGITS = 6;
/** Multiples of a step are written without the noise of binary fractions. */
const STEP_DIGITS = 12;

/** Coordinates of one point, in the order of the parameters, each in [0, 1] or a category's index. */
export type Coordinates = readonly number[];

type Numeric = Extract<Parameter, { step: number | null }>;
type Range = Extract<Parameter, { low: number }>;

function isNumeric(parameter: Parameter): parameter is Numeric {
  return "step" in parameter;
}

function isLogarithmic(parameter: Numeric): boolean {
  return parameter.method.includes("log");
}

/** Ends of a range's scale. Stepped values own half a step on both sides, so that the ends are as likely as the others. */
function endsOf(parameter: Range): { low: number; high: number } {
  const { low, high, step } = parameter;
  if (step === null) return { low, high };
  const first = Math.ceil(low / step) * step;
  const margin = isLogarithmic(parameter) ? Math.min(step / 2, first / 2) : step / 2;
  return { low: first - margin, high: Math.floor(high / step) * step + step / 2 };
}

/** The place of a value on the parameter's scale. */
function scaled(parameter: Numeric, value: number): number {
  const of = isLogarithmic(parameter) ? Math.log : (x: number) => x;
  if ("mu" in parameter) return shareBelow((of(value) - parameter.mu) / parameter.sigma);
  const { low, high } = endsOf(parameter);
  return of(high) === of(low) ? 0.5 : (of(value) - of(low)) / (of(high) - of(low));
}

/** The value at a place, before it is rounded. */
function unscaled(parameter: Numeric, position: number): number {
  const back = isLogarithmic(parameter) ? Math.exp : (x: number) => x;
  if ("mu" in parameter) return back(parameter.mu + parameter.sigma * quantile(position));
  const of = isLogarithmic(parameter) ? Math.log : (x: number) => x;
  const { low, high } = endsOf(parameter);
  return back(of(low) + position * (of(high) - of(low)));
}

/** The value that is proposed for a place: a multiple of the step, within the bounds. */
function valueAt(parameter: Numeric, position: number): number {
  const value = unscaled(parameter, position);
  const { step } = parameter;
  if (step === null) {
    const rounded = Number(value.toPrecision(DIGITS));
    return "mu" in parameter ? rounded : clamp(rounded, parameter.low, parameter.high);
  }
  const multiple = Math.round(value / step);
  const within =
    "mu" in parameter
      ? multiple
      : clamp(multiple, Math.ceil(parameter.low / step), Math.floor(parameter.high / step));
  return multipleOf(step, within);
}

function multipleOf(step: number, multiple: number): number {
  return Number((multiple * step).toPrecision(STEP_DIGITS));
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
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
  return String(valueAt(parameter, coordinate));
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
      const position = scaled(parameter, node.value);
      if (Number.isNaN(position)) return null;
      coordinates.push(clamp(position, 0, 1));
    }
  }
  return coordinates;
}

/** The centre of a coordinate's value: stepped numbers are searched by their values, not by places between them. */
export function snap(parameter: Parameter, coordinate: number): number {
  if (!isNumeric(parameter) || parameter.step === null) return coordinate;
  const position = scaled(parameter, valueAt(parameter, coordinate));
  return Number.isNaN(position) ? coordinate : clamp(position, 0, 1);
}

/** The `index`-th of `levels` values of a parameter, evenly spread over its scale; of normals, the middles of equal shares. */
export function levelText(parameter: Parameter, index: number, levels: number): string {
  if (parameter.method === "fixed") return parameter.value;
  if (parameter.method === "categorical") return parameter.categories[index] ?? "null";
  if ("mu" in parameter) return String(valueAt(parameter, (index + 0.5) / levels));
  const { low, high, step } = parameter;
  if (step !== null && valuesOf(parameter) === levels) {
    return String(multipleOf(step, Math.ceil(low / step) + index));
  }
  const bare: Range = { ...parameter, step: null };
  const value = valueAt(bare, levels === 1 ? 0.5 : index / (levels - 1));
  if (step === null) return String(value);
  const multiple = clamp(Math.round(value / step), Math.ceil(low / step), Math.floor(high / step));
  return String(multipleOf(step, multiple));
}

/** All values of a parameter with finitely many, as JSON texts. */
export function* listValues(parameter: Parameter): Generator<string> {
  const count = valuesOf(parameter);
  for (let index = 0; index < count; index += 1) yield levelText(parameter, index, count);
}
