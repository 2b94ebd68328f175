/** Segments of a task as people name them. */
import { didYouMean } from "../protocol/did-you-mean.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import type { TaskDetail } from "../protocol/rest.ts";

/** Index of a segment named by its name or its number. Errors: E_NOT_FOUND. */
export function findSegment(detail: Pick<TaskDetail, "taskId" | "segments">, text: string): number {
  const { taskId, segments } = detail;
  const found =
    segments.find(({ name }) => name === text) ??
    segments.find(({ segment }) => String(segment) === text);
  if (found !== undefined) return found.segment;
  const names = segments.map(({ name }) => name);
  const near = didYouMean(text, names);
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `Task ${taskId} has no segment ${JSON.stringify(text)}.`,
    ...(names.length === 0 ? { why: "It is one search, without segments." } : {}),
    remedy:
      near === null
        ? `Its segments: hyperpilot task best ${taskId} --segments`
        : `Did you mean ${JSON.stringify(near)}?`,
  });
}
