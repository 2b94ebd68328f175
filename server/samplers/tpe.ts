/**
 * Tree-structured Parzen estimator (Bergstra et al. 2011) in its multivariate form: product kernels over all parameters,
 * a uniform component in both mixtures, pending points counted as bad so that parallel asks spread, failed points ranked last,
 * and no point proposed twice in a finite space. The univariate form without these does worse than random search.
 */
import { combinationsOf } from "../../protocol/search-space.ts";
import { fromText, toText, type Coordinates } from "./coordinates.ts";
import { drawNew, exhaustion } from "./random.ts";
import { parzen } from "./parzen.ts";
import { randomStream, type RandomStream } from "./random-stream.ts";
import type { AskAnswer, AskRequest } from "./ask.ts";

/** Points drawn at random before the model is trusted. */
const STARTUP_POINTS = 8;
const GOOD_SHARE = 0.15;
const GOOD_MAX = 25;
/** Bad points beyond this many are thinned evenly: the mixture keeps its shape, an ask its bounded cost. */
const BAD_MAX = 300;
const CANDIDATES = 48;

export function askTpe(request: AskRequest): AskAnswer {
  const random = randomStream(request.seed);
  const known = new Set(request.points.map((point) => point.text));
  const groups = split(request);
  const texts: string[] = [];
  while (texts.length < request.want) {
    const text =
      groups.evaluated < STARTUP_POINTS
        ? drawNew(request.space, random, known)
        : propose(request, groups, random, known);
    if (text === null) break;
    known.add(text);
    texts.push(text);
    const coordinates = fromText(request.space, text);
    if (coordinates !== null) groups.bad.push(coordinates);
  }
  return { texts, exhausted: exhaustion(request.space, known) };
}

interface Groups {
  readonly good: Coordinates[];
  readonly bad: Coordinates[];
  readonly evaluated: number;
}

function split(request: AskRequest): Groups {
  const sign = request.direction === "min" ? 1 : -1;
  const ranked: { at: Coordinates; rank: number }[] = [];
  const pending: Coordinates[] = [];
  for (const { text, loss, failed } of request.points) {
    const at = fromText(request.space, text);
    if (at === null) continue;
    if (loss === null) pending.push(at);
    else ranked.push({ at, rank: failed ? Number.POSITIVE_INFINITY : sign * loss });
  }
  ranked.sort((a, b) => (a.rank === b.rank ? 0 : a.rank - b.rank));
  const succeeded = ranked.filter(({ rank }) => rank !== Number.POSITIVE_INFINITY).length;
  const goodCount = Math.min(
    GOOD_MAX,
    succeeded,
    Math.max(2, Math.ceil(GOOD_SHARE * ranked.length)),
  );
  const bad = thin(ranked.slice(goodCount).map(({ at }) => at));
  return {
    good: ranked.slice(0, goodCount).map(({ at }) => at),
    bad: [...bad, ...thin(pending)],
    evaluated: ranked.length,
  };
}

function thin(points: readonly Coordinates[]): Coordinates[] {
  if (points.length <= BAD_MAX) return [...points];
  return Array.from(
    { length: BAD_MAX },
    (_, index) => points[Math.floor((index * points.length) / BAD_MAX)] ?? [],
  );
}

/** The candidate with the best ratio of densities that is new; a random new point when all candidates are known. */
function propose(
  request: AskRequest,
  groups: Groups,
  random: RandomStream,
  known: ReadonlySet<string>,
): string | null {
  const good = parzen(request.space, groups.good);
  const bad = parzen(request.space, groups.bad);
  const isFinite = combinationsOf(request.space) < Number.POSITIVE_INFINITY;
  let best: string | null = null;
  let bestScore = Number.NEGATIVE_INFINITY;
  for (let draw = 0; draw < CANDIDATES; draw += 1) {
    const at = good.draw(random);
    const score = good.logDensity(at) - bad.logDensity(at);
    if (score <= bestScore) continue;
    const text = toText(request.space, at);
    if (isFinite && known.has(text)) continue;
    best = text;
    bestScore = score;
  }
  return best ?? drawNew(request.space, random, known);
}
