/** The words of a failed call that matter to an operator: the batch system's own, where it said something. */
import { HyperpilotError, errorText } from "../protocol/errors.ts";

export function wordsOf(error: unknown): string {
  return error instanceof HyperpilotError ? (error.why ?? error.message) : errorText(error);
}
