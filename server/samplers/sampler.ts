/** Built-in steering: ask and tell as one pure function. */
import type { Parameter } from "../../protocol/search-space.ts";
import type { BuiltinMethod } from "../../protocol/task.ts";
import type { ToldPoint } from "../tasks/steering.ts";
import { askGrid } from "./grid.ts";
import { askRandom } from "./random.ts";
import { askTpe } from "./tpe.ts";

export interface AskRequest {
  readonly method: BuiltinMethod;
  readonly space: readonly Parameter[];
  readonly direction: "min" | "max";
  /** Text from which all randomness of this ask is drawn. */
  readonly seed: string;
  /** New points wanted. */
  readonly want: number;
  readonly maxPoints: number;
  /** Every point told so far, pending ones included. */
  readonly points: readonly ToldPoint[];
}

export interface AskAnswer {
  /** JSON texts of the new points. */
  readonly texts: readonly string[];
  /** Why there will never be more; null while there may be. */
  readonly exhausted: string | null;
}

/** Proposes points; equal requests get equal answers. */
export function askSampler(request: AskRequest): AskAnswer {
  switch (request.method) {
    case "random":
      return askRandom(request);
    case "grid":
      return askGrid(request);
    case "tpe":
      return askTpe(request);
  }
}
