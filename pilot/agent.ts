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
  HeldLease,
  Outcome,
  ToPilot,
  ToPilotOf,
} from "../protocol/pilot-messages.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import { OUR_RANGE } from "../protocol/version.ts";
import type { Agent, AgentAction, AgentInput, AgentOptions, ExitReason } from "./agent-port.ts";
import { type Answerable, Outbox, isSameLease } from "./outbox.ts";

interface Slot {
  readonly index: number;
  requestNo: number;
  running: HeldLease | null;
  /** Set when the payload was stopped: what its end means. */
  stopping: Stopping | null;
  /** The slot could use nothing of a grant: it asks again with the next beat, not in a circle. */
  asksWithBeat: boolean;
}

type Stopping = "discard" | "eviction" | "drain" | "timeout";

export function createAgent(options: AgentOptions, nowMs: number): Agent {
  return new PilotAgent(options, nowMs);
}

class PilotAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #slots: Slot[];
  readonly #specs = new Map<number, TaskSpecification>();
  readonly #outbox: Outbox;
  readonly #startedMs: number;
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
    this.#outbox = new Outbox(options.outboxItemsMax ?? PILOT.outboxItemsMax);
    this.#idleSeconds = options.idleSeconds;
    this.#startedMs = nowMs;
    this.#idleSinceMs = nowMs;
    this.#nextBeatMs = nowMs + this.#beatMs;
    this.#slots = options.slots.map((_, index) => ({
      index,
      requestNo: 0,
      running: null,
      stopping: null,
      asksWithBeat: false,
    }));
  }

  held(): readonly HeldLease[] {
    const running = this.#slots.flatMap((slot) => (slot.running === null ? [] : [slot.running]));
    return [...running, ...this.#outbox.held()];
  }

  handle(input: AgentInput, nowMs: number): AgentAction[] {
    this.#actions = [];
    if (!this.#exited) this.#take(input, nowMs);
    return this.#actions;
  }

  #take(input: AgentInput, nowMs: number): void {
    switch (input.type) {
      case "connected":
        return this.#onConnected(nowMs);
      case "disconnected":
        this.#connected = false;
        this.#welcomed = false;
        return;
      case "message":
        return this.#onMessage(input.message, nowMs);
      case "payloadEnded":
        return this.#onPayloadEnded(input, nowMs);
      case "runEnded":
        return this.#onRunEnded(input, nowMs);
      case "stopRequested":
        return this.#leave("stopped", input.reason, input.walltimeOver ? "timeout" : "eviction");
      case "tick":
        return this.#onTick(nowMs);
      default:
        return assertNever(input);
    }
  }

  #send(...messages: readonly FromPilot[]): void {
    if (this.#connected && messages.length > 0) this.#actions.push({ type: "send", messages });
  }

  #onConnected(nowMs: number): void {
    const { instance, capacity, slots } = this.#options;
    this.#connected = true;
    this.#grantSeen = 0;
    const leases = [...this.held()];
    const { walltimeLeftSeconds } = capacity;
    const passedSeconds = (nowMs - this.#startedMs) / 1_000;
    this.#send({
      type: "hello",
      protocol: OUR_RANGE,
      instance,
      capacity: {
        ...capacity,
        walltimeLeftSeconds:
          walltimeLeftSeconds === null ? null : Math.max(0, walltimeLeftSeconds - passedSeconds),
      },
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
        return this.#leave("drained", message.reason, message.stopRunning ? "drain" : null);
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
    this.#idleSinceMs = nowMs;
    const asking = new Set<Slot>();
    for (const { slot: index, result } of this.#outbox.items) {
      const slot = this.#slots[index];
      if (result.type === "runAnswer" || slot === undefined) {
        this.#send(result);
        continue;
      }
      // The result asks for its slot, so that the job goes on; one request per slot is enough.
      const next = slot.running === null && !asking.has(slot) ? this.#nextRequest(slot) : null;
      asking.add(slot);
      this.#send({ ...result, next });
    }
    for (const slot of this.#slots)
      if (slot.running === null && !asking.has(slot)) this.#request(slot);
    this.#maybeExit();
  }

  #request(slot: Slot): void {
    // Before the welcome nothing is asked: the welcome asks for all free slots.
    if (!this.#welcomed) return;
    const next = this.#nextRequest(slot);
    if (next !== null) this.#send({ type: "request", ...next });
  }

  #nextRequest(slot: Slot): { slot: number; requestNo: number; want: number } | null {
    if (this.#leaving !== null) return null;
    slot.requestNo += 1;
    slot.asksWithBeat = false;
    return { slot: slot.index, requestNo: slot.requestNo, want: 1 };
  }

  /** A grant that repeats one, or comes for a slot that is busy, starts nothing twice. */
  #onGrant(grant: ToPilotOf<"grant">): void {
    this.#grantSeen = Math.max(this.#grantSeen, grant.grantNo);
    for (const { taskId, spec } of grant.specs) this.#learn(taskId, spec);
    for (const granted of grant.items) {
      if (this.held().some((lease) => isSameLease(lease, granted.item, granted.epoch))) continue;
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
        if (slot?.running === null) slot.asksWithBeat = true;
        continue;
      }
      slot.running = { item, epoch, slot: slot.index };
      slot.stopping = null;
      this.#actions.push({ type: "start", item: granted, spec });
    }
  }

  /** Keeps a specification, without the search space, which only steering reads. */
  #learn(taskId: number, spec: TaskSpecification): void {
    this.#specs.delete(taskId);
    this.#specs.set(taskId, { ...spec, searchSpace: "" });
    const [oldest] = this.#specs.keys();
    if (this.#specs.size > PILOT.specsMax && oldest !== undefined) this.#specs.delete(oldest);
  }

  #onAnswer(answer: ToPilotOf<"accepted"> | ToPilotOf<"stale">): void {
    this.#outbox.drop(answer.item, answer.epoch, answer.seq);
    this.#maybeExit();
  }

  #onStop(item: Item, epoch: Epoch): void {
    this.#outbox.drop(item, epoch, null);
    const slot = this.#slots.find(
      (one) => one.running !== null && isSameLease(one.running, item, epoch),
    );
    if (slot === undefined) return this.#maybeExit();
    slot.stopping = "discard";
    this.#actions.push({ type: "stopPayload", slot: slot.index });
  }

  #onPayloadEnded(ended: Extract<AgentInput, { type: "payloadEnded" }>, nowMs: number): void {
    const freed = this.#free(ended.lease, nowMs);
    if (freed === null) return;
    const { slot, stopping } = freed;
    const { item, epoch } = ended.lease;
    const { durationSeconds, log } = ended;
    const outcome = ended.outcome ?? this.#outcomeOf(stopping, durationSeconds);
    if (outcome === null || stopping === "discard") this.#request(slot);
    else this.#report({ item, epoch, outcome, durationSeconds, log }, slot);
    this.#maybeExit();
  }

  /** A run that was stopped by the server is over; one that was cut short here is given back, which uses none of its tries. */
  #onRunEnded(ended: Extract<AgentInput, { type: "runEnded" }>, nowMs: number): void {
    const freed = this.#free(ended.lease, nowMs);
    if (freed === null) return;
    const { slot, stopping } = freed;
    const { item, epoch } = ended.lease;
    if (ended.answer !== null && stopping !== "discard") {
      const { points, message } = ended.answer;
      this.#deliver(slot, {
        type: "runAnswer",
        item,
        epoch,
        seq: 1,
        points,
        message,
        log: ended.log,
      });
    } else if (stopping !== "discard") {
      const reason = this.#leaving?.detail ?? "the run was cut short";
      this.#send({ type: "release", item, epoch, reason });
    }
    this.#request(slot);
    this.#maybeExit();
  }

  /** The slot whose payload has ended, free now; null when it did not run this lease. */
  #free(lease: HeldLease, nowMs: number): { slot: Slot; stopping: Stopping | null } | null {
    const slot = this.#slots[lease.slot];
    if (slot?.running == null || !isSameLease(slot.running, lease.item, lease.epoch)) return null;
    const { stopping } = slot;
    slot.running = null;
    slot.stopping = null;
    this.#idleSinceMs = nowMs;
    return { slot, stopping };
  }

  /** Keeps an answer until the server has answered it, and sends it as soon as there is a session. */
  #deliver(slot: Slot, result: Answerable): void {
    this.#outbox.push(slot.index, result);
    if (this.#welcomed) this.#send(result);
  }

  #outcomeOf(stopping: Stopping | null, durationSeconds: number): Outcome | null {
    const message = this.#leaving?.detail ?? "";
    switch (stopping) {
      case null:
      case "discard":
        return null;
      case "timeout":
        return { type: "timeout", afterSeconds: durationSeconds, message };
      case "eviction":
      case "drain":
        return { type: "interrupted", reason: stopping, message };
      default:
        return assertNever(stopping);
    }
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
    this.#deliver(slot, result);
  }

  #onTick(nowMs: number): void {
    if (this.#welcomed && nowMs >= this.#nextBeatMs) {
      this.#scheduleBeat(nowMs);
      this.#send({ type: "beat", grantSeen: this.#grantSeen, leases: [...this.held()] });
      for (const slot of this.#slots)
        if (slot.asksWithBeat && slot.running === null) this.#request(slot);
    }
    const busy = this.#slots.some((slot) => slot.running !== null) || !this.#outbox.isEmpty;
    if (busy) this.#idleSinceMs = nowMs;
    // A restart of the server should not cost the pilots.
    const limitSeconds = this.#welcomed
      ? this.#idleSeconds
      : Math.max(this.#idleSeconds, PILOT.idleSecondsDefault);
    if (nowMs - this.#idleSinceMs < limitSeconds * 1_000) return;
    this.#leave("idle", `no work for ${limitSeconds} s`, null);
  }

  #scheduleBeat(nowMs: number): void {
    const spread = 1 + WIRE.beatJitter * (2 * this.#options.random() - 1);
    this.#nextBeatMs = nowMs + this.#beatMs * spread;
  }

  /** No further items; the pilot goes when nothing runs and every result is answered. */
  #leave(reason: ExitReason, detail: string, stopAs: Stopping | null): void {
    this.#leaving ??= { reason, detail };
    if (stopAs !== null) {
      for (const slot of this.#slots) {
        if (slot.running === null || slot.stopping !== null) continue;
        slot.stopping = stopAs;
        this.#actions.push({ type: "stopPayload", slot: slot.index });
      }
    }
    this.#maybeExit();
  }

  #maybeExit(): void {
    if (this.#leaving === null || this.#slots.some((slot) => slot.running !== null)) return;
    if (!this.#outbox.isEmpty) return;
    this.#exit(this.#leaving.reason, this.#leaving.detail);
  }

  #exit(reason: ExitReason, detail: string): void {
    if (this.#exited) return;
    this.#exited = true;
    if (reason !== "refused") this.#send({ type: "bye", reason: detail });
    this.#actions.push({ type: "exit", reason, detail });
  }
}
