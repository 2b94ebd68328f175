/** What steering is told: every point once, with the loss that was recorded. */
import type { AskRequest } from "../../server/samplers/sampler.ts";
import type { PointModel, TaskModel } from "./model.ts";
import type { Oracle } from "./oracle.ts";

const PENALTY_MAX = 1e30;

/** Compares what a sampler or a container is told of a task with what the rules say. */
export function checkTold(oracle: Oracle, taskId: number, told: AskRequest | string): void {
  const task = oracle.model.tasks.get(taskId);
  if (task === undefined)
    return oracle.report("steering", `steering is told of the unknown task ${taskId}`);
  // Draws from an endless space need no past.
  if (typeof told !== "string" && told.points.length === 0 && told.method === "random") return;
  const should = [...task.points.values()].flatMap((point) => toldOf(task, point));
  const is =
    typeof told === "string"
      ? /^\{"points": \[(.*)\], "opt_space": /s.exec(told)?.[1]
      : told.points.map(({ text, loss }) => entry(text, loss)).join(", ");
  oracle.must(
    is === should.join(", "),
    "steering",
    () => `steering of task ${taskId} is told ${is}, not ${should.join(", ")}`,
  );
}

function toldOf(task: TaskModel, point: PointModel): string[] {
  if (point.isRetried) return [];
  switch (point.state) {
    case "done":
      return [entry(point.text, point.loss)];
    case "ready":
    case "leased":
      return [entry(point.text, null)];
    case "hopeless":
    case "diverged": {
      const penalty = penaltyOf(task);
      return penalty === null ? [] : [entry(point.text, penalty)];
    }
    case "cancelled":
    case "notEvaluated":
      return [];
  }
}

function penaltyOf({ spec, worst }: TaskModel): number | null {
  const sign = spec.direction === "min" ? 1 : -1;
  if (spec.penalty === "omit") return null;
  if (spec.penalty === "worst") return worst ?? sign * spec.penaltyLoss;
  return sign * Math.min(PENALTY_MAX, Math.max(spec.penaltyLoss, 10 * Math.abs(worst ?? 0)));
}

function entry(text: string, loss: number | null): string {
  return `[${text}, ${loss === null ? "null" : String(loss)}]`;
}
