/** Whether pilots come up on the nodes and connect. */
import { BATCH_CAUSES } from "../causes/batch-causes.ts";
import { causeIn, foundCause } from "../causes/cause.ts";
import { PILOT_CAUSES } from "../causes/pilot-causes.ts";
import { pauseText } from "./batch.ts";
import { ageText, causeOrElse, count, okStage, stopStage, type Look, type Stage } from "./stage.ts";

/** A pilot connects within seconds; sites with slow file systems need a while. */
const SLOW_MS = 60_000;

export function pilotStage(look: Look): Stage {
  const { pilots, core, state } = look;
  if (pilots.length === 0) return noPilot(look);
  const slots = pilots.reduce((sum, pilot) => sum + pilot.slots.length, 0);
  const busy = pilots.reduce((sum, one) => sum + (core.leasesByPilot.get(one.id)?.size ?? 0), 0);
  const sentence = `${count(pilots.length, "pilot")} connected, ${busy} of ${count(slots, "slot")} busy`;
  const { neverConnected } = state.health;
  if (neverConnected === 0) return okStage("pilot", sentence);
  const last = state.failed.at(-1);
  const details = [
    `the last ${neverConnected === 1 ? "job" : `${neverConnected} jobs`} ended without a pilot: ${last?.detail ?? ""}`,
  ];
  return { ...okStage("pilot", sentence, details), status: "warning" };
}

interface Witness {
  readonly words: string;
  readonly output: string;
}

function noPilot(look: Look): Stage {
  const { queue, state, nowMs } = look;
  const { neverConnected } = state.health;
  const ended: Witness[] =
    neverConnected === 0
      ? []
      : state.failed
          .filter(({ taken }) => taken)
          .map(({ detail, output }) => ({ words: detail, output }))
          .reverse();
  const running = state.submissions.filter((one) => one.state === "running");
  const silent: Witness[] = running.map(({ detail, output }) => ({ words: detail, output }));
  const sentence = `none connected; ${count(running.length, "job")} running, ${neverConnected} ended without connecting${pauseText(look)}`;
  for (const { words, output } of [...ended, ...silent]) {
    const cause =
      causeIn(PILOT_CAUSES, queue, output) ?? causeIn(PILOT_CAUSES, queue, words) ?? null;
    if (cause !== null)
      return stopStage("pilot", { sentence, cause, words: lastLine(output, words), output });
  }
  const [failed] = ended;
  if (failed !== undefined) return ofUnknownCause(look, sentence, failed);
  const sinceMs = Math.min(...[...state.since.values()].map((one) => one.stateMs), nowMs);
  const isSlow = nowMs - sinceMs > SLOW_MS;
  const cause = foundCause(isSlow ? SILENT : STARTING, queue);
  const [first] = silent;
  return stopStage("pilot", {
    sentence: `${sentence}; the first for ${ageText(nowMs - sinceMs)}`,
    cause,
    words: first?.words ?? "",
    output: first?.output ?? "",
  });
}

function ofUnknownCause({ queue }: Look, sentence: string, { words, output }: Witness): Stage {
  const otherwise = {
    code: "pilotNeverConnected",
    means: "The job ended before its pilot had connected; what it printed stands below.",
    remedy: "Run the script pilot.sh of the submission by hand on a node of the site.",
  };
  const byBatch = causeOrElse(BATCH_CAUSES, queue, { words, otherwise });
  const cause = byBatch.waits ? foundCause(otherwise, queue) : byBatch;
  return stopStage("pilot", { sentence, cause, words: lastLine(output, words), output });
}

function lastLine(output: string, otherwise: string): string {
  return output.trimEnd().split("\n").at(-1) || otherwise;
}

const STARTING = {
  code: "pilotStarting",
  waits: true,
  means: "The job has just started; its pilot connects within seconds.",
  remedy: "Wait and ask again.",
} as const;

const SILENT = {
  code: "pilotSilent",
  means: "Jobs run, but their pilots neither connect nor say why.",
  remedy:
    "Look on the node at the job's processes and at its pilot.log; HTCondor brings the log when the job ends.",
} as const;
