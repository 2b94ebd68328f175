/** A fault put into a copy of the product on purpose: the simulator must find it. */
import type { Invariant } from "../invariants.ts";

export interface Mutant {
  readonly name: string;
  /** Source file, from the repository's root. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What would happen to users. */
  readonly why: string;
  /** Invariants of which one must be found broken; another one means that it was found by accident. */
  readonly breaks: readonly Invariant[];
}
