/**
 * The pilot's decisions: what to say to the server, which payloads to start and stop, when to leave. Pure: inputs and the time
 * come in, actions go out. It survives lost connections: running payloads go on, results wait until they are answered.
 */
import { assertNever } from "../protocol/assert-never.ts";
import type { Epoch, Item } from "../protocol/ids.ts";
import { PILOT, WIRE } from "../protocol/limits.ts";
import type {
  FromPilot,
  FromPilotOf,
  GrantedItem,
  HeldLease,
  Outcome,
  ToPilot,
  ToPilotOf,
} from "../protocol/pilot-messages.ts";
import type { Capacity, SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import { OUR_RANGE } from "../protocol/version.ts";

export interface AgentOptions {
  readonly instance: string;
  readonly capacity: Capacity;
  readonly slots: readonly SlotResources[];
  /** A pilot without work leaves after this long. */
  readonly idleSeconds: number;
  /** Uniform in [0, 1): spreads the beats. */
  readonly random: () => number;
}

/** Why the pilot leaves; the program turns it into an exit code. */
export type ExitReason = "idle" | "drained" | "stopped" | "refused";

export type AgentInput =
  | { readonly type: "connected" }
  | { readonly type: "disconnected" }
  | { readonly type: "message"; readonly message: ToPilot }
  | {
      readonly type: "payloadEnded";
      readonly lease: HeldLease;
      readonly outcome: Outcome | null;
      readonly durationSeconds: number;
      readonly log: string;
    }
  | { readonly type: "stopRequested"; readonly reason: string }
  | { readonly type: "tick" };

export type AgentAction =
  | { readonly type: "send"; readonly messages: readonly FromPilot[] }
  | { readonly type: "start"; readonly item: GrantedItem; readonly spec: TaskSpecification }
  /** End the payload at once. Its outcome is dropped unless `report` asks for it as an interruption. */
  | { readonly type: "stopPayload"; readonly slot: number; readonly interrupt: boolean }
  | { readonly type: "exit"; readonly reason: ExitReason; readonly detail: string };

export interface Agent {
  handle(input: AgentInput, nowMs: number): AgentAction[];
  /** Leases held now: running ones, and finished ones whose result is not answered yet. */
  held(): readonly HeldLease[];
}

interface Slot {
  readonly index: number;
  requestNo: number;
  running: HeldLease | null;
  /** Set when the payload was stopped: what its end means. */
  stopping: "discard" | "interrupt" | null;
}

export function createAgent(options: AgentOptions, nowMs: number): Agent {
  return new PilotAgent(options, nowMs);
}

class PilotAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #slots: Slot[];
  readonly #specs = new Map<number, TaskSpecification>();
  /** Results that are not answered yet, in order; sent again after each reconnect. */
  readonly #outbox: FromPilotOf<"result">[] = [];
  #actions: AgentAction[] = [];
  #welcomed = false;
  #connected = false;
  #grantSeen = 0;
  #beatMs: number = WIRE.beatIntervalMs;
  #nextBeatMs: number;
  #idleSinceMs: number;
  #idleSeconds: number;
  #leaving: { reason: ExitReason; detail: string } | null = null;
  #exited = false;

  constructor(options: AgentOptions, nowMs: number) {
    this.#options = options;
    this.#idleSeconds = options.idleSeconds;
    this.#idleSinceMs = nowMs;
    this.#nextBeatMs = nowMs + this.#beatMs;
    this.#slots = options.slots.map((_, index) => ({
      index,
      requestNo: 0,
      running: null,
      stopping: null,
    }));
  }

  held(): readonly HeldLease[] {
    const running = this.#slots.flatMap((slot) => (slot.running === null ? [] : [slot.running]));
    const finished = this.#outbox.map(({ item, epoch, next }) => ({
      item,
      epoch,
      slot: next?.slot ?? 0,
    }));
    return [...running, ...finished];
  }

  handle(input: AgentInput, nowMs: number): AgentAction[] {
    this.#actions = [];
    if (!this.#exited) this.#take(input, nowMs);
    return this.#actions;
  }

  #take(input: AgentInput, nowMs: number): void {
    switch (input.type) {
      case "connected":
        return this.#onConnected();
      case "disconnected":
        this.#connected = false;
        this.#welcomed = false;
        return;
      case "message":
        return this.#onMessage(input.message, nowMs);
      case "payloadEnded":
        return this.#onPayloadEnded(input, nowMs);
      case "stopRequested":
        return this.#leave("stopped", input.reason, true);
      case "tick":
        return this.#onTick(nowMs);
      default:
        return assertNever(input);
    }
  }

  #send(...messages: readonly FromPilot[]): void {
    if (this.#connected && messages.length > 0) this.#actions.push({ type: "send", messages });
  }

  #onConnected(): void {
    const { instance, capacity, slots } = this.#options;
    this.#connected = true;
    this.#grantSeen = 0;
    const leases = [...this.held()];
    this.#send({
      type: "hello",
      protocol: OUR_RANGE,
      instance,
      capacity,
      slots: [...slots],
      leases,
    });
  }

  #onMessage(message: ToPilot, nowMs: number): void {
    switch (message.type) {
      case "welcome":
        return this.#onWelcome(message, nowMs);
      case "grant":
        return this.#onGrant(message);
      case "accepted":
      case "stale":
        return this.#onAnswer(message);
      case "stop":
        return this.#onStop(message.item, message.epoch);
      case "recall":
        return;
      case "drain":
        return this.#leave("drained", message.reason, message.stopRunning);
      case "refused":
        return this.#exit("refused", `${message.code}: ${message.message}`);
      default:
        return assertNever(message);
    }
  }

  /** The session stands: results that were not answered go again, free slots ask for work. */
  #onWelcome(welcome: ToPilotOf<"welcome">, nowMs: number): void {
    this.#welcomed = true;
    this.#idleSeconds = welcome.idleSeconds;
    this.#beatMs = welcome.beatSeconds * 1_000;
    this.#scheduleBeat(nowMs);
    for (const result of this.#outbox) this.#send({ ...result, next: null });
    for (const slot of this.#slots) if (slot.running === null) this.#request(slot);
    this.#maybeExit();
  }

  #request(slot: Slot): void {
    const next = this.#nextRequest(slot);
    if (next !== null) this.#send({ type: "request", ...next });
  }

  #nextRequest(slot: Slot): { slot: number; requestNo: number; want: number } | null {
    if (this.#leaving !== null) return null;
    slot.requestNo += 1;
    return { slot: slot.index, requestNo: slot.requestNo, want: 1 };
  }

  /** A grant that repeats one, or comes for a slot that is busy, starts nothing twice. */
  #onGrant(grant: ToPilotOf<"grant">): void {
    this.#grantSeen = Math.max(this.#grantSeen, grant.grantNo);
    for (const { taskId, spec } of grant.specs) this.#specs.set(taskId, spec);
    for (const granted of grant.items) {
      if (this.held().some((lease) => isSame(lease, granted.item, granted.epoch))) continue;
      const slot = this.#slots[granted.slot];
      const spec = this.#specs.get(granted.item.taskId);
      const { item, epoch } = granted;
      if (
        slot === undefined ||
        slot.running !== null ||
        spec === undefined ||
        this.#leaving !== null
      ) {
        const reason =
          spec === undefined
            ? "the task's specification did not come with it"
            : "the slot is not free";
        this.#send({ type: "release", item, epoch, reason: this.#leaving?.detail ?? reason });
        continue;
      }
      slot.running = { item, epoch, slot: slot.index };
      slot.stopping = null;
      this.#actions.push({ type: "start", item: granted, spec });
    }
  }

  #onAnswer(answer: ToPilotOf<"accepted"> | ToPilotOf<"stale">): void {
    const index = this.#outbox.findIndex(
      (result) => isSame(result, answer.item, answer.epoch) && result.seq === answer.seq,
    );
    if (index >= 0) this.#outbox.splice(index, 1);
    this.#maybeExit();
  }

  #onStop(item: Item, epoch: Epoch): void {
    const index = this.#outbox.findIndex((result) => isSame(result, item, epoch));
    if (index >= 0) this.#outbox.splice(index, 1);
    const slot = this.#slots.find(
      (one) => one.running !== null && isSame(one.running, item, epoch),
    );
    if (slot === undefined) return this.#maybeExit();
    slot.stopping = "discard";
    this.#actions.push({ type: "stopPayload", slot: slot.index, interrupt: false });
  }

  #onPayloadEnded(ended: Extract<AgentInput, { type: "payloadEnded" }>, nowMs: number): void {
    const slot = this.#slots[ended.lease.slot];
    if (slot?.running == null || !isSame(slot.running, ended.lease.item, ended.lease.epoch)) return;
    const { item, epoch } = slot.running;
    const { stopping } = slot;
    slot.running = null;
    slot.stopping = null;
    this.#idleSinceMs = nowMs;
    const outcome: Outcome | null =
      ended.outcome ??
      (stopping === "interrupt"
        ? { type: "interrupted", reason: "eviction", message: this.#leaving?.detail ?? "" }
        : null);
    if (outcome === null || stopping === "discard") this.#request(slot);
    else
      this.#report(
        { item, epoch, outcome, durationSeconds: ended.durationSeconds, log: ended.log },
        slot,
      );
    this.#maybeExit();
  }

  #report(
    ended: Pick<FromPilotOf<"result">, "item" | "epoch" | "outcome" | "durationSeconds" | "log">,
    slot: Slot,
  ): void {
    const result: FromPilotOf<"result"> = {
      type: "result",
      ...ended,
      seq: 1,
      next: this.#welcomed ? this.#nextRequest(slot) : null,
    };
    this.#outbox.push(result);
    // A pilot cut off for long keeps its newest results; each slot works on one item, so this bound is far away.
    if (this.#outbox.length > PILOT.outboxItemsMax) this.#outbox.shift();
    if (this.#welcomed) this.#send(result);
  }

  #onTick(nowMs: number): void {
    if (this.#welcomed && nowMs >= this.#nextBeatMs) {
      this.#scheduleBeat(nowMs);
      this.#send({ type: "beat", grantSeen: this.#grantSeen, leases: [...this.held()] });
    }
    const busy = this.#slots.some((slot) => slot.running !== null) || this.#outbox.length > 0;
    if (busy) this.#idleSinceMs = nowMs;
    if (nowMs - this.#idleSinceMs < this.#idleSeconds * 1_000) return;
    this.#leave("idle", `no work for ${this.#idleSeconds} s`, false);
  }

  #scheduleBeat(nowMs: number): void {
    const spread = 1 + WIRE.beatJitter * (2 * this.#options.random() - 1);
    this.#nextBeatMs = nowMs + this.#beatMs * spread;
  }

  /** No further items; the pilot goes when nothing runs and every result is answered. */
  #leave(reason: ExitReason, detail: string, stopRunning: boolean): void {
    this.#leaving ??= { reason, detail };
    if (stopRunning) {
      for (const slot of this.#slots) {
        if (slot.running === null || slot.stopping !== null) continue;
        slot.stopping = "interrupt";
        this.#actions.push({ type: "stopPayload", slot: slot.index, interrupt: true });
      }
    }
    this.#maybeExit();
  }

  #maybeExit(): void {
    if (this.#leaving === null || this.#slots.some((slot) => slot.running !== null)) return;
    if (this.#outbox.length > 0) return;
    this.#exit(this.#leaving.reason, this.#leaving.detail);
  }

  #exit(reason: ExitReason, detail: string): void {
    if (this.#exited) return;
    this.#exited = true;
    if (reason !== "refused") this.#send({ type: "bye", reason: detail });
    this.#actions.push({ type: "exit", reason, detail });
  }
}

function isSame(
  lease: { readonly item: Item; readonly epoch: Epoch },
  item: Item,
  epoch: Epoch,
): boolean {
  if (lease.epoch[0] !== epoch[0] || lease.epoch[1] !== epoch[1]) return false;
  if (lease.item.taskId !== item.taskId || lease.item.type !== item.type) return false;
  if (lease.item.type === "evaluation")
    return item.type === "evaluation" && lease.item.pointId === item.pointId;
  return item.type === "steering" && lease.item.run === item.run;
}
