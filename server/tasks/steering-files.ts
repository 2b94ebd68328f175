/** The files that steering containers and the system exchange: %IN and %OUT, iDDS's contract. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { parseJsonText, type JsonNode } from "../../protocol/json-text.ts";
import { TASK, WIRE } from "../../protocol/limits.ts";
import type { Task } from "../core.ts";
import { toldPoints } from "./steering.ts";

/** Text of %IN: every point that has a loss or penalty or is pending, then the search space, byte for byte. */
export function steeringInput(task: Task): string {
  const points = toldPoints(task).map(
    ({ text, loss }) => `[${text}, ${loss === null ? "null" : String(loss)}]`,
  );
  const space = task.spec.searchSpace.trim() === "" ? "null" : task.spec.searchSpace;
  return `{"points": [${points.join(", ")}], "opt_space": ${space}}`;
}

const EXCERPT_CHARACTERS = 40;

/** The new points of a text of %OUT, each as it was written. Errors: E_JSON, E_STEERING with what was wrong. */
export function proposedPoints(text: string): string[] {
  const root = parsedAnswer(text);
  if (root.type !== "array")
    throw wrongAnswer(`it is ${describe(root.type)}, not a list of points`);
  return root.items.map((item, index) => {
    if (item.type !== "object")
      throw wrongAnswer(`its entry ${index} is ${describe(item.type)}, not a point {...}`);
    if (item.raw.length > TASK.pointTextBytesMax) {
      throw wrongAnswer(`its entry ${index} has more than ${TASK.pointTextBytesMax} characters`);
    }
    return item.raw;
  });
}

function parsedAnswer(text: string): JsonNode {
  try {
    return parseJsonText(text, { name: "%OUT", bytesMax: WIRE.frameBytesMax });
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    const begin = text.trim().slice(0, EXCERPT_CHARACTERS);
    const shown = begin === "" ? "it is empty" : `it begins with ${JSON.stringify(begin)}`;
    throw wrongAnswer(`${error.message.replace(/\.$/, "")} (${shown})`);
  }
}

function describe(type: string): string {
  return type === "object" || type === "array"
    ? `an ${type}`
    : type === "null"
      ? "null"
      : `a ${type}`;
}

function wrongAnswer(why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_STEERING",
    message: `The file %OUT of the steering is not a list of points: ${why}.`,
    remedy: 'Write a JSON list such as [{"lr": 0.1}, {"lr": 0.2}] to %OUT.',
  });
}
