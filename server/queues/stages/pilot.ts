/** Whether pilots come up on the nodes and connect. */
import { BATCH_CAUSES } from "../causes/batch-causes.ts";
import type { QueueConfig } from "../../../protocol/queue.ts";
import { nodeKey } from "../../core.ts";
import { causeIn, foundCause, type FoundCause } from "../causes/cause.ts";
import { PILOT_CAUSES } from "../causes/pilot-causes.ts";
import { lastWords, tellingLines } from "../job-lines.ts";
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
  const turnedAway = onDrainedNodes(look);
  if (turnedAway !== null) return turnedAway;
  const { neverConnected } = state.health;
  const ended: Witness[] =
    neverConnected === 0
      ? []
      : state.failed
          .filter(({ taken }) => taken)
          .map(({ detail, output }) => ({ words: detail, output }))
          .reverse();
  const running = state.submissions.filter((one) => one.state === "running");
  if (running.length === 0 && ended.length === 0) return nothingStarted(look);
  const silent: Witness[] = running.map(({ detail, output }) => ({ words: detail, output }));
  const sentence = `none connected; ${count(running.length, "job")} running, ${neverConnected} ended without connecting${pauseText(look)}`;
  for (const { words, output } of [...ended, ...silent]) {
    const telling = tellingLines(output).join("\n");
    const cause = causeIn(PILOT_CAUSES, queue, telling) ?? causeIn(PILOT_CAUSES, queue, words);
    if (cause !== null)
      return stopStage("pilot", { sentence, cause, words: lastWords(output) || words, output });
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

/** The last pilot came up on a node that is drained still, and was sent away. */
function onDrainedNodes({ core, queue, state, nowMs }: Look): Stage | null {
  const { turnedAway, health } = state;
  if (turnedAway === null || health.neverConnected > 0) return null;
  const node = core.nodes.get(nodeKey(queue.name, turnedAway.node));
  if (node?.drained !== true) return null;
  return stopStage("pilot", {
    sentence: `the last one was turned away ${ageText(nowMs - turnedAway.atMs)} ago: its node ${turnedAway.node} is drained`,
    cause: nodesDrained(queue, turnedAway.node),
    words: `${turnedAway.node}: ${node.reason}`,
  });
}

/** Also for pilots that are connected still. */
export function nodesDrained(queue: QueueConfig, node: string): FoundCause {
  const entry = {
    code: "nodesDrained",
    means: "Every node with a pilot is drained, so no work is given out there.",
    remedy: `Look at the nodes (hyperpilot site nodes --bad, hyperpilot site errors); when they are well: hyperpilot site node undrain ${node} --queue QUEUE`,
  };
  return foundCause(entry, queue);
}

/** What was turned away once is no hindrance any more; new pilots are about to be submitted. */
function nothingStarted({ queue }: Look): Stage {
  return stopStage("pilot", {
    sentence: "none connected, no job running",
    cause: foundCause(STARTING, queue),
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
  return stopStage("pilot", { sentence, cause, words: lastWords(output) || words, output });
}

const STARTING = {
  code: "pilotStarting",
  waits: true,
  means: "Jobs have just been submitted or started; a pilot connects within seconds.",
  remedy: "Wait and ask again.",
} as const;

const SILENT = {
  code: "pilotSilent",
  means: "Jobs run, but their pilots neither connect nor say why.",
  remedy:
    "Look on the node at the job's processes and at its pilot.log; HTCondor brings the log when the job ends.",
} as const;
