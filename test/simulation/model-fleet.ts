/** The rules for queues, nodes, tokens and submissions, and the way of each event to its rules. */
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";
import type { NodeRef } from "./cooldowns.ts";
import type { LeaseModel, Model } from "./model.ts";
import { applyPoint } from "./model-points.ts";
import { applyTask } from "./model-tasks.ts";

const EXCHANGES_MAX = 20;
const LOSSES_TO_DRAIN = 3;
const TASKS_TO_DRAIN = 2;

/** Takes the next event. */
export function applyEvent(model: Model, event: HyperpilotEvent): void {
  model.seq += 1;
  switch (event.type) {
    case "taskDefined":
    case "taskStateChanged":
    case "taskLimitsChanged":
    case "runOpened":
    case "runAnswered":
    case "runFailed":
      return applyTask(model, event);
    case "pointGenerated":
    case "jobStarted":
    case "jobEnded":
    case "leaseGranted":
    case "leaseEnded":
    case "attemptEnded":
    case "pointFinal":
    case "checkpointStored":
    case "checkpointDropped":
      return applyPoint(model, event);
    case "queueChanged":
      if (event.config === null) model.queues.delete(event.name);
      else model.queues.set(event.name, event.config);
      return;
    case "nodeDrained":
      return drain(model, event);
    case "tokenChanged":
      return changeToken(model, event);
    case "serverRestored":
      return startIncarnation(model, event);
  }
}

/** From here on everything that was granted before is of the past; what is still leased ends in the same batch. */
function startIncarnation(model: Model, event: EventOf<"serverRestored">): void {
  const { incarnation } = event;
  model.must(
    incarnation > model.incarnation,
    "fenced",
    () => `incarnation ${incarnation} follows ${model.incarnation}`,
  );
  model.incarnation = incarnation;
  for (const task of model.tasks.values()) {
    if (task.run !== null) task.run.epoch = [incarnation, task.run.epoch[1]];
    if (task.run?.lease != null) task.run.lease = renewed(model, task.run.lease);
    for (const point of task.points.values()) {
      if (point.state !== "ready" && point.state !== "leased" && point.state !== "notEvaluated")
        continue;
      point.epoch = [incarnation, point.epoch[1]];
      if (point.lease !== null) point.lease = renewed(model, point.lease);
    }
  }
}

function renewed(model: Model, lease: LeaseModel): LeaseModel {
  const epoch = [model.incarnation, lease.epoch[1]] as const;
  model.drop(lease);
  const again = { ...lease, epoch, isCurrent: true, seq: 0 };
  model.hold(again);
  return again;
}

function drain(model: Model, event: EventOf<"nodeDrained">): void {
  const key = `${event.queue}/${event.node}`;
  if (!event.drained) return void model.nodes.delete(key);
  model.nodes.set(key, { losses: 0, tasks: new Set(), isDrained: true });
}

/** Whether the server may drain a node by itself. */
export function mayDrain(model: Model, { queue, node }: NodeRef): boolean {
  const health = model.nodes.get(`${queue}/${node}`);
  if (health === undefined || health.isDrained) return false;
  return health.losses >= LOSSES_TO_DRAIN && health.tasks.size >= TASKS_TO_DRAIN;
}

/** Nodes that had to be drained and were not. */
export function overdueNode(model: Model): string | null {
  for (const [key, node] of model.nodes) {
    if (node.isDrained || node.losses < LOSSES_TO_DRAIN) continue;
    if (node.tasks.size >= TASKS_TO_DRAIN) return key;
  }
  return null;
}

function changeToken(model: Model, event: EventOf<"tokenChanged">): void {
  const { change } = event;
  switch (change.kind) {
    case "bootIssued":
      model.submissions.set(change.submissionId, {
        queue: change.queue,
        pilotId: null,
        instance: null,
        formerInstances: new Set(),
        exchanges: 0,
      });
      return;
    case "bootExchanged": {
      const submission = model.submissions.get(change.submissionId);
      if (submission === undefined) {
        model.report(
          "oneLease",
          `the ended submission ${change.submissionId} starts ${change.pilotId}`,
        );
        return;
      }
      submission.exchanges += 1;
      model.must(
        submission.exchanges <= EXCHANGES_MAX,
        "limits",
        () => `submission ${change.submissionId} was exchanged ${submission.exchanges} times`,
      );
      model.must(
        !submission.formerInstances.has(change.instance),
        "peers",
        () => `${change.instance} takes back the place that another one has taken`,
      );
      if (submission.instance !== null && submission.instance !== change.instance)
        submission.formerInstances.add(submission.instance);
      submission.pilotId = change.pilotId;
      submission.instance = change.instance;
      model.submissionOfPilot.set(change.pilotId, change.submissionId);
      return;
    }
    case "bootEnded":
      model.submissions.delete(change.submissionId);
      return;
    case "issued":
    case "revoked":
      return;
  }
}
