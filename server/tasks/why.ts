/** Answers "why is nothing running": one cause, one sentence, one remedy, and the queues that were looked at. */
import { lackingFor } from "../../protocol/resources.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { WhyAnswer } from "../../protocol/rest.ts";
import type { QueueWhyAnswer } from "../../protocol/site.ts";
import { isBuiltin } from "../../protocol/task.ts";
import { isEnded } from "../../protocol/states.ts";
import { pendingCount, type Core, type OpenRun, type Task } from "../core.ts";
import type { Live } from "../live.ts";
import { jobLimitReached, queueLacks, slotOffer } from "../points/jobs.ts";
import { explainQueue } from "../queues/funnel.ts";
import { taskWarnings } from "../views/warnings.ts";
import {
  count,
  noPilot,
  noQueueFits,
  pauseCause,
  type Cause,
  type Funnel,
  type QueueLook,
} from "./placement-causes.ts";
import { cadenceRemedy, cadenceWarnings } from "./submission.ts";

/** Explains the task's present state at this monotonic time. Pure: `core` and `live` are only read. */
export function explain(core: Core, live: Live, task: Task, nowMs = 0): WhyAnswer {
  const looks = [...core.queues.values()].map((queue) => lookAt(core, live, task, queue));
  const funnel = (queue: QueueConfig): QueueWhyAnswer => explainQueue(core, live, queue, nowMs);
  const found = cause(task, looks, funnel);
  const { code, sentence, remedy } = found;
  return {
    code,
    sentence,
    remedy,
    cause: found.cause ?? null,
    warnings: taskWarnings(core, live, task),
    queues: looks.map((look) => ({
      name: look.queue.name,
      state: look.queue.state,
      pilots: look.pilots.length,
      slots: look.slots,
      freeSlots: look.freeSlots,
      lacks: [...look.lacks],
    })),
  };
}

function lookAt(core: Core, live: Live, task: Task, queue: QueueConfig): QueueLook {
  const pilots = [...live.pilots.values()].filter(
    (pilot) => pilot.queue === queue.name && pilot.session !== null,
  );
  const slots = pilots.flatMap((pilot) => pilot.slots);
  const lacks = queueLacks(task, queue);
  const slotLacks =
    slots.length > 0
      ? smallest(slots.map((slot) => lackingFor(task.spec.needs, slot.resources)))
      : lackingFor(task.spec.needs, slotOffer(queue));
  lacks.push(...slotLacks);
  const fits = lacks.length === 0;
  if (queue.state === "offline" || queue.state === "drain") lacks.push(`is ${queue.state}`);
  const drained = pilots.filter((pilot) => pilot.draining);
  if (fits && pilots.length > 0 && drained.length === pilots.length)
    lacks.push("all its pilots are draining");
  const busy = pilots.reduce(
    (sum, pilot) => sum + (core.leasesByPilot.get(pilot.id)?.size ?? 0),
    0,
  );
  return {
    queue,
    pilots,
    slots: slots.length,
    freeSlots: Math.max(0, slots.length - busy),
    lacks,
    fits,
  };
}

function smallest(all: readonly string[][]): string[] {
  return all.reduce((least, one) => (one.length < least.length ? one : least), all[0] ?? []);
}

function cause(task: Task, looks: readonly QueueLook[], funnel: Funnel): Cause {
  const { id, counts } = task;
  if (isEnded(task.state)) {
    return {
      code: "ended",
      sentence: `Task ${id} is ${task.state}: ${task.reason}.`,
      remedy: afterEnd(task),
    };
  }
  if (task.state === "paused") {
    const sentence = `Task ${id} is paused: ${task.reason}.${counts.leased > 0 ? ` ${counts.leased} running evaluations go on to their end.` : ""}`;
    const remedy = `hyperpilot task resume ${id}`;
    return { code: "paused", sentence, remedy, cause: pauseCause(task) };
  }
  if (task.run?.lease === null && !isBuiltin(task.spec.steering) && pendingCount(task) === 0)
    return steeringWaits(looks, task.run, funnel);
  const placement = placementCause(task, looks, funnel);
  if (placement !== null && counts.leased === 0) return placement;
  if (counts.leased > 0) return runningCause(task, looks);
  return waitingCause(task, looks, funnel);
}

