/** The files that steering containers and the system exchange: %IN and %OUT, iDDS's contract. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { parseJsonText, type JsonNode } from "../../protocol/json-text.ts";
import { TASK, WIRE } from "../../protocol/limits.ts";
import { isSpaceList } from "../../protocol/segmented-space.ts";
import type { TaskSpecification } from "../../protocol/task.ts";
import type { Task } from "../core.ts";
import type { Proposal } from "./proposals.ts";
import { toldPoints } from "./steering.ts";

/** Text of %IN: every point that has a loss or penalty or is pending, then the search space, byte for byte. */
export function steeringInput(task: Task): string {
  const points = toldPoints(task).map(
    ({ text, loss }) => `[${text}, ${loss === null ? "null" : String(loss)}]`,
  );
  return `{"points": [${points.join(", ")}], "opt_space": ${spaceText(task.spec)}}`;
}

const EXCERPT_CHARACTERS = 40;

/** Of segmented tasks one object is repeated for each segment; a list is the user's own and goes as it is. */
function spaceText({ searchSpace, segments }: TaskSpecification): string {
  if (searchSpace.trim() === "") return "null";
  const isOne = segments.length === 0 || isSpaceList(searchSpace) || searchSpace.trim() === "null";
  if (isOne) return searchSpace;
  const clones = segments.map((_, id) => `{"model_id": ${id}, "search_space": ${searchSpace}}`);
  return `[${clones.join(", ")}]`;
}

/**
 * The new points of a text of %OUT, each as it was written; `segments` is 0 for a task that has none. Errors: E_JSON,
 * E_STEERING with what was wrong.
 */
export function proposedPoints(text: string, segments: number): Proposal[] {
  const root = parsedAnswer(text);
  if (root.type !== "array")
    throw wrongAnswer(`it is ${describe(root.type)}, not a list of points`);
  return root.items.map((item, index) => {
    const segment = segments === 0 ? pointSegment(item, index) : modelId(item, index, segments);
    if (item.raw.length > TASK.pointTextBytesMax) {
      throw wrongAnswer(`its entry ${index} has more than ${TASK.pointTextBytesMax} characters`);
    }
    return { segment, text: item.raw };
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

function pointSegment(item: JsonNode, index: number): number {
  if (item.type === "object") return 0;
  throw wrongAnswer(`its entry ${index} is ${describe(item.type)}, not a point {...}`);
}

function modelId(item: JsonNode, index: number, segments: number): number {
  const [id, point] = item.type === "array" && item.items.length === 2 ? item.items : [];
  if (id?.type !== "number" || point?.type !== "object") {
    const found = item.type === "array" ? "a list of another form" : describe(item.type);
    throw wrongAnswer(`its entry ${index} is ${found}, not [model_id, {...}] of a segment`);
  }
  if (Number.isInteger(id.value) && id.value >= 0 && id.value < segments) return Math.abs(id.value);
  const range = segments === 1 ? "one segment, 0" : `segments 0 to ${segments - 1}`;
  throw wrongAnswer(`its entry ${index} names model_id ${id.raw}, but the task has ${range}`);
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
    remedy:
      'Write a JSON list such as [{"lr": 0.1}, {"lr": 0.2}] to %OUT; of a segmented search [[0, {"lr": 0.1}], [1, {"lr": 0.2}]].',
  });
}
