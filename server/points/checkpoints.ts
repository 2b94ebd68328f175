/** Checkpoints of unfinished evaluations: fenced, stored once, and dropped when they turn out to be of no use. */
import type { FromPilotOf } from "../../protocol/pilot-messages.ts";
import type { CommandOf } from "../inbox.ts";
import type { LivePilot } from "../live.ts";
import { emit, type Turn } from "../turn.ts";
import { answer, closeForViolation, judge } from "./results.ts";

/** Takes a checkpoint whose bytes are here already. It does not end the lease. */
export function onCheckpoint(
  turn: Turn,
  pilot: LivePilot,
  message: FromPilotOf<"checkpoint">,
): void {
  const verdict = judge(turn, pilot, message);
  if (verdict === "violation") return closeForViolation(turn, pilot, message);
  answer(turn, pilot, message, verdict.type === "stale" ? "stale" : "accepted");
  if (verdict.type !== "current") return;
  const { seq, sha256, sizeBytes, epoch } = message;
  const { task, point } = verdict;
  const where = { taskId: task.id, pointId: point.id } as const;
  emit(turn, { type: "checkpointStored", ...where, epoch, seq, sha256, sizeBytes });
}

/** The next evaluation of the point does without it. Nothing happens when it is not there any more. */
export function dropStoredCheckpoint(turn: Turn, command: CommandOf<"dropCheckpoint">): null {
  const { taskId, pointId, sha256, reason } = command;
  const point = turn.core.tasks.get(taskId)?.points.get(pointId);
  if (point?.files?.checkpoints.some((one) => one.sha256 === sha256) !== true) return null;
  const previousSeq = point.historySeq;
  emit(turn, { type: "checkpointDropped", taskId, pointId, sha256, reason, previousSeq });
  return null;
}