function afterEnd(task: Task): string {
  const { id, steeringFailure, askingEnded, nextRun } = task;
  if (steeringFailure !== null && askingEnded !== null && !isBuiltin(task.spec.steering))
    return `Correct the steering and submit again; what it printed: hyperpilot task logs ${id} run-${nextRun - 1}`;
  if (task.lossCount > 0) return `hyperpilot task best ${id}`;
  if (task.attemptsFailed > 0)
    return `See what the evaluations printed: hyperpilot task logs ${id}`;
  return `hyperpilot task show ${id}`;
}

/** No queue can start the task now. */
function placementCause(task: Task, looks: readonly QueueLook[], funnel: Funnel): Cause | null {
  const fitting = looks.filter((look) => look.fits);
  if (fitting.length === 0) return noQueueFits(task, looks);
  const open = fitting.filter(
    (look) => look.queue.state === "online" || look.queue.state === "test",
  );
  if (open.length === 0) {
    const names = fitting.map((look) => `${look.queue.name} is ${look.queue.state}`).join(", ");
    return {
      code: "queueOffline",
      sentence: `Every queue that fits is switched off: ${names}.`,
      remedy: `hyperpilot site queue online ${fitting[0]?.queue.name ?? ""}`,
      cause: fitting.some((look) => look.queue.state === "offline")
        ? "queueOffline"
        : "queueDrained",
    };
  }
  if (open.every((look) => look.pilots.length === 0))
    return noPilot(
      "No pilot is connected",
      open.map((look) => look.queue),
      funnel,
    );
  if (open.every((look) => look.lacks.includes("all its pilots are draining"))) {
    return {
      code: "nodesDrained",
      sentence:
        "Every connected pilot of the queues that fit is draining; its node failed again and again.",
      remedy: "hyperpilot site nodes --bad",
      cause: "nodesDrained",
    };
  }
  return null;
}

function runningCause(task: Task, looks: readonly QueueLook[]): Cause {
  const { id, counts, effective } = task;
  const running = `${counts.leased} of ${effective.nParallelEvaluation} wanted evaluations run, ${count(counts.ready, "point")} ready.`;
  if (task.jobs.size >= effective.nParallelEvaluation && counts.ready > 0) {
    return {
      code: "enoughJobs",
      sentence: `${running} As many evaluation jobs are active as nParallelEvaluation allows (${effective.nParallelEvaluation}).`,
      remedy: `hyperpilot task limits ${id} --nParallelEvaluation ${effective.nParallelEvaluation * 2}`,
    };
  }
  const idle = idleByLimits(task);
  if (idle !== null) {
    const free = freeSlots(looks);
    const slots = free === 0 ? "" : ` ${count(free, "slot")} stay idle.`;
    return {
      code: "limitsKeepSlotsIdle",
      sentence: `${running}${slots} ${idle}`,
      remedy: cadenceRemedy(task),
      cause: "limitsKeepSlotsIdle",
    };
  }
  if (counts.ready > 0) {
    return {
      code: "slotsBusy",
      sentence: `${running} The other slots that fit are busy.`,
      remedy: "hyperpilot site pilots",
    };
  }
  return {
    code: counts.leased < effective.nParallelEvaluation ? "allPointsLeased" : "running",
    sentence: `${running} Every point generated so far is evaluated or being evaluated.`,
    remedy: `hyperpilot task watch ${id}`,
  };
}

