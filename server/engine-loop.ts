/** The engine: takes items off a bounded inbox in turns, reacts, and hands events and effects to the group commit. */
import { HyperpilotError, type ErrorParts } from "../protocol/errors.ts";
import { SERVER } from "../protocol/limits.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Batcher } from "./batch.ts";
import type { Engine } from "./engine.ts";
import type {
  Command,
  CommandOf,
  CommandValues,
  Effect,
  InboxItem,
  Moment,
  Principal,
} from "./inbox.ts";
import { react, type Reactor } from "./reactor.ts";

/** Items taken in one go before other callbacks of the process get their turn. */
const ITEMS_PER_TURN = 256;

export interface EngineDeps {
  readonly reactor: Reactor;
  readonly clock: Clock;
  readonly batcher: Batcher;
  readonly execute: (effect: Exclude<Effect, { type: "reply" | "replyError" }>) => void;
  /** Lets other callbacks run before `work`: setImmediate in the program. */
  readonly defer: (work: () => void) => void;
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: HyperpilotError) => void;
}

export interface RunningEngine extends Engine {
  /** Refuses further items and resolves when everything taken is durable and its effects have run. */
  stop(): Promise<void>;
}

export function createEngine(deps: EngineDeps): RunningEngine {
  const inbox = new Inbox();
  const waiters = new Map<number, Waiter>();
  const drained: (() => void)[] = [];
  let nextRequestId = 1;
  let scheduled = false;
  let stopped = false;

  const schedule = (): void => {
    if (scheduled) return;
    scheduled = true;
    deps.defer(work);
  };
  const post = (item: InboxItem): void => {
    if (stopped) return;
    inbox.push(item);
    schedule();
  };

  function work(): void {
    scheduled = false;
    const now: Moment = { monotonicMs: deps.clock.monotonicMs(), wallMs: deps.clock.wallMs() };
    const wasFull = inbox.length >= SERVER.inboxItemsMax;
    for (let taken = 0; taken < ITEMS_PER_TURN; taken += 1) {
      const item = inbox.shift();
      if (item === undefined) break;
      const { events, effects } = react(deps.reactor, item, now);
      deps.batcher.add(
        events,
        effects.map((effect) => () => perform(effect)),
      );
    }
    if (wasFull && inbox.length < SERVER.inboxItemsMax) for (const listener of drained) listener();
    if (inbox.length > 0) schedule();
  }

  function perform(effect: Effect): void {
    if (effect.type === "reply")
      return settle(effect.requestId, (waiter) => waiter.resolve(effect.value));
    if (effect.type === "replyError") {
      return settle(effect.requestId, (waiter) => waiter.reject(new HyperpilotError(effect.error)));
    }
    deps.execute(effect);
  }

  function settle(requestId: number, action: (waiter: Waiter) => void): void {
    const waiter = waiters.get(requestId);
    waiters.delete(requestId);
    if (waiter !== undefined) action(waiter);
  }

  function execute<T extends Command["type"]>(
    principal: Principal,
    command: CommandOf<T>,
  ): Promise<CommandValues[T]> {
    return new Promise((resolve, reject) => {
      if (stopped) return reject(new HyperpilotError(STOPPING));
      if (inbox.length >= SERVER.inboxItemsMax) return reject(new HyperpilotError(OVERLOADED));
      const requestId = nextRequestId;
      nextRequestId += 1;
      waiters.set(requestId, { resolve: (value) => resolve(value as CommandValues[T]), reject });
      post({ type: "command", requestId, principal, command });
    });
  }

  return {
    post,
    execute,
    read: (view) =>
      new Promise((resolve, reject) => {
        try {
          const seen = view(deps.reactor.core, deps.reactor.live);
          deps.batcher.add([], [() => resolve(seen)]);
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      }),
    isFull: () => inbox.length >= SERVER.inboxItemsMax,
    onDrained: (listener) => void drained.push(listener),
    statistics: () => ({ inboxItems: inbox.length, syncMsP99: deps.batcher.syncMsP99() }),
    stop: async () => {
      while (inbox.length > 0) work();
      stopped = true;
      await deps.batcher.idle();
      for (const waiter of waiters.values()) waiter.reject(new HyperpilotError(STOPPING));
      waiters.clear();
    },
  };
}

/** First-in first-out, bounded by its users through `isFull`. */
class Inbox {
  private items: InboxItem[] = [];
  private first = 0;

  get length(): number {
    return this.items.length - this.first;
  }

  push(item: InboxItem): void {
    this.items.push(item);
  }

  shift(): InboxItem | undefined {
    const item = this.items[this.first];
    if (item === undefined) return undefined;
    this.first += 1;
    if (this.first === this.items.length) {
      this.items = [];
      this.first = 0;
    }
    return item;
  }
}

/** Posts a tick at a fixed interval until cancelled. */
export function startTicking(engine: Engine, clock: Clock): Timer {
  let timer: Timer;
  const tick = (): void => {
    engine.post({ type: "tick" });
    timer = clock.setTimer(SERVER.tickIntervalMs, tick);
  };
  timer = clock.setTimer(SERVER.tickIntervalMs, tick);
  return { cancel: () => timer.cancel() };
}

const STOPPING: ErrorParts = {
  code: "E_UNREACHABLE",
  message: "The server is stopping.",
  remedy: "Try again in a few seconds; repeating a submission is safe.",
};

const OVERLOADED: ErrorParts = {
  code: "E_UNREACHABLE",
  message: "The server has more messages waiting than it takes.",
  remedy: "Try again in a few seconds; repeating a submission is safe.",
};
