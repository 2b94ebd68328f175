import assert from "node:assert/strict";
import fc from "fast-check";
import { parseSearchSpace, type Parameter } from "../../../protocol/search-space.ts";
import { fromText, toText } from "../../../server/samplers/coordinates.ts";
import { quantile, shareBelow } from "../../../server/samplers/normal-distribution.ts";
import { randomStream } from "../../../server/samplers/random-stream.ts";
import { askSampler, type AskRequest } from "../../../server/samplers/sampler.ts";
import type { ToldPoint } from "../../../server/tasks/steering.ts";

function space(parameters: Record<string, [string, object]>): readonly Parameter[] {
  const file = Object.fromEntries(
    Object.entries(parameters).map(([name, [method, dimension]]) => [name, { method, dimension }]),
  );
  return parseSearchSpace(JSON.stringify(file), "space").parameters;
}

const MIXED = space({
  c: ["categorical", { categories: ["a", "b", "c"] }],
  n: ["uniformint", { low: 1, high: 5 }],
  m: ["loguniformint", { low: 1, high: 1000 }],
  u: ["uniform", { low: -1, high: 1 }],
  l: ["loguniform", { low: 1e-6, high: 1 }],
  q: ["quniform", { low: 0.1, high: 1, q: 0.1 }],
  z: ["normal", { mu: 10, sigma: 2 }],
  w: ["qlognormal", { mu: 1, sigma: 1, q: 0.5 }],
  f: ["fixed", { value: 7 }],
});
const FINITE = space({
  c: ["categorical", { categories: [true, false] }],
  n: ["uniformint", { low: 1, high: 3 }],
  q: ["quniform", { low: 0, high: 0.4, q: 0.2 }],
});

function ask(change: Partial<AskRequest> & Pick<AskRequest, "method">) {
  return askSampler({
    space: MIXED,
    direction: "min",
    seed: "7:run:0",
    want: 5,
    maxPoints: 100,
    points: [],
    ...change,
  });
}

function told(
  texts: readonly string[],
  loss: (point: Record<string, number>) => number,
): ToldPoint[] {
  return texts.map((text) => ({
    text,
    loss: loss(JSON.parse(text) as Record<string, number>),
    failed: false,
  }));
}

/** The best loss after `points` evaluations, one at a time. */
function search(
  method: "random" | "tpe",
  seed: number,
  loss: (point: Record<string, number>) => number,
): number {
  const plane = space({
    x: ["uniform", { low: -5, high: 5 }],
    y: ["uniform", { low: -5, high: 5 }],
  });
  const points: ToldPoint[] = [];
  for (let run = 0; run < 40; run += 1) {
    const { texts } = ask({ method, space: plane, seed: `${seed}:run:${run}`, want: 1, points });
    points.push(...told(texts, loss));
  }
  return Math.min(...points.map((point) => point.loss ?? Infinity));
}