/** How the numbers of the task keep slots from work, or null when it is not they. */
function idleByLimits(task: Task): string | null {
  const { counts, effective, run } = task;
  const { nPointsPerIteration, minUnevaluatedPoints, nParallelEvaluation } = effective;
  const segments = task.segments.length;
  const wanted = Math.min(nParallelEvaluation, effective.maxPoints * segments);
  if (task.asking.size === 0 || run !== null || counts.ready > 0 || counts.leased >= wanted)
    return null;
  const [warning] = cadenceWarnings(task);
  if (warning !== undefined) return `${warning.charAt(0).toUpperCase()}${warning.slice(1)}.`;
  if (counts.leased < Math.max(1, minUnevaluatedPoints) * segments) return null;
  return `Steering is asked again when fewer than ${count(Math.max(1, minUnevaluatedPoints), "point")} wait for a loss (minUnevaluatedPoints ${minUnevaluatedPoints}), and fills up to ${nPointsPerIteration} (nPointsPerIteration); until then slots stay idle.`;
}

function freeSlots(looks: readonly QueueLook[]): number {
  return looks.reduce((sum, look) => sum + (look.lacks.length === 0 ? look.freeSlots : 0), 0);
}

function waitingCause(task: Task, looks: readonly QueueLook[], funnel: Funnel): Cause {
  const { id, counts, run } = task;
  if (run !== null && run.lease === null && !isBuiltin(task.spec.steering)) {
    return steeringWaits(looks, run, funnel);
  }
  if (run !== null) return steeringRuns(task, run);
  if (jobLimitReached(task)) {
    return {
      code: "jobLimitReached",
      sentence: `The limit of ${task.effective.maxEvaluationJobs} evaluation jobs is reached.`,
      remedy: `hyperpilot task limits ${id} --maxEvaluationJobs ${(task.effective.maxEvaluationJobs / task.segments.length) * 2}`,
    };
  }
  const free = freeSlots(looks);
  return {
    code: "slotsBusy",
    sentence: `${count(counts.ready, "point")} ready; ${free === 0 ? "all slots that fit are busy with other searches" : "slots are about to take them"}.`,
    remedy: "hyperpilot site pilots",
  };
}

/** Nothing is evaluated until the open run has answered. */
function steeringRuns(task: Task, run: OpenRun): Cause {
  const asked = `Steering is proposing points (run ${run.run}, try ${run.try}, ${count(run.wanted, "point")} wanted); no point is ready until it answers.`;
  const failure =
    task.steeringFailure === null
      ? ""
      : ` The try before failed: ${task.steeringFailure.replace(/\.$/, "")}.`;
  const [warning] = cadenceWarnings(task);
  return {
    code: "steeringRunning",
    sentence: `${asked}${failure}${warning === undefined ? "" : ` Then ${warning}.`}`,
    remedy: warning === undefined ? `hyperpilot task watch ${task.id}` : cadenceRemedy(task),
  };
}

/** An open run of a container that no central slot has taken yet. */
function steeringWaits(looks: readonly QueueLook[], run: OpenRun, funnel: Funnel): Cause {
  const central = looks.filter((look) => look.queue.role === "central");
  const pilots = central.reduce((sum, look) => sum + look.pilots.length, 0);
  const names = central.map((look) => `${look.queue.name} (${look.queue.state})`).join(", ");
  if (central.length > 0 && pilots === 0) {
    const what = `Run ${run.run} of the steering waits for a central slot: no pilot is connected in ${names}`;
    return noPilot(
      what,
      central.map((look) => look.queue),
      funnel,
    );
  }
  const why =
    central.length === 0
      ? "no queue with role 'central' is configured"
      : `the ${count(pilots, "pilot")} of ${names} run the steering of other searches`;
  return {
    code: pilots === 0 ? "noPilotYet" : "steeringRunning",
    sentence: `Run ${run.run} of the steering waits for a central slot: ${why}.`,
    remedy: "hyperpilot site queues",
  };
}
