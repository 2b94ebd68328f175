/** Independent uniform draws; in a finite space no point is proposed twice. */
import { combinationsOf, type Parameter } from "../../protocol/search-space.ts";
import { drawCoordinate, listValues, toText } from "./coordinates.ts";
import { randomStream, type RandomStream } from "./random-stream.ts";
import type { AskAnswer, AskRequest } from "./ask.ts";

/** Draws that may hit known points before the rest of a nearly used-up space is listed instead. */
const DRAWS_PER_POINT = 50;
/** Spaces up to this size are listed when drawing finds nothing new. */
const LISTED_MAX = 1_000_000;

export function askRandom(request: AskRequest): AskAnswer {
  const random = randomStream(request.seed);
  const known = new Set(request.points.map((point) => point.text));
  const texts: string[] = [];
  while (texts.length < request.want) {
    const text = drawNew(request.space, random, known);
    if (text === null) break;
    known.add(text);
    texts.push(text);
  }
  return { texts, exhausted: exhaustion(request.space, known) };
}

/** A point that is not among `known`, which is also left as it is; null when there is none left. */
export function drawNew(
  space: readonly Parameter[],
  random: RandomStream,
  known: ReadonlySet<string>,
): string | null {
  const text = drawOnce(space, random, known);
  if (text !== null) return text;
  if (combinationsOf(space) > LISTED_MAX) return null;
  const left = [...allTexts(space)].filter((text) => !known.has(text));
  return left[random.below(Math.max(1, left.length))] ?? null;
}

/** As {@link drawNew} in bounded time: null also when a nearly used-up space hides what is left. */
export function drawOnce(
  space: readonly Parameter[],
  random: RandomStream,
  known: ReadonlySet<string>,
): string | null {
  for (let draw = 0; draw < DRAWS_PER_POINT; draw += 1) {
    const text = toText(
      space,
      space.map((parameter) => drawCoordinate(parameter, random)),
    );
    if (!known.has(text)) return text;
  }
  return null;
}

/** Says that every combination was proposed, or null. */
export function exhaustion(space: readonly Parameter[], known: ReadonlySet<string>): string | null {
  const combinations = combinationsOf(space);
  return known.size >= combinations ? `all ${combinations} combinations done` : null;
}

/** Every point of a finite space. */
export function* allTexts(
  space: readonly Parameter[],
  prefix: readonly string[] = [],
): Generator<string> {
  const parameter = space[prefix.length];
  if (parameter === undefined) {
    yield `{${prefix.join(", ")}}`;
    return;
  }
  for (const value of listValues(parameter)) {
    yield* allTexts(space, [...prefix, `${JSON.stringify(parameter.name)}: ${value}`]);
  }
}
