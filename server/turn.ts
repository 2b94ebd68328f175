/** One turn of the reactor: what it may look at, and what it decides. */
import type { Core } from "./core.ts";
import { apply } from "./apply.ts";
import type { HyperpilotEvent } from "./events.ts";
import type { Effect, Moment, ReactorPorts } from "./inbox.ts";
import { presentVersion } from "./journal/present-event.ts";
import type { Live } from "./live.ts";
import { tallyEvent } from "./queues/tally.ts";

export interface Turn {
  readonly core: Core;
  readonly live: Live;
  readonly ports: ReactorPorts;
  readonly now: Moment;
  readonly events: HyperpilotEvent[];
  readonly effects: Effect[];
}

/** An event without what every event has. */
type Unstamped<T> = T extends HyperpilotEvent ? Omit<T, "v" | "atMs"> : never;
export type NewEvent = Unstamped<HyperpilotEvent>;

/** Applies the event to memory at once and appends it to the open batch; its task is looked at again before the turn ends. */
export function emit(turn: Turn, event: NewEvent): void {
  const v = presentVersion(event.type);
  const stamped = { ...event, v, atMs: turn.now.wallMs } as HyperpilotEvent;
  apply(turn.core, stamped);
  turn.events.push(stamped);
  tallyEvent(turn.core, turn.live, stamped);
  if ("taskId" in stamped) turn.live.touched.add(stamped.taskId);
}

export function effect(turn: Turn, added: Effect): void {
  turn.effects.push(added);
}
