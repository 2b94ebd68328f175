/** The server's middle as the gateway and REST see it: inbox -> reactor -> batch -> journal -> effects. */
import type { ToHarvester } from "../protocol/harvester-messages.ts";
import type { ToPilot } from "../protocol/pilot-messages.ts";
import type { Core } from "./core.ts";
import type { Command, CommandOf, CommandValues, InboxItem, Principal } from "./inbox.ts";
import type { Live, SessionId } from "./live.ts";

export interface EngineStatistics {
  readonly inboxItems: number;
  /** Milliseconds that a batch waited for the disk, 99th percentile of the last 1,000. */
  readonly syncMsP99: number;
}

export interface Engine {
  /** Hands over an item; it is answered through {@link Peers} once durable. */
  post(item: InboxItem): void;
  /** Resolves when the change is durable. Errors: HyperpilotError of the command. */
  execute<T extends Command["type"]>(
    principal: Principal,
    command: CommandOf<T>,
  ): Promise<CommandValues[T]>;
  /** Looks at the state now and resolves with the answer when the state that was seen is durable. The view must not change it. */
  read<T>(view: (core: Core, live: Live) => T): Promise<T>;
  /** Whether the inbox is above its bound: sockets must be paused until `onDrained` fires. */
  isFull(): boolean;
  onDrained(listener: () => void): void;
  statistics(): EngineStatistics;
}

/** The Peers port: sessions by id. Sending to a session that is gone does nothing. */
export interface Peers {
  toPilot(session: SessionId, messages: readonly ToPilot[]): void;
  toHarvester(session: SessionId, messages: readonly ToHarvester[]): void;
  close(session: SessionId, code: number, reason: string): void;
}
