/** What will happen in a simulation from outside: a list of actions, each with randomness of its own, so that any may be left out. */
import type { Random } from "./random.ts";
import type { ActionKind, Shape } from "./shape.ts";

export interface Action {
  readonly index: number;
  readonly atMs: number;
  readonly kind: ActionKind;
}

export function planOf(random: Random, shape: Shape): Action[] {
  const first = Array.from({ length: shape.tasks }, () => ({
    atMs: random.int(100, 15_000),
    kind: "submit" as const,
  }));
  const rest = Array.from({ length: shape.actions }, () => ({
    atMs: random.int(2_000, shape.troubledMs),
    kind: random.weighted(shape.weights),
  }));
  return [...first, ...rest]
    .map((action, index) => ({ ...action, index }))
    .sort((a, b) => a.atMs - b.atMs || a.index - b.index);
}
