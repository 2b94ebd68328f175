/**
 * The pilot's decisions: what to say to the server, which payloads to start and stop, when to leave. Pure: inputs and the time
 * come in, actions go out. It survives lost connections: running payloads go on, results wait until they are answered.
 */
import { assertNever } from "../protocol/assert-never.ts";
import type { Epoch, Item } from "../protocol/ids.ts";
import { PILOT } from "../protocol/limits.ts";
import type {
  BlobRef,
  FromPilot,
  FromPilotOf,
  HeldLease,
  ToPilot,
  ToPilotOf,
} from "../protocol/pilot-messages.ts";
import { beatOf, helloOf } from "./agent-messages.ts";
import type { Agent, AgentAction, AgentInput, AgentOptions, ExitReason } from "./agent-port.ts";
import { type Slot, type Stopping, SlotTable, cutShort } from "./agent-slot.ts";
import { BeatTimer, IdleTimer } from "./agent-times.ts";
import { KnownTasks } from "./known-tasks.ts";
import { type Answerable, Outbox, isSameLease } from "./outbox.ts";

export function createAgent(options: AgentOptions, nowMs: number): Agent {
  return new PilotAgent(options, nowMs);
}

class PilotAgent implements Agent {
  readonly #options: AgentOptions;
  readonly #slots: SlotTable;
  readonly #tasks = new KnownTasks();
  readonly #outbox: Outbox;
  readonly #beats: BeatTimer;
  readonly #idle: IdleTimer;
  readonly #startedMs: number;
  #actions: AgentAction[] = [];
  #welcomed = false;
  #connected = false;
  #grantSeen = 0;
  #leaving: { reason: ExitReason; detail: string } | null = null;
  #exited = false;

  constructor(options: AgentOptions, nowMs: number) {
    this.#options = options;
    this.#outbox = new Outbox(options.outboxItemsMax ?? PILOT.outboxItemsMax);
    this.#startedMs = nowMs;
    this.#idle = new IdleTimer(options.idleSeconds, nowMs);
    this.#beats = new BeatTimer(options.random, nowMs);
    this.#slots = new SlotTable(options.slots.length);
  }

  held(): readonly HeldLease[] {
    return [...this.#slots.running().map(({ lease }) => lease), ...this.#outbox.held()];
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
      case "checkpointSaved":
        return this.#onCheckpointSaved(input.lease, input.checkpoint);
      case "warned":
        return this.#onWarned(input.lease, input.text);
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
    this.#connected = true;
    this.#grantSeen = 0;
    this.#send(helloOf(this.#options, this.held(), (nowMs - this.#startedMs) / 1_000));
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
    this.#idle.limitSeconds = welcome.idleSeconds;
    this.#beats.setInterval(welcome.beatSeconds * 1_000, nowMs);
    this.#idle.restart(nowMs);
    const asking = new Set<Slot>();
    for (const { slot: index, result } of this.#outbox.items) {
      const slot = this.#slots.all[index];
      if (result.type !== "result" || slot === undefined) {
        this.#send(result);
        continue;
      }
      // The result asks for its slot, so that the job goes on; one request per slot is enough.
      const next = slot.running === null && !asking.has(slot) ? this.#nextRequest(slot) : null;
      asking.add(slot);
      this.#send({ ...result, next });
    }
    for (const slot of this.#slots.all)
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
    for (const { taskId, spec } of grant.specs) this.#tasks.learn(taskId, spec);
    for (const granted of grant.items) {
      if (this.held().some((lease) => isSameLease(lease, granted.item, granted.epoch))) continue;
      const slot = this.#slots.all[granted.slot];
      const spec = this.#tasks.specOf(granted.item.taskId);
      const { item, epoch } = granted;
      if (slot?.running === null && spec !== undefined && this.#leaving === null) {
        this.#slots.begin(slot, { item, epoch, slot: slot.index });
        this.#actions.push({ type: "start", item: granted, spec });
        continue;
      }
      const busy = "the slot is not free";
      const reason = spec === undefined ? "the task's specification did not come with it" : busy;
      this.#send({ type: "release", item, epoch, reason: this.#leaving?.detail ?? reason });
      if (slot?.running === null) slot.asksWithBeat = true;
    }
  }

  #onAnswer(answer: ToPilotOf<"accepted"> | ToPilotOf<"stale">): void {
    this.#outbox.drop(answer.item, answer.epoch, answer.seq);
    this.#maybeExit();
  }

  #onStop(item: Item, epoch: Epoch): void {
    this.#outbox.drop(item, epoch, null);
    const running = this.#slots.under({ item, epoch });
    if (running === null) return this.#maybeExit();
    running.stopping = "discard";
    this.#actions.push({ type: "stopPayload", slot: running.lease.slot, saves: false });
  }

