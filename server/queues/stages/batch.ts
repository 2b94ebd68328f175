/** Whether the batch system takes pilots and starts them. */
import { BATCH_CAUSES } from "../causes/batch-causes.ts";
import { foundCause, type FoundCause } from "../causes/cause.ts";
import { ageText, causeOrElse, count, okStage, stopStage, type Look, type Stage } from "./stage.ts";

export function batchStage(look: Look): Stage {
  const { state, pilots } = look;
  const { queued = 0, running = 0, unknown = 0, planned = 0 } = state.totals;
  const alive = queued + running + unknown + planned;
  const numbers = `${count(alive, "pilot")} submitted: ${queued} queued, ${running} running${unknown > 0 ? `, ${unknown} unknown` : ""}`;
  const works = pilots.length > 0 || running > 0;
  const refused = refusal(look, numbers);
  if (refused !== null) return works ? { ...refused, status: "warning", cause: null } : refused;
  if (works) return okStage("batch", numbers);
  if (alive === 0) return nothingSubmitted(look, numbers);
  return allQueued(look, numbers);
}

/** A failed submit or question. */
function refusal(look: Look, numbers: string): Stage | null {
  const { queue, state } = look;
  const { submitFailures, statusError } = state.health;
  if (submitFailures === 0 && statusError === null) return null;
  const words =
    submitFailures > 0 ? (state.lastError ?? "").replace(/^paused: /, "") : (statusError ?? "");
  const otherwise =
    submitFailures > 0
      ? {
          code: "submitFailed",
          means: "The batch system refuses pilots; its words stand beside.",
          remedy:
            "Run the same command by hand as the harvester's user; compare with: hyperpilot site queue show QUEUE",
        }
      : {
          code: "batchAnswersNot",
          means: "The batch system does not answer questions about jobs.",
          remedy: "Run squeue, condor_q, qstat or bjobs by hand as the harvester's user.",
        };
  const failed =
    submitFailures > 0 ? `${count(submitFailures, "submit")} failed in a row` : "questions fail";
  return stopStage("batch", {
    sentence: `${failed}${pauseText(look)}; ${numbers}`,
    cause: causeOrElse(BATCH_CAUSES, queue, { words, otherwise }),
    words,
  });
}

/** ", paused, tries again in 25 s". */
export function pauseText({ state, nowMs }: Look): string {
  const { probeInSeconds } = state.health;
  if (probeInSeconds === null) return "";
  const leftMs = probeInSeconds * 1_000 - (nowMs - (state.reportedMs ?? nowMs));
  return `, paused, tries again in ${ageText(leftMs)}`;
}

function nothingSubmitted({ queue, state }: Look, numbers: string): Stage {
  // What ended without a pilot is looked at in the next stage.
  if (state.health.neverConnected > 0 || state.turnedAway !== null)
    return okStage("batch", numbers);
  const entry = {
    code: state.reportedMs === null ? "harvesterSilent" : "notSubmittedYet",
    waits: true as const,
    means: "The harvester has just learnt what is wanted and has not submitted yet.",
    remedy: "Wait some seconds and ask again.",
  };
  const sentence = state.reportedMs === null ? "the harvester has reported nothing yet" : numbers;
  return stopStage("batch", { sentence, cause: foundCause(entry, queue) });
}

function allQueued(look: Look, numbers: string): Stage {
  const { queue, state, nowMs } = look;
  const otherwise = {
    code: "jobWaits",
    waits: true as const,
    means: "The batch system has the jobs and does not start them; its words stand beside.",
    remedy:
      "Ask it why: scontrol show job ID, condor_q -better-analyze ID, qstat -j ID, bjobs -p2 ID, kubectl describe pod",
  };
  const judged = state.submissions.map(({ detail, submissionId }) => ({
    words: detail,
    submissionId,
    cause: causeOrElse(BATCH_CAUSES, queue, { words: detail, otherwise }),
  }));
  const worst = judged.find(({ cause }) => !cause.waits) ?? judged[0];
  if (worst === undefined) return okStage("batch", numbers);
  if (worst.cause.waits && state.health.neverConnected > 0) return okStage("batch", numbers);
  const firstMs = Math.min(...[...state.since.values()].map((one) => one.firstMs), nowMs);
  const age = `; the oldest for ${ageText(nowMs - firstMs)}`;
  const cause: FoundCause = worst.cause;
  return stopStage("batch", { sentence: numbers + age, cause, words: worst.words });
}
