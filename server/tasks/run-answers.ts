/** Answers of steering containers: fenced, taken once, tried again when they are no list of points. */
import { compareEpochs } from "../../protocol/ids.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { FromPilotOf } from "../../protocol/pilot-messages.ts";
import type { Task } from "../core.ts";
import { CLOSE } from "../inbox.ts";
import type { LivePilot } from "../live.ts";
import { effect, type Turn } from "../turn.ts";
import { acceptPoints, CONTAINER_ANSWER, type Proposal } from "./proposals.ts";
import { failRun } from "./steering.ts";
import { proposedPoints } from "./steering-files.ts";

type RunAnswer = FromPilotOf<"runAnswer">;

/** Takes the first answer of the current epoch and closes the run with it; any other is `stale`. */
export function onRunAnswer(turn: Turn, pilot: LivePilot, answer: RunAnswer): void {
  const task = turn.core.tasks.get(answer.item.taskId);
  const judged = judge(pilot, answer, task);
  // Granted after the backup that this server was restored from: it knows nothing of it.
  const isOfFormer = answer.epoch[0] < turn.core.incarnation;
  const verdict = judged === "violation" && isOfFormer ? "stale" : judged;
  if (verdict === "violation") return closeForViolation(turn, pilot, answer);
  const { item, epoch, seq } = answer;
  const type = verdict === "current" ? "accepted" : "stale";
  if (pilot.session !== null) {
    effect(turn, { type: "toPilot", session: pilot.session, message: { type, item, epoch, seq } });
  }
  if (verdict === "current" && task !== undefined) take(turn, task, answer);
}

function judge(
  pilot: LivePilot,
  answer: RunAnswer,
  task: Task | undefined,
): "current" | "stale" | "violation" {
  if (task === undefined || answer.item.type !== "steering" || answer.item.run >= task.nextRun)
    return "violation";
  const { run } = task;
  if (run?.run !== answer.item.run) return "stale";
  const age = compareEpochs(answer.epoch, run.epoch);
  if (age !== 0) return age < 0 ? "stale" : "violation";
  // A lease that has ended and was not granted again is still current.
  return run.lease === null || run.lease.pilotId === pilot.id ? "current" : "violation";
}

function take(turn: Turn, task: Task, answer: RunAnswer): void {
  if (answer.log !== "" && task.run !== null) {
    const pointId = `run-${task.run.run}`;
    effect(turn, {
      type: "appendLog",
      taskId: task.id,
      pointId,
      epoch: answer.epoch,
      text: answer.log,
    });
  }
  if (answer.points === null) return failRun(turn, task, answer.message);
  let points: Proposal[];
  try {
    points = proposedPoints(answer.points, task.spec.segments.length);
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    return failRun(turn, task, [error.message, error.remedy].filter(Boolean).join(" "));
  }
  acceptPoints(turn, task, points, CONTAINER_ANSWER);
}

function closeForViolation(turn: Turn, pilot: LivePilot, answer: RunAnswer): void {
  const detail = `answer for ${JSON.stringify(answer.item)} at epoch ${answer.epoch.join(".")} that was never granted to it`;
  effect(turn, { type: "audit", what: "protocolViolation", who: pilot.id, detail });
  if (pilot.session === null) return;
  const message = { type: "refused", code: "E_PROTOCOL", message: detail } as const;
  effect(turn, { type: "toPilot", session: pilot.session, message });
  effect(turn, {
    type: "close",
    session: pilot.session,
    code: CLOSE.protocolViolation,
    reason: "protocol violation",
  });
}