  #onCheckpointSaved(lease: HeldLease, checkpoint: BlobRef): void {
    const running = this.#slots.under(lease);
    if (running === null || running.stopping === "discard") return;
    const { item, epoch, slot } = lease;
    running.hasSaved = true;
    running.lastSeq += 1;
    const seq = running.lastSeq;
    this.#deliver(slot, { type: "checkpoint", item, epoch, seq, ...checkpoint });
  }

  /** Told at once, not with the next beat: somebody may be looking. */
  #onWarned(lease: HeldLease, text: string | null): void {
    const running = this.#slots.under(lease);
    if (running === null || running.warning === text) return;
    running.warning = text;
    if (this.#welcomed) this.#beat();
  }

  #onPayloadEnded(ended: Extract<AgentInput, { type: "payloadEnded" }>, nowMs: number): void {
    const freed = this.#slots.free(ended.lease);
    if (freed === null) return;
    this.#idle.restart(nowMs);
    const { slot, was } = freed;
    const { item, epoch } = ended.lease;
    const { durationSeconds, log, left } = ended;
    const message = this.#leaving?.detail ?? "";
    const outcome = ended.outcome ?? cutShort(was, durationSeconds, message);
    if (outcome === null || was.stopping === "discard") this.#request(slot);
    else {
      const seq = was.lastSeq + 1;
      this.#report({ item, epoch, seq, outcome, durationSeconds, log, ...left }, slot);
    }
    this.#maybeExit();
  }

  /** A run that was stopped by the server is over; one that was cut short here is given back, which uses none of its tries. */
  #onRunEnded(ended: Extract<AgentInput, { type: "runEnded" }>, nowMs: number): void {
    const freed = this.#slots.free(ended.lease);
    if (freed === null) return;
    this.#idle.restart(nowMs);
    const { slot, was } = freed;
    const { stopping } = was;
    const { item, epoch } = ended.lease;
    if (ended.answer !== null && stopping !== "discard") {
      const { points, message } = ended.answer;
      this.#deliver(slot.index, {
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

  /** Keeps an answer until the server has answered it, and sends it as soon as there is a session. */
  #deliver(slot: number, result: Answerable): void {
    this.#outbox.push(slot, result);
    if (this.#welcomed) this.#send(result);
  }

  #report(ended: Omit<FromPilotOf<"result">, "type" | "next">, slot: Slot): void {
    const next = this.#welcomed ? this.#nextRequest(slot) : null;
    this.#deliver(slot.index, { type: "result", ...ended, next });
  }

  #onTick(nowMs: number): void {
    if (this.#welcomed && this.#beats.takeDue(nowMs)) {
      this.#beat();
      for (const slot of this.#slots.all)
        if (slot.asksWithBeat && slot.running === null) this.#request(slot);
    }
    if (this.#slots.isBusy || !this.#outbox.isEmpty) this.#idle.restart(nowMs);
    const idleSeconds = this.#idle.over(this.#welcomed, nowMs);
    if (idleSeconds !== null) this.#leave("idle", `no work for ${idleSeconds} s`, null);
  }

  #beat(): void {
    this.#send(beatOf(this.#grantSeen, this.held(), this.#slots.running()));
  }

  /** No further items; the pilot goes when nothing runs and every result is answered. */
  #leave(reason: ExitReason, detail: string, stopAs: Stopping | null): void {
    this.#leaving ??= { reason, detail };
    if (stopAs !== null) {
      for (const running of this.#slots.running()) {
        if (running.stopping !== null) continue;
        running.stopping = stopAs;
        this.#actions.push({ type: "stopPayload", slot: running.lease.slot, saves: true });
      }
    }
    this.#maybeExit();
  }

  #maybeExit(): void {
    if (this.#leaving === null || this.#slots.isBusy || !this.#outbox.isEmpty) return;
    this.#exit(this.#leaving.reason, this.#leaving.detail);
  }

  #exit(reason: ExitReason, detail: string): void {
    if (this.#exited) return;
    this.#exited = true;
    if (reason !== "refused") this.#send({ type: "bye", reason: detail });
    this.#actions.push({ type: "exit", reason, detail });
  }
}
