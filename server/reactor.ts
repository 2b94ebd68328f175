/** The reactor: one message in, events applied and effects decided. Pure and synchronous; the only writer of core and live. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import { carryOut } from "./commands.ts";
import type { Core } from "./core.ts";
import { onHarvesterClosed, onHarvesterMessage, updateWanted } from "./harvesters.ts";
import type { InboxItem, Moment, ReactorPorts } from "./inbox.ts";
import type { Live } from "./live.ts";
import { awaitPilots, expireSilentPilots, onPilotClosed, onPilotMessage } from "./pilots.ts";
import { askForOutput, expireOutputRequests } from "./queues/output-requests.ts";
import { dispatch } from "./points/broker.ts";
import { wakeAfterCooldowns } from "./points/cooldowns.ts";
import { referredBy } from "./points/files.ts";
import { advance } from "./tasks/lifecycle.ts";
import { ask, onProposed } from "./tasks/steering.ts";
import { effect, type Turn } from "./turn.ts";

/** Rounds of advancing and dispatching after one message; more means that decisions do not settle, which is a bug. */
const ROUNDS_MAX = 1_000;

export interface Reactor {
  readonly core: Core;
  readonly live: Live;
  readonly ports: ReactorPorts;
}

/** Reacts to one item. The events are applied already; the effects wait until those events are durable. */
export function react(
  reactor: Reactor,
  item: InboxItem,
  now: Moment,
): Pick<Turn, "events" | "effects"> {
  const turn: Turn = { ...reactor, now, events: [], effects: [] };
  take(turn, item);
  settle(turn);
  tellBlobs(turn);
  return turn;
}

/** References that this turn has added and ended. */
function tellBlobs(turn: Turn): void {
  const referred = turn.events.flatMap(referredBy);
  const unreferenced = [...turn.core.unreferenced];
  turn.core.unreferenced.clear();
  if (referred.length === 0 && unreferenced.length === 0) return;
  effect(turn, { type: "blobs", referred, unreferenced });
}

function take(turn: Turn, item: InboxItem): void {
  switch (item.type) {
    case "pilot":
      return onPilotMessage(turn, item);
    case "pilotClosed":
      return onPilotClosed(turn, item.session);
    case "harvester":
      return onHarvesterMessage(turn, item);
    case "harvesterClosed":
      return onHarvesterClosed(turn, item.session);
    case "command":
      return takeCommand(turn, item);
    case "proposed":
      return onProposed(turn, item);
    case "started":
      return start(turn);
    case "tick":
      expireSilentPilots(turn);
      expireOutputRequests(turn);
      wakeAfterCooldowns(turn.live, turn.now.monotonicMs);
      return updateWanted(turn);
    default:
      return assertNever(item);
  }
}

function takeCommand(turn: Turn, item: Extract<InboxItem, { type: "command" }>): void {
  try {
    // Answered when its harvester has.
    if (item.command.type === "fetchOutput")
      return askForOutput(turn, item.requestId, item.command.id);
    const value = carryOut(turn, item.principal, item.command);
    settle(turn);
    effect(turn, { type: "reply", requestId: item.requestId, value: refreshed(turn, value) });
  } catch (error) {
    // Points that cannot be read back are missed in the middle of a change: the process ends, and the journal is right.
    if (!(error instanceof HyperpilotError) || error.code === "E_INTERNAL") throw error;
    effect(turn, { type: "replyError", requestId: item.requestId, error: error.parts });
  }
}

/** State of a controlled task after everything that followed from the command. */
function refreshed(turn: Turn, value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("state" in value) || !("taskId" in value))
    return value;
  const task = turn.core.tasks.get(Number(value.taskId));
  return task === undefined ? value : { taskId: task.id, state: task.state, reason: task.reason };
}

function start(turn: Turn): void {
  turn.live.startedMs = turn.now.monotonicMs;
  awaitPilots(turn);
  for (const task of turn.core.tasks.values()) {
    turn.live.touched.add(task.id);
    ask(turn, task);
  }
  turn.live.mayDispatch = true;
}

/** Advances every touched task and hands out points until nothing more follows. */
function settle(turn: Turn): void {
  const { live, core } = turn;
  for (let round = 0; live.touched.size > 0 || live.mayDispatch; round += 1) {
    if (round > ROUNDS_MAX) throw new Error("the reactor does not settle");
    const touched = [...live.touched];
    live.touched.clear();
    for (const taskId of touched) {
      const task = core.tasks.get(taskId);
      if (task !== undefined) advance(turn, task);
    }
    if (live.mayDispatch) dispatch(turn);
  }
}
