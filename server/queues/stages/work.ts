/** Whether connected pilots get work, and what becomes of it. */
import { lackingFor } from "../../../protocol/resources.ts";
import { nodeKey } from "../../core.ts";
import { mayStartJob, queueLacks, walltimeSuffices } from "../../points/jobs.ts";
import { causeIn, foundCause, type FoundCause } from "../causes/cause.ts";
import { EVALUATION_CAUSES } from "../causes/evaluation-causes.ts";
import { TASK_CAUSES } from "../causes/task-causes.ts";
import { nodesDrained } from "./pilot.ts";
import { taskPaused } from "./wanted.ts";
import { count, okStage, stopStage, type Look, type Stage } from "./stage.ts";

export function leaseStage(look: Look): Stage {
  const { pilots, core, queue } = look;
  const busy = pilots.reduce((sum, one) => sum + (core.leasesByPilot.get(one.id)?.size ?? 0), 0);
  if (busy > 0) return okStage("lease", `${count(busy, "evaluation")} running`);
  const drained = pilots.filter((pilot) => pilot.draining);
  if (drained.length === pilots.length) return allDraining(look);
  const open = look.tasks.filter(
    (task) => mayStartJob(task) && queueLacks(task, queue).length === 0,
  );
  const [first] = open;
  if (first === undefined) return noWork(look);
  const slots = pilots.flatMap((pilot) => pilot.slots);
  const lacks = slots.map((slot) => lackingFor(first.spec.needs, slot.resources));
  if (lacks.every((lack) => lack.length > 0)) {
    const words = lacks[0]?.[0] ?? "";
    const cause = causeIn(TASK_CAUSES, queue, words) ?? foundCause(SLOTS_DO_NOT_FIT, queue);
    return stopStage("lease", {
      sentence: "no slot fits what waits",
      cause,
      words: `a slot ${words}`,
    });
  }
  if (pilots.every((pilot) => !walltimeSuffices(first, pilot, look.nowMs)))
    return stopStage("lease", {
      sentence: "no pilot lives long enough",
      cause: foundCause(WALLTIME_LEFT, queue),
    });
  return noWork(look);
}

function allDraining({ pilots, core, queue }: Look): Stage {
  const nodes = [...new Set(pilots.map((pilot) => pilot.capacity.node))];
  const reasons = nodes.flatMap((node) => {
    const health = core.nodes.get(nodeKey(queue.name, node));
    return health?.drained === true ? [`${node}: ${health.reason}`] : [];
  });
  const [node = ""] = nodes;
  const leaving = {
    code: "pilotsDraining",
    waits: true as const,
    means: "All pilots are leaving; new ones are submitted when they are wanted.",
    remedy: "hyperpilot site pilots --queue QUEUE",
  };
  return stopStage("lease", {
    sentence: `all ${count(pilots.length, "pilot")} draining`,
    cause: reasons.length > 0 ? nodesDrained(queue, node) : foundCause(leaving, queue),
    words: reasons[0] ?? "",
    details: reasons.slice(1),
  });
}

function noWork(look: Look): Stage {
  const { queue, tasks } = look;
  const fitting = tasks.filter((task) => queueLacks(task, queue).length === 0);
  const [first] = fitting;
  if (first !== undefined && fitting.every(({ state }) => state === "paused")) {
    const sentence = "all searches that fit are paused";
    return stopStage("lease", { sentence, cause: taskPaused(queue, first) });
  }
  const means =
    "The pilots wait for points: steering is proposing some, or searches have all the slots that they want.";
  const cause = foundCause(
    {
      code: "slotsIdle",
      waits: true,
      means,
      remedy: "For a search that seems too slow: hyperpilot task why TASK",
    },
    queue,
  );
  const searches = tasks.length === 1 ? "1 search" : `${tasks.length} searches`;
  return stopStage("lease", { sentence: `no point waits (${searches} not ended)`, cause });
}

/** Failures in a row from which on a queue that had losses is suspected. */
const STREAK = 5;

export function lossStage({ state, queue }: Look): Stage {
  const { losses, failures, interruptions, recent } = state.tally;
  const sentence = `${losses} losses, ${count(failures, "failed attempt")}, ${count(interruptions, "interruption")} since the server started`;
  const last = recent.at(-1);
  const isBad = last !== undefined && (losses === 0 || recent.length >= STREAK);
  if (!isBad) {
    if (losses > 0) return okStage("loss", sentence);
    const means = "No evaluation has ended yet.";
    const cause = foundCause(
      {
        code: "noneEndedYet",
        waits: true,
        means,
        remedy: "Wait; what runs now: hyperpilot site pilots --queue QUEUE",
      },
      queue,
    );
    return stopStage("loss", { sentence, cause });
  }
  const words = `${last.cause}: ${last.message}`;
  const found: FoundCause =
    causeIn(EVALUATION_CAUSES, queue, words) ?? foundCause(EVALUATION_FAILS, queue);
  const stage = stopStage("loss", {
    sentence,
    cause: found,
    // Words of users' programs are theirs; the code is not.
    words: found.code === "evaluationFails" ? last.cause : words,
    details: [`the last on ${last.node}, task ${last.taskId} of ${last.owner}`],
  });
  return losses === 0 ? stage : { ...stage, status: "warning" };
}

const SLOTS_DO_NOT_FIT = {
  code: "slotsDoNotFit",
  means: "The slots that pilots got are smaller than what searches ask for.",
  remedy:
    "Compare: hyperpilot site pilot show PILOT; the queue's slot: hyperpilot site queue show QUEUE",
};

const WALLTIME_LEFT = {
  code: "walltimeLeftTooShort",
  means: "Pilots have less walltime left than one evaluation takes.",
  remedy: "Ask for more: hyperpilot site queue set QUEUE slot.walltimeSeconds=N",
};

const EVALUATION_FAILS = {
  code: "evaluationFails",
  means: "Evaluations run and fail: that is the search's own program.",
  remedy:
    "Its owner sees its output: hyperpilot task logs TASK. Nodes compared: hyperpilot site errors",
};
