/** What a point changes in the command of its evaluation. Pure. */
import { parseJsonText, type JsonNode } from "../protocol/json-text.ts";
import type { GrantedItem } from "../protocol/pilot-messages.ts";
import type { Evaluation } from "../protocol/task.ts";

/** With the segment's name in the command: plain text, wherever it stands. */
export function withSegmentName(
  evaluation: Evaluation,
  segment: GrantedItem["segment"],
): Evaluation {
  if (segment === undefined) return evaluation;
  const exec = evaluation.exec.replaceAll("%SEGMENT_NAME", () => segment.name);
  return { ...evaluation, exec };
}

/**
 * The command of an evaluation. With `arguments: "options"` the point's parameters follow as `--name=value`, each one word for
 * the shell, whatever it holds: texts as they are, all else as its JSON text (1e-05, true, [1, 2]).
 */
export function withPointArguments(evaluation: Evaluation, pointText: string): string {
  if (evaluation.arguments === "none") return evaluation.exec;
  const point = parseJsonText(pointText, { name: evaluation.input });
  const members = point.type === "object" ? point.members : [];
  return [
    evaluation.exec,
    ...members.map(({ key, value }) => shellWord(`--${key}=${plain(value)}`)),
  ].join(" ");
}

function plain(node: JsonNode): string {
  return node.type === "string" ? node.value : node.raw;
}

/** Quoted only where it must be: people read the command. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
