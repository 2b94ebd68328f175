/** What built-in steering is asked and answers. */
import type { Parameter } from "../../protocol/search-space.ts";
import type { BuiltinMethod } from "../../protocol/task.ts";
import type { ToldPoint } from "../tasks/steering.ts";

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
