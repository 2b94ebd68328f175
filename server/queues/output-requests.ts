/** Operators who ask what a job has printed: the harvester is asked, and its answer is theirs. */
import type { FromHarvester } from "../../protocol/harvester-messages.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { SITE } from "../../protocol/limits.ts";
import type { Submission } from "../core.ts";
import { liveQueue, type SessionId } from "../live.ts";
import { effect, type Turn } from "../turn.ts";

/** Asks for the output of a pilot's or a submission's job; the reply follows when its harvester has answered. Errors: E_NOT_FOUND, E_UNREACHABLE, E_LIMIT. */
export function askForOutput(turn: Turn, requestId: number, id: string): void {
  const { live, now } = turn;
  const { submissionId, queue } = submissionNamed(turn, id);
  const session = sessionOfHarvester(turn, queue, submissionId);
  if (session === null) {
    throw new HyperpilotError({
      code: "E_UNREACHABLE",
      message: `The harvester that has the output of ${submissionId} is not connected.`,
      remedy: "hyperpilot site harvester",
    });
  }
  if (live.outputRequests.size >= SITE.outputRequestsMax) {
    throw new HyperpilotError({
      code: "E_LIMIT",
      message: `${SITE.outputRequestsMax} questions for output wait already.`,
      remedy: "Try again in a few seconds.",
    });
  }
  const deadlineMs = now.monotonicMs + SITE.outputRequestMs;
  live.outputRequests.set(requestId, { requestId, submissionId, deadlineMs });
  effect(turn, {
    type: "toHarvester",
    session,
    message: { type: "fetchOutput", submissionId, requestId },
  });
}

/** Also those that have ended, as long as they are remembered. */
function submissionNamed(turn: Turn, id: string): { submissionId: string; queue: string } {
  const found = findSubmission(turn, id);
  if (found !== null) return { submissionId: found.id, queue: found.queue };
  const test = turn.live.tests.get(id);
  if (test !== undefined) return test;
  for (const [queue, { failed }] of turn.live.queues) {
    if (failed.some((one) => one.submissionId === id)) return { submissionId: id, queue };
  }
  throw noSuchPilot(id);
}

/** The submission with this id, or that of the pilot with this id. */
export function findSubmission(turn: Pick<Turn, "core">, id: string): Submission | null {
  const { submissions } = turn.core;
  const named = submissions.get(id);
  if (named !== undefined) return named;
  for (const submission of submissions.values()) if (submission.pilotId === id) return submission;
  return null;
}

/** The connected harvester that made the submission, else the one that serves the queue; null: neither is connected. */
export function sessionOfHarvester(
  { core, live }: Pick<Turn, "core" | "live">,
  queue: string,
  submissionId: string,
): SessionId | null {
  const owner = core.submissions.get(submissionId)?.harvester ?? "";
  for (const { id, session } of live.harvesters.values())
    if (owner !== "" && id === owner) return session;
  return liveQueue(live, queue).holder?.session ?? null;
}

export function noSuchPilot(id: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no pilot or submission ${id}.`,
    why: "It never was, or its batch job has ended.",
    remedy: "See them all: hyperpilot site pilots, hyperpilot site submissions",
  });
}

export function answerOutput(
  turn: Turn,
  { requestId, submissionId, output, detail }: Extract<FromHarvester, { type: "output" }>,
): void {
  const asked = turn.live.outputRequests.get(requestId);
  if (asked?.submissionId !== submissionId) return;
  turn.live.outputRequests.delete(requestId);
  if (output !== null)
    return effect(turn, { type: "reply", requestId, value: { submissionId, output } });
  const error = {
    code: "E_NOT_FOUND",
    message: `There is no output of ${submissionId}.`,
    why: detail,
    remedy: "Jobs of HTCondor bring theirs when they end: hyperpilot site pilot show ID",
  } as const;
  effect(turn, { type: "replyError", requestId, error });
}

/** Questions that no harvester has answered in time. */
export function expireOutputRequests(turn: Turn): void {
  const { outputRequests } = turn.live;
  for (const { requestId, submissionId, deadlineMs } of outputRequests.values()) {
    if (turn.now.monotonicMs < deadlineMs) continue;
    outputRequests.delete(requestId);
    const error = {
      code: "E_UNREACHABLE",
      message: `The harvester did not send the output of ${submissionId}.`,
      why: `No answer within ${SITE.outputRequestMs / 1_000} s.`,
      remedy: "hyperpilot site harvester",
    } as const;
    effect(turn, { type: "replyError", requestId, error });
  }
}
