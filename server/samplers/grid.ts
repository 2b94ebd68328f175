/**
 * Full factorial in a fixed order. Categories and small integer ranges are taken whole; other ranges get equally many levels
 * each, as many as fit into maxPoints and at least two.
 */
import { valuesOf, type Parameter } from "../../protocol/search-space.ts";
import { levelText } from "./coordinates.ts";
import type { AskAnswer, AskRequest } from "./ask.ts";

/** Integer ranges up to this many values are taken whole. */
const WHOLE_MAX = 20;

export function askGrid(request: AskRequest): AskAnswer {
  const levels = levelsOf(request.space, request.maxPoints);
  const total = levels.reduce((product, count) => product * count, 1);
  const known = new Set(request.points.map((point) => point.text));
  const texts: string[] = [];
  let seen = 0;
  for (let index = 0; index < total && texts.length < request.want; index += 1) {
    const text = textAt(request.space, levels, index);
    seen = index + 1;
    if (!known.has(text)) texts.push(text);
  }
  return { texts, exhausted: seen >= total ? `all ${total} combinations done` : null };
}

/** Number of values taken of each parameter. */
export function levelsOf(space: readonly Parameter[], maxPoints: number): number[] {
  const whole = space.map((parameter) => {
    const values = valuesOf(parameter);
    return parameter.method === "categorical" || values <= WHOLE_MAX ? values : null;
  });
  const fixed = whole.reduce<number>((product, count) => product * (count ?? 1), 1);
  const ranges = whole.filter((count) => count === null).length;
  const each =
    ranges === 0 ? 1 : Math.max(2, Math.floor((maxPoints / fixed) ** (1 / ranges) + 1e-9));
  return space.map((parameter, index) => whole[index] ?? Math.min(each, valuesOf(parameter)));
}

/** The first parameter varies slowest. */
function textAt(space: readonly Parameter[], levels: readonly number[], index: number): string {
  const members: string[] = [];
  let rest = index;
  for (let position = space.length - 1; position >= 0; position -= 1) {
    const parameter = space[position];
    const count = levels[position] ?? 1;
    if (parameter !== undefined) {
      members.unshift(
        `${JSON.stringify(parameter.name)}: ${levelText(parameter, rest % count, count)}`,
      );
    }
    rest = Math.floor(rest / count);
  }
  return `{${members.join(", ")}}`;
}
