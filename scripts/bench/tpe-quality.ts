/** Search quality of built-in steering: mean best loss after 60 evaluations, 20 seeds, on two functions. Lower is better. */
import { parseSearchSpace, type Parameter } from "../../protocol/search-space.ts";
import { askSampler } from "../../server/samplers/sampler.ts";
import type { ToldPoint } from "../../server/tasks/steering.ts";

const SEEDS = 20;
const EVALUATIONS = 60;

interface Problem {
  readonly space: readonly Parameter[];
  readonly loss: (point: Record<string, number>) => number;
}

/** Branin (optimum 0.398): scikit-optimize's benchmark page gives random search 0.66 after 200 evaluations. */
const branin: Problem = {
  space: spaceOf({ x: ["uniform", -5, 10], y: ["uniform", 0, 15] }),
  loss: ({ x = 0, y = 0 }) => {
    const b = 5.1 / (4 * Math.PI ** 2);
    const c = 5 / Math.PI;
    return (y - b * x * x + c * x - 6) ** 2 + 10 * (1 - 1 / (8 * Math.PI)) * Math.cos(x) + 10;
  },
};

/** Six parameters of mixed kinds with one valley (optimum 0). */
const mixed: Problem = {
  space: spaceOf({
    lr: ["loguniform", 1e-6, 1],
    decay: ["loguniform", 1e-8, 1e-1],
    layers: ["uniformint", 1, 10],
    units: ["loguniformint", 8, 1024],
    dropout: ["uniform", 0, 0.9],
    momentum: ["uniform", 0, 1],
  }),
  loss: ({ lr = 1, decay = 1, layers = 1, units = 1, dropout = 0, momentum = 0 }) =>
    (Math.log10(lr) + 3) ** 2 +
    0.5 * (Math.log10(decay) + 5) ** 2 +
    0.1 * (layers - 4) ** 2 +
    0.2 * Math.log2(units / 128) ** 2 +
    4 * (dropout - 0.3) ** 2 +
    2 * (momentum - 0.9) ** 2,
};

function spaceOf(parameters: Record<string, [string, number, number]>): readonly Parameter[] {
  const file = Object.fromEntries(
    Object.entries(parameters).map(([name, [method, low, high]]) => [
      name,
      { method, dimension: { low, high } },
    ]),
  );
  return parseSearchSpace(JSON.stringify(file), "space").parameters;
}

export function tpeQuality(): Promise<Record<string, unknown>> {
  const figures: Record<string, unknown> = { seeds: SEEDS, evaluations: EVALUATIONS };
  for (const [name, problem] of Object.entries({ branin, mixed })) {
    for (const method of ["random", "tpe"] as const) {
      figures[`${name} ${method}`] = Math.round(meanBest(problem, method) * 10_000) / 10_000;
    }
  }
  return Promise.resolve(figures);
}

function meanBest(problem: Problem, method: "random" | "tpe"): number {
  let sum = 0;
  for (let seed = 0; seed < SEEDS; seed += 1) {
    const points: ToldPoint[] = [];
    let best = Number.POSITIVE_INFINITY;
    for (let run = 0; run < EVALUATIONS; run += 1) {
      const request = {
        method,
        space: problem.space,
        direction: "min",
        want: 1,
        maxPoints: EVALUATIONS,
        points,
      } as const;
      const [text = "{}"] = askSampler({ ...request, seed: `${seed}:run:${run}` }).texts;
      const loss = problem.loss(JSON.parse(text) as Record<string, number>);
      best = Math.min(best, loss);
      points.push({ text, loss, failed: false });
    }
    sum += best;
  }
  return sum / SEEDS;
}
