/** What operators do to queues, pilots and nodes. Errors: HyperpilotError; then nothing has changed. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { SITE } from "../../protocol/limits.ts";
import { nodeKey } from "../core.ts";
import type { CommandOf, CommandValues } from "../inbox.ts";
import { drainPilot } from "../pilot-drain.ts";
import { effect, emit, type Turn } from "../turn.ts";
import { holderOf } from "./holders.ts";
import { findSubmission, noSuchPilot, sessionOfHarvester } from "./output-requests.ts";

/** Has one pilot submitted, whatever is wanted. Errors: E_NOT_FOUND, E_CONFLICT. */
export function testQueue(
  turn: Turn,
  { name, submissionId, sha256, secret }: CommandOf<"testQueue">,
  by: string,
): CommandValues["testQueue"] {
  const { core, live, now } = turn;
  const queue = core.queues.get(name);
  if (queue === undefined) throw noSuchQueue(name);
  if (queue.state === "offline" || queue.state === "drain") {
    throw new HyperpilotError({
      code: "E_CONFLICT",
      message: `Queue ${name} is ${queue.state}: no pilot is submitted to it.`,
      remedy: `Let it take one pilot: hyperpilot site queue set ${name} state=test`,
    });
  }
  // A queue that was added in this moment has not been given to its harvester yet.
  const holder = holderOf(core, live, queue, now.monotonicMs);
  if (holder === null) {
    throw new HyperpilotError({
      code: "E_CONFLICT",
      message: `No harvester serves queue ${name}, so no pilot can be submitted.`,
      remedy: `hyperpilot site why ${name}`,
    });
  }
  const change = {
    kind: "bootIssued",
    sha256,
    queue: name,
    submissionId,
    harvester: holder.id,
  } as const;
  emit(turn, { type: "tokenChanged", change, by });
  live.tests.set(submissionId, {
    submissionId,
    queue: name,
    by,
    startedMs: now.monotonicMs,
    report: null,
    connectedMs: null,
    capacity: null,
    slots: 0,
    ended: null,
  });
  for (const old of live.tests.keys()) {
    if (live.tests.size <= SITE.testsKept) break;
    live.tests.delete(old);
  }
  const message = { type: "test", queue, submissionId, secret } as const;
  effect(turn, { type: "toHarvester", session: holder.session, message });
  return { submissionId };
}

/** Lets a pilot end what it runs and leave, or removes its job from the batch system at once. Errors: E_NOT_FOUND. */
export function endPilot(
  turn: Turn,
  { id, kill }: CommandOf<"drainPilot">,
  by: string,
): CommandValues["drainPilot"] {
  const { live } = turn;
  const submission = findSubmission(turn, id);
  if (submission === null) throw noSuchPilot(id);
  const { id: submissionId, queue, pilotId } = submission;
  const pilot = pilotId === null ? undefined : live.pilots.get(pilotId);
  const reason = `${kill ? "ended" : "drained"} by ${by}`;
  if (pilot !== undefined) drainPilot(turn, pilot, reason, kill);
  if (!kill && pilot === undefined) {
    throw new HyperpilotError({
      code: "E_CONFLICT",
      message: `Submission ${submissionId} has no pilot yet that could be drained.`,
      remedy: `Remove its job: hyperpilot site pilot kill ${submissionId}`,
    });
  }
  if (!kill) return { submissionId, said: "ends what it runs, then leaves" };
  const session = sessionOfHarvester(turn, queue, submissionId);
  if (session === null) {
    if (pilot !== undefined)
      return {
        submissionId,
        said: "stops what it runs and leaves; no harvester is there to remove its job",
      };
    throw new HyperpilotError({
      code: "E_UNREACHABLE",
      message: `No harvester of queue ${queue} is connected that could remove the job.`,
      remedy: "hyperpilot site harvester",
    });
  }
  const message = { type: "remove", queue, submissionId, reason } as const;
  effect(turn, { type: "toHarvester", session, message });
  return { submissionId, said: "its job is being removed from the batch system" };
}

/** Takes a node out of work, or lets it work again. Errors: E_NOT_FOUND. */
export function drainNode(turn: Turn, command: CommandOf<"drainNode">, by: string): null {
  const { queue, node, drained } = command;
  const { core, live } = turn;
  if (!core.queues.has(queue)) throw noSuchQueue(queue);
  if (!drained && core.nodes.get(nodeKey(queue, node)) === undefined) {
    throw new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `Nothing is held against node ${node} in queue ${queue}.`,
      remedy: "hyperpilot site nodes --bad",
    });
  }
  const reason = `${command.reason === "" ? "drained" : command.reason} (by ${by})`;
  emit(turn, { type: "nodeDrained", node, queue, drained, reason });
  for (const pilot of live.pilots.values()) {
    if (drained && pilot.queue === queue && pilot.capacity.node === node)
      drainPilot(turn, pilot, reason);
  }
  return null;
}

export function noSuchQueue(name: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no queue ${name}.`,
    remedy: "hyperpilot site queues",
  });
}
