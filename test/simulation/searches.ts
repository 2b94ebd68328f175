/** Searches as users submit them, small and of all kinds. */
import { IMAGE_CAUSES } from "../../protocol/pilot-messages.ts";
import { TaskSpecification, type TaskSpecificationInput } from "../../protocol/task.ts";
import type { Habits } from "./cluster.ts";
import type { Random } from "./random.ts";
import type { Shape } from "./shape.ts";

const SPACES = [
  '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}',
  '{"a":{"method":"categorical","dimension":{"categories":["u","v","w"]}},"n":{"method":"uniformint","dimension":{"low":1,"high":3}}}',
];

export interface Search {
  readonly spec: TaskSpecification;
  readonly habits: Habits;
}

export function drawSearch(random: Random, shape: Shape, name: string): Search {
  const isContainer = random.chance(0.5);
  const method = random.pick(["random", "random", "grid", "tpe"] as const);
  const followsDefaults = random.chance(0.3);
  const nPointsPerIteration = random.int(1, 5);
  const habits = drawHabits(random, shape);
  const input: TaskSpecificationInput = {
    specVersion: 1,
    name,
    seed: random.below(1_000_000),
    clientTaskUuid: `uuid-of-${name}`,
    direction: random.pick(["min", "max"]),
    steering: isContainer ? { container: "host:", exec: "steer" } : { method },
    searchSpace: random.pick(SPACES),
    evaluation: { container: "host:", exec: "train" },
    limits: {
      maxPoints: random.int(1, 12),
      nParallelEvaluation: random.int(1, 5),
      maxEvaluationJobs: random.chance(0.3) ? random.int(1, 6) : null,
      nPointsPerIteration: followsDefaults ? null : nPointsPerIteration,
      minUnevaluatedPoints: followsDefaults ? null : random.below(nPointsPerIteration),
      maxPointsPerEvaluationJob: random.chance(0.25) ? random.int(1, 3) : null,
    },
    needs: {},
    penalty: random.pick(["large", "large", "worst", "omit"]),
    duplicates: random.chance(0.25) ? "reuse" : "evaluate",
    whileSteering: random.chance(0.3) ? "random" : "wait",
    failFast: random.chance(0.5),
    checkpoint: habits.saves === null ? {} : { save: ["state"], keep: random.chance(0.3) },
  };
  return { spec: TaskSpecification.parse(input), habits };
}

function drawHabits(random: Random, { isStormy }: Shape): Habits {
  const share = (most: number): number => (random.chance(0.5) ? 0 : random.between(0, most));
  const isHopeless = random.chance(0.08);
  return {
    secondsMean: random.pick([0.3, 2, 8, 20]),
    fails: isHopeless ? 0.9 : share(0.4),
    badOutput: share(0.15),
    diverges: share(0.25),
    timesOut: share(0.2),
    interrupted: isStormy ? random.between(0.6, 0.95) : share(0.3),
    image: random.chance(0.8)
      ? null
      : { cause: random.pick(IMAGE_CAUSES), share: random.pick([0.3, 0.6, 1]) },
    saves: random.chance(0.5)
      ? null
      : { stepSeconds: random.pick([0.5, 1, 4]), failsRestored: share(0.8) },
    exitCodes: random.int(1, 3),
    steering: {
      nonsense: share(0.2),
      fails: share(0.3),
      fewer: share(0.3),
      more: share(0.3),
      empty: share(0.5),
      secondsMean: random.pick([0.5, 3, 10]),
    },
  };
}
