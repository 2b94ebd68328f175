/** What people can see of a core, in words that do not change when the code does: compared with what older programs recorded. */
import type { Core, Point, Task } from "../../server/core.ts";

export function summaryOf(core: Core): unknown {
  return {
    seq: core.seq,
    incarnation: core.incarnation,
    nextTaskId: core.nextTaskId,
    queues: [...core.queues.keys()],
    tokens: [...core.tokens.values()].map(
      ({ id, role, revoked }) =>
        `${id} ${role.user} ${role.roles.join(",")}${revoked ? " revoked" : ""}`,
    ),
    submissions: core.submissions.size,
    drainedNodes: [...core.nodes].filter(([, node]) => node.drained).map(([key]) => key),
    tasks: [...core.tasks.values()].map(summaryOfTask),
  };
}

function summaryOfTask(task: Task): unknown {
  const { run, best } = task;
  return {
    id: task.id,
    owner: task.owner,
    name: task.spec.name,
    state: task.state,
    round: task.round,
    generated: task.generated,
    jobsCharged: task.jobsCharged,
    interruptedJobs: task.interruptedJobs.size,
    activeJobs: task.jobs.size,
    runsFinished: task.runsFinished,
    openRun: run === null ? null : `${run.run} try ${run.try} at ${run.epoch.join(".")}`,
    best: best === null ? null : `${best.id}: ${best.loss ?? "none"}`,
    points: [...task.points.values()].map(summaryOfPoint),
  };
}

function summaryOfPoint(point: Point): string {
  const { id, state, loss, attempts, interruptions, epoch, text } = point;
  return `${id} ${state} ${loss ?? "-"} attempts ${attempts} interruptions ${interruptions} epoch ${epoch.join(".")} ${text}`;
}
