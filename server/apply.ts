/** The one place where the core changes: one event, applied. Deterministic, so that the journal rebuilds the same core. */
import { assertNever } from "../protocol/assert-never.ts";
import { valueAt } from "../protocol/queue-fields.ts";
import { isFinal } from "../protocol/states.ts";
import { applyPointEvent } from "./points/apply.ts";
import { applyTaskEvent } from "./tasks/apply.ts";
import { nodeKey, pendingCount, type Core, type ValueOrigin } from "./core.ts";
import type { EventOf, HyperpilotEvent } from "./events.ts";

/** Applies `event` as the next of the journal. Throws on an event that contradicts the state: a bug or a broken journal. */
export function apply(core: Core, event: HyperpilotEvent): void {
  core.seq += 1;
  switch (event.type) {
    case "taskDefined":
    case "taskStateChanged":
    case "taskLimitsChanged":
    case "runOpened":
    case "runAnswered":
    case "runFailed":
      return applyTaskEvent(core, event);
    case "pointGenerated":
    case "leaseGranted":
    case "leaseEnded":
    case "attemptEnded":
    case "checkpointStored":
    case "checkpointDropped":
    case "pointFinal":
    case "jobStarted":
    case "jobEnded":
      return applyPointEvent(core, event);
    case "nodeDrained":
      return drainNode(core, event);
    case "queueChanged":
      return changeQueue(core, event);
    case "tokenChanged":
      return changeToken(core, event);
    case "serverRestored":
      return startIncarnation(core, event);
    default:
      return assertNever(event);
  }
}

/** Applies an event of an earlier time: blobs that it dropped are gone, or are found by the sweep. */
export function replay(core: Core, event: HyperpilotEvent): void {
  apply(core, event);
  core.unreferenced.clear();
}

/** Every item that may still be granted gets the new incarnation, so that results of older grants are stale from here on. */
function startIncarnation(core: Core, event: EventOf<"serverRestored">): void {
  core.incarnation = event.incarnation;
  core.nextTaskId = Math.max(core.nextTaskId, event.nextTaskId);
  for (const task of core.tasks.values()) {
    if (task.run !== null) task.run.epoch = [event.incarnation, task.run.epoch[1]];
    // Spares walking over all that is final for good.
    const mayGoOn = pendingCount(task) + task.counts.notEvaluated > 0;
    for (const point of mayGoOn ? task.points.values() : []) {
      if (isFinal(point.state)) continue;
      point.epoch = [event.incarnation, point.epoch[1]];
      point.lastSeq = 0;
    }
    task.version += 1;
  }
}

function drainNode(core: Core, event: EventOf<"nodeDrained">): void {
  const key = nodeKey(event.queue, event.node);
  if (event.drained) {
    core.nodes.set(key, { lossesInRow: 0, tasks: new Set(), drained: true, reason: event.reason });
  } else {
    core.nodes.delete(key);
  }
}

function changeQueue(core: Core, event: EventOf<"queueChanged">): void {
  const { name, config, by, atMs, given = [], source = "API" } = event;
  const former = { config: core.queues.get(name), origins: core.queueOrigins.get(name) };
  if (config === null) {
    core.queues.delete(name);
    core.queueOrigins.delete(name);
    return;
  }
  const origins = new Map<string, ValueOrigin>();
  for (const path of given) {
    const known = former.origins?.get(path);
    const isSame = isEqual(valueAt(former.config, path), valueAt(config, path));
    origins.set(path, known !== undefined && isSame ? known : { source, by, atMs });
  }
  core.queues.set(name, config);
  core.queueOrigins.set(name, origins);
}

/** Of values that JSON can hold. */
function isEqual(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function changeToken(core: Core, event: EventOf<"tokenChanged">): void {
  const { change } = event;
  switch (change.kind) {
    case "issued":
      core.tokens.set(change.id, {
        id: change.id,
        sha256: change.sha256,
        role: change.role,
        name: change.name,
        createdAtMs: event.atMs,
        revoked: false,
      });
      return;
    case "revoked": {
      const token = core.tokens.get(change.id);
      if (token !== undefined) token.revoked = true;
      return;
    }
    case "bootIssued":
      core.submissionOfSecret.set(change.sha256, change.submissionId);
      core.submissions.set(change.submissionId, {
        id: change.submissionId,
        queue: change.queue,
        sha256: change.sha256,
        harvester: change.harvester ?? "",
        exchanges: 0,
        instance: null,
        formerInstances: new Set(),
        pilotId: null,
      });
      return;
    case "bootExchanged": {
      const submission = core.submissions.get(change.submissionId);
      if (submission === undefined) throw new Error(`unknown submission ${change.submissionId}`);
      submission.exchanges += 1;
      if (submission.instance !== null && submission.instance !== change.instance)
        submission.formerInstances.add(submission.instance);
      submission.instance = change.instance;
      submission.pilotId = change.pilotId;
      return;
    }
    case "bootEnded":
      core.submissionOfSecret.delete(core.submissions.get(change.submissionId)?.sha256 ?? "");
      core.submissions.delete(change.submissionId);
      return;
    default:
      return assertNever(change);
  }
}
