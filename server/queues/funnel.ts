/** Why a queue works or does not: its stages from demand to losses, stopping at the first that does not let the next begin. */
import type { QueueConfig } from "../../protocol/queue.ts";
import { FUNNEL_STAGES, type QueueWhyAnswer } from "../../protocol/site.ts";
import type { Core } from "../core.ts";
import { liveQueue, type Live } from "../live.ts";
import { batchStage } from "./stages/batch.ts";
import { harvesterStage } from "./stages/harvester.ts";
import { pilotStage } from "./stages/pilot.ts";
import type { Look, Stage } from "./stages/stage.ts";
import { wantedStage } from "./stages/wanted.ts";
import { wantedByQueue } from "./wanted.ts";
import { leaseStage, lossStage } from "./stages/work.ts";

const STAGES = [wantedStage, harvesterStage, batchStage, pilotStage, leaseStage, lossStage];

/** The stages up to the one that does not let the next begin. */
function stagesOf(look: Look): Stage[] {
  const stages: Stage[] = [];
  for (const judge of STAGES) {
    const stage = judge(look);
    stages.push(stage);
    if (stage.status === "broken") break;
    // Whether a harvester is there does not hang on work being there.
    const [first] = stages;
    if (first?.status === "waits" && stages.length < 2) continue;
    // That pilots wait for points may follow from what became of the last ones.
    const mayBeTheLosses = stage.stage === "lease" && look.state.tally.recent.length > 0;
    if (stages.some(({ status }) => status === "waits") && !mayBeTheLosses) break;
  }
  return stages;
}

/** Explains the queue's present state. Pure: `core` and `live` are only read. */
export function explainQueue(
  core: Core,
  live: Live,
  queue: QueueConfig,
  nowMs: number,
): QueueWhyAnswer {
  const look: Look = {
    core,
    live,
    queue,
    // What is wanted is told twice a second; a question may come before.
    state: {
      ...liveQueue(live, queue.name),
      wantedPilots: wantedByQueue(core, live).get(queue.name) ?? 0,
    },
    pilots: [...live.pilots.values()].filter(
      (pilot) => pilot.queue === queue.name && pilot.session !== null,
    ),
    tasks: [...core.activeTasks],
    nowMs,
  };
  const stages = stagesOf(look);
  const last = stages.findLast((stage) => stage.cause !== null && stage.status !== "warning");
  const suspect = stages.find((stage) => stage.status === "warning" && stage.cause !== null);
  const cause = last?.cause ?? suspect?.cause ?? null;
  return {
    name: queue.name,
    site: queue.site,
    kind: queue.batch.kind,
    state: queue.state,
    sentence: cause?.means ?? "The queue works.",
    stages: [
      ...stages.map(({ stage, status, sentence, details }) => ({
        stage,
        status,
        sentence,
        details,
      })),
      ...FUNNEL_STAGES.slice(stages.length).map((stage) => ({
        stage,
        status: "notReached" as const,
        sentence: "",
        details: [],
      })),
    ],
    cause,
    output: last?.output ?? "",
  };
}
