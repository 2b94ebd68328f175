/** Sessions of harvesters: what should exist, what the batch system says, secrets for new submissions. */
import { assertNever } from "../protocol/assert-never.ts";
import type { FromHarvester } from "../protocol/harvester-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { commonVersion, OUR_RANGE } from "../protocol/version.ts";
import { CLOSE } from "./inbox.ts";
import { liveQueue, type LiveHarvester, type SessionId } from "./live.ts";
import { endLeasesOfPilot } from "./points/leases.ts";
import { removePilot } from "./pilots.ts";
import { serves, wantedByQueue } from "./queues/wanted.ts";
import { effect, emit, type Turn } from "./turn.ts";

export function onHarvesterMessage(turn: Turn, session: SessionId, message: FromHarvester): void {
  if (message.type === "hello") return onHello(turn, session, message);
  const harvester = turn.live.harvesters.get(session);
  if (harvester === undefined) {
    return effect(turn, {
      type: "close",
      session,
      code: CLOSE.protocolViolation,
      reason: "no hello",
    });
  }
  switch (message.type) {
    case "report": {
      const queue = liveQueue(turn.live, message.queue);
      queue.submissions = message.submissions;
      queue.harvester = harvester.name;
      queue.lastError = message.lastError;
      if (message.secretsNeeded > 0 && turn.core.queues.has(message.queue)) {
        effect(turn, {
          type: "drawSecrets",
          session,
          queue: message.queue,
          count: message.secretsNeeded,
        });
      }
      return;
    }
    case "ended": {
      const { submissionId } = message;
      endSubmission(turn, submissionId, message.detail);
      const noted = { type: "endNoted", submissionId } as const;
      return effect(turn, { type: "toHarvester", session, message: noted });
    }
    default:
      return assertNever(message);
  }
}

function onHello(
  turn: Turn,
  session: SessionId,
  hello: Extract<FromHarvester, { type: "hello" }>,
): void {
  const version = commonVersion(OUR_RANGE, hello.protocol);
  if (version === null) {
    return effect(turn, {
      type: "close",
      session,
      code: CLOSE.protocolViolation,
      reason: "protocol version",
    });
  }
  const harvester: LiveHarvester = {
    session,
    name: hello.harvester,
    sites: hello.sites,
    wantedSent: new Map(),
  };
  turn.live.harvesters.set(session, harvester);
  const queues = [...turn.core.queues.values()].filter((queue) => serves(harvester, queue));
  effect(turn, {
    type: "toHarvester",
    session,
    message: { type: "welcome", protocol: version, queues },
  });
  updateWanted(turn);
}

export function onHarvesterClosed(turn: Turn, session: SessionId): void {
  turn.live.harvesters.delete(session);
}

/** The batch system has ended the submission: its secret is void and its pilot's leases end now. */
function endSubmission(turn: Turn, submissionId: string, detail: string): void {
  const submission = turn.core.submissions.get(submissionId);
  if (submission === undefined) return;
  const { pilotId } = submission;
  emit(turn, {
    type: "tokenChanged",
    change: { kind: "bootEnded", submissionId },
    by: "harvester",
  });
  if (pilotId === null) return;
  const pilot = turn.live.pilots.get(pilotId);
  if (pilot === undefined) return endLeasesOfPilot(turn, pilotId, "submissionEnded", detail);
  const { session } = pilot;
  removePilot(turn, pilot, "submissionEnded", detail);
  if (session !== null)
    effect(turn, { type: "close", session, code: CLOSE.replaced, reason: "submission ended" });
}

/** Computes the pilots that should exist and tells each harvester what has changed. */
export function updateWanted(turn: Turn): void {
  const { live, core } = turn;
  if (live.harvesters.size === 0) return;
  tellRemovedQueues(turn);
  const wanted = wantedByQueue(core, live);
  for (const queue of core.queues.values()) {
    const pilots = wanted.get(queue.name) ?? 0;
    liveQueue(live, queue.name).wantedPilots = pilots;
    const connected = connectedSubmissions(turn, queue.name);
    const signature = JSON.stringify([queue, pilots, connected]);
    for (const harvester of live.harvesters.values()) {
      if (
        !serves(harvester, queue) ||
        harvester.wantedSent.get(queue.name)?.signature === signature
      )
        continue;
      harvester.wantedSent.set(queue.name, { signature, queue });
      effect(turn, {
        type: "toHarvester",
        session: harvester.session,
        message: { type: "wanted", queue, pilots, connected },
      });
    }
  }
}

/** A queue that was removed wants no pilots any more: those of it that wait are taken back. */
function tellRemovedQueues(turn: Turn): void {
  for (const { session, wantedSent } of turn.live.harvesters.values()) {
    for (const [name, { queue }] of wantedSent) {
      if (turn.core.queues.has(name)) continue;
      wantedSent.delete(name);
      const offline: QueueConfig = { ...queue, state: "offline" };
      const connected = connectedSubmissions(turn, name);
      effect(turn, {
        type: "toHarvester",
        session,
        message: { type: "wanted", queue: offline, pilots: 0, connected },
      });
    }
  }
}

function connectedSubmissions(turn: Turn, queue: string): string[] {
  const connected: string[] = [];
  for (const submission of turn.core.submissions.values()) {
    if (submission.queue === queue && submission.pilotId !== null) connected.push(submission.id);
  }
  return connected;
}