describe("built-in steering", () => {
  for (const method of ["random", "grid", "tpe"] as const) {
    it(`${method} proposes values of every method within their bounds`, () => {
      const points = told(ask({ method, want: 20 }).texts, ({ u = 0 }) => u * u);
      const { texts } = ask({ method, want: 40, points, seed: "x" });
      assert.ok(texts.length > 0);
      for (const text of texts) {
        const point = JSON.parse(text) as Record<string, number>;
        assert.ok(["a", "b", "c"].includes(String(point["c"])));
        assert.ok(Number.isInteger(point["n"]) && point["n"]! >= 1 && point["n"]! <= 5);
        assert.ok(Number.isInteger(point["m"]) && point["m"]! >= 1 && point["m"]! <= 1000);
        assert.ok(Math.abs(point["u"]!) <= 1);
        assert.ok(point["l"]! >= 1e-6 && point["l"]! <= 1);
        assert.match(text, /"q": (0\.[1-9]|1)[,}]/);
        assert.ok(Math.abs(point["z"]! - 10) <= 10);
        assert.ok(point["w"]! >= 0 && Number.isInteger(point["w"]! * 2));
        assert.equal(point["f"], 7);
      }
    });

    it(`${method} gives equal answers to equal requests`, () => {
      const points = told(ask({ method, want: 12 }).texts, ({ u = 0 }) => u);
      assert.deepEqual(ask({ method, points }), ask({ method, points }));
    });

    it(`${method} proposes no point of a finite space twice, and says when all are done`, () => {
      const points: ToldPoint[] = [];
      let exhausted: string | null = null;
      for (let run = 0; exhausted === null && run < 30; run += 1) {
        const answer = ask({ method, space: FINITE, want: 4, seed: `1:run:${run}`, points });
        points.push(...told(answer.texts, ({ n = 0 }) => n));
        exhausted = answer.exhausted;
      }
      assert.equal(exhausted, "all 18 combinations done");
      assert.equal(new Set(points.map((point) => point.text)).size, 18);
      assert.deepEqual(ask({ method, space: FINITE, points }).texts, []);
    });

    it(`${method} answers in a moment after 10,000 points`, () => {
      const random = randomStream("many");
      const texts = Array.from({ length: 10_000 }, () =>
        toText(
          MIXED,
          MIXED.map((one) => (one.method === "categorical" ? 0 : random.next())),
        ),
      );
      assert.equal(
        ask({ method, want: 2, points: told(texts, ({ u = 0 }) => u) }).texts.length,
        method === "grid" ? 2 : 2,
      );
    });
  }

  it("grid counts the first parameter slowest, and gives ranges equally many levels within maxPoints", () => {
    const plane = space({
      x: ["uniform", { low: 0, high: 1 }],
      n: ["uniformint", { low: 1, high: 100 }],
    });
    const { texts } = ask({ method: "grid", space: plane, want: 100, maxPoints: 10 });
    assert.deepEqual(texts, [
      ...["1", "51", "100"].map((n) => `{"x": 0, "n": ${n}}`),
      ...["1", "51", "100"].map((n) => `{"x": 0.5, "n": ${n}}`),
      ...["1", "51", "100"].map((n) => `{"x": 1, "n": ${n}}`),
    ]);
  });

  it("tpe beats random search on a smooth function", () => {
    const bowl = ({ x = 0, y = 0 }: Record<string, number>): number => (x - 2) ** 2 + (y + 1) ** 2;
    let tpe = 0;
    let random = 0;
    for (let seed = 0; seed < 12; seed += 1) {
      tpe += search("tpe", seed, bowl);
      random += search("random", seed, bowl);
    }
    assert.ok(tpe < 0.5 * random, `tpe ${tpe}, random ${random}`);
  });

  it("tpe maximizes when it is told to, ranks failures last, and keeps away from pending points", () => {
    const line = space({ x: ["uniform", { low: 0, high: 1 }] });
    const points: ToldPoint[] = Array.from({ length: 30 }, (_, index) => {
      const x = index / 29;
      // Failures where the losses would be best: told as if very large, they must not attract.
      return { text: `{"x": ${x}}`, loss: x < 0.5 ? x : -1e5, failed: x >= 0.5 };
    });
    const { texts } = ask({ method: "tpe", space: line, direction: "max", want: 8, points });
    const proposed = texts.map((text) => (JSON.parse(text) as { x: number }).x);
    const near = proposed.filter((x) => x > 0.25 && x < 0.6).length;
    assert.ok(near >= 5, `proposed ${proposed.join(" ")}`);
    assert.equal(new Set(proposed).size, 8);
  });

  it("reads its own points back to the same texts", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 9, maxLength: 9 }),
        (at) => {
          const coordinates = MIXED.map((one, index) =>
            one.method === "categorical" ? Math.floor((at[index] ?? 0) * 2.99) : (at[index] ?? 0),
          );
          const text = toText(MIXED, coordinates);
          const back = fromText(MIXED, text);
          assert.ok(back !== null);
          const stable = ["c", "n", "m", "q", "f"];
          const again = JSON.parse(toText(MIXED, back)) as Record<string, unknown>;
          const first = JSON.parse(text) as Record<string, unknown>;
          for (const name of stable) assert.equal(again[name], first[name]);
        },
      ),
    );
    assert.equal(fromText(MIXED, '{"other": 1}'), null);
  });

  it("draws evenly: integers at the ends of a range are as likely as the others", () => {
    const dice = space({
      n: ["uniformint", { low: 1, high: 6 }],
      s: ["uniform", { low: 0, high: 1 }],
    });
    const { texts } = ask({ method: "random", space: dice, want: 6_000 });
    const counts = new Map<number, number>();
    for (const text of texts) {
      const { n } = JSON.parse(text) as { n: number };
      counts.set(n, (counts.get(n) ?? 0) + 1);
    }
    for (const count of counts.values()) assert.ok(count > 850 && count < 1_150, String(count));
  });
});

describe("the normal distribution", () => {
  it("has known shares, and a quantile that inverts them", () => {
    assert.ok(Math.abs(shareBelow(0) - 0.5) < 1e-6);
    assert.ok(Math.abs(shareBelow(1.959964) - 0.975) < 1e-6);
    for (const share of [0.001, 0.1, 0.5, 0.9, 0.999]) {
      assert.ok(Math.abs(shareBelow(quantile(share)) - share) < 1e-9);
    }
  });
});
