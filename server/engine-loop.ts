/** The engine: takes items off a bounded inbox in turns, reacts, and hands events and effects to the group commit. */
import { HyperpilotError, type ErrorParts } from "../protocol/errors.ts";
import { SERVER } from "../protocol/limits.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Batcher } from "./batch.ts";
import type { Core } from "./core.ts";
import type { Engine, EngineStatistics } from "./engine.ts";
import type {
  Command,
  CommandOf,
  CommandValues,
  Effect,
  InboxItem,
  Moment,
  Principal,
} from "./inbox.ts";
import type { Live } from "./live.ts";
import { react, type Reactor } from "./reactor.ts";
import type { Turn } from "./turn.ts";

/** Items taken in one go before other callbacks of the process get their turn. */
const ITEMS_PER_TURN = 256;

export interface EngineDeps {
  readonly reactor: Reactor;
  readonly clock: Clock;
  readonly batcher: Batcher;
  readonly execute: (effect: Exclude<Effect, { type: "reply" | "replyError" }>) => void;
  /** Lets other callbacks run before `work`: setImmediate in the program. */
  readonly defer: (work: () => void) => void;
  /** Is shown every turn before anything of it is durable, with the core as it is after it; for checks that change nothing. */
  readonly onTurn?: (item: InboxItem, turn: Pick<Turn, "events" | "effects">) => void;
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
  return new EngineLoop(deps);
}

class EngineLoop implements RunningEngine {
  readonly #deps: EngineDeps;
  readonly #inbox = new Inbox();
  readonly #waiters = new Map<number, Waiter>();
  readonly #drained: (() => void)[] = [];
  #nextRequestId = 1;
  #scheduled = false;
  #stopped = false;

  constructor(deps: EngineDeps) {
    this.#deps = deps;
  }

  post(item: InboxItem): void {
    if (this.#stopped) return;
    this.#inbox.push(item);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#deps.defer(() => this.#work());
  }

  #work(): void {
    this.#scheduled = false;
    if (this.#deps.batcher.pendingEvents() > SERVER.unsyncedEventsMax) return this.#waitForDisk();
    const { clock, reactor, batcher, onTurn } = this.#deps;
    const now: Moment = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const wasFull = this.isFull();
    for (let taken = 0; taken < ITEMS_PER_TURN; taken += 1) {
      const item = this.#inbox.shift();
      if (item === undefined) break;
      const { events, effects } = react(reactor, item, now);
      onTurn?.(item, { events, effects });
      batcher.add(
        events,
        effects.map((effect) => () => this.#perform(effect)),
      );
    }
    if (wasFull && !this.isFull()) for (const listener of this.#drained) listener();
    if (this.#inbox.length > 0) this.#schedule();
  }

  /** A slow disk slows the reactor down, then the sockets: nothing grows without bound. */
  #waitForDisk(): void {
    this.#scheduled = true;
    const goOn = (): void => {
      this.#scheduled = false;
      this.#schedule();
    };
    this.#deps.batcher.add([], [goOn]);
  }

  #perform(effect: Effect): void {
    if (effect.type === "reply") this.#waiter(effect.requestId)?.resolve(effect.value);
    else if (effect.type === "replyError")
      this.#waiter(effect.requestId)?.reject(new HyperpilotError(effect.error));
    else this.#deps.execute(effect);
  }

  #waiter(requestId: number): Waiter | undefined {
    const waiter = this.#waiters.get(requestId);
    this.#waiters.delete(requestId);
    return waiter;
  }

  execute<T extends Command["type"]>(
    principal: Principal,
    command: CommandOf<T>,
  ): Promise<CommandValues[T]> {
    return new Promise((resolve, reject) => {
      if (this.#stopped) return reject(new HyperpilotError(STOPPING));
      if (this.isFull()) return reject(new HyperpilotError(OVERLOADED));
      const requestId = this.#nextRequestId;
      this.#nextRequestId += 1;
      this.#waiters.set(requestId, {
        resolve: (value) => resolve(value as CommandValues[T]),
        reject,
      });
      this.post({ type: "command", requestId, principal, command });
    });
  }

  read<T>(view: (core: Core, live: Live) => T): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        const { reactor, batcher } = this.#deps;
        const seen = view(reactor.core, reactor.live);
        batcher.add([], [() => resolve(seen)]);
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  isFull(): boolean {
    return this.#inbox.length >= SERVER.inboxItemsMax;
  }

  onDrained(listener: () => void): void {
    this.#drained.push(listener);
  }

  statistics(): EngineStatistics {
    return { inboxItems: this.#inbox.length, syncMsP99: this.#deps.batcher.syncMsP99() };
  }

  async stop(): Promise<void> {
    while (this.#inbox.length > 0) {
      this.#work();
      await this.#deps.batcher.idle();
    }
    this.#stopped = true;
    await this.#deps.batcher.idle();
    for (const waiter of this.#waiters.values()) waiter.reject(new HyperpilotError(STOPPING));
    this.#waiters.clear();
  }
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
export function startTicking(
  engine: Pick<Engine, "post">,
  clock: Clock,
  intervalMs: number = SERVER.tickIntervalMs,
): Timer {
  let timer: Timer;
  const tick = (): void => {
    engine.post({ type: "tick" });
    timer = clock.setTimer(intervalMs, tick);
  };
  timer = clock.setTimer(intervalMs, tick);
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
