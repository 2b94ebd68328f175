/** A reactor with hand-driven time, pilots and steering: rules of a task's life are tested on it without any I/O. */
import { createHash } from "node:crypto";
import { FromHarvester, type FromHarvesterInput } from "../../protocol/harvester-messages.ts";
import { itemKey } from "../../protocol/ids.ts";
import type {
  BlobRef,
  FromPilot,
  FromPilotOf,
  HeldLease,
  Outcome,
  ToPilot,
  ToPilotOf,
} from "../../protocol/pilot-messages.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import type { Capacity, SlotResources } from "../../protocol/resources.ts";
import {
  TaskSpecification,
  type Limits,
  type TaskSpecificationInput,
} from "../../protocol/task.ts";
import { createCore, type Core, type Task } from "../../server/core.ts";
import type { EventOf, EventType, HyperpilotEvent } from "../../server/events.ts";
import type {
  Command,
  CommandOf,
  CommandValues,
  Effect,
  InboxItem,
  ProposedPart,
} from "../../server/inbox.ts";
import { createLive } from "../../server/live.ts";
import { react, type Reactor } from "../../server/reactor.ts";

export const GIB = 1_073_741_824;

export interface PilotOptions {
  readonly slots?: number;
  readonly queue?: string;
  readonly node?: string;
  readonly resources?: Partial<SlotResources>;
  readonly walltimeLeftSeconds?: number;
  /** Of a submission that has its secret already; its hash is the id with zeros behind it. */
  readonly submissionId?: string;
}

/** A search with built-in random steering and everything else at its defaults. */
export function specification(
  change: Partial<TaskSpecificationInput> = {},
  limits: Partial<Limits> = {},
): TaskSpecification {
  return TaskSpecification.parse({
    specVersion: 1,
    name: "test",
    seed: 7,
    clientTaskUuid: `uuid-${Math.trunc(nextUuid())}`,
    steering: { method: "random" },
    searchSpace: '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}',
    evaluation: { container: "host:", exec: "true" },
    needs: {},
    ...change,
    limits: { ...limits },
  });
}

let uuids = 0;
function nextUuid(): number {
  uuids += 1;
  return 10_000_000 + uuids;
}

export class World {
  readonly core: Core = createCore();
  readonly events: HyperpilotEvent[] = [];
  readonly reactor: Reactor = {
    core: this.core,
    live: createLive(),
    ports: {
      sha256: (text) => createHash("sha256").update(text).digest("hex"),
      leaseToken: (item, epoch) => `${JSON.stringify(item)}@${epoch.join(".")}`,
    },
  };
  nowMs = 1_000;
  /** Whether asks of built-in steering are answered at once with points {"x":0}, {"x":1}, ... */
  answersAsks = true;
  readonly asks: Extract<Effect, { type: "ask" }>[] = [];
  readonly effects: Effect[] = [];
  private proposed = 0;
  private requests = 0;

  constructor(queue: unknown = { name: "local", leaseSeconds: 60 }) {
    if (queue !== null) this.command({ type: "putQueue", config: QueueConfig.parse(queue) });
  }

  post(item: InboxItem): Effect[] {
    const { events, effects } = react(this.reactor, item, {
      monotonicMs: this.nowMs,
      wallMs: this.nowMs,
    });
    this.events.push(...events);
    this.effects.push(...effects);
    for (const effect of effects) if (effect.type === "ask") this.answer(effect);
    return effects;
  }

  private answer(ask: Extract<Effect, { type: "ask" }>): void {
    this.asks.push(ask);
    if (!this.answersAsks) return;
    const asked = [...(this.task(ask.taskId).run?.asked.values() ?? [])];
    const parts = asked.map(({ segment, wanted }) => ({
      segment,
      texts: Array.from({ length: wanted }, () => `{"x":${(this.proposed += 1)}}`),
      exhausted: null,
    }));
    this.proposeParts(ask, parts);
  }

  /** Built-in steering answers for several segments. */
  proposeParts(ask: Extract<Effect, { type: "ask" }>, parts: readonly ProposedPart[]): void {
    const { taskId, run, epoch } = ask;
    this.post({ type: "proposed", taskId, run, epoch, answer: { ok: true, parts } });
  }

  propose(
    ask: Extract<Effect, { type: "ask" }>,
    texts: readonly string[],
    exhausted: string | null = null,
  ): void {
    this.proposeParts(ask, [{ segment: 0, texts, exhausted }]);
  }

  failAsk(ask: Extract<Effect, { type: "ask" }>, reason: string): void {
    const { taskId, run, epoch } = ask;
    this.post({ type: "proposed", taskId, run, epoch, answer: { ok: false, reason } });
  }

  command<T extends Command["type"]>(command: CommandOf<T>, user = "anna"): CommandValues[T] {
    this.requests += 1;
    const requestId = this.requests;
    this.post({
      type: "command",
      requestId,
      principal: { user, roles: ["user", "admin"] },
      command,
    });
    for (const effect of this.effects) {
      if (effect.type === "reply" && effect.requestId === requestId)
        return effect.value as CommandValues[T];
      if (effect.type === "replyError" && effect.requestId === requestId) {
        throw Object.assign(new Error(effect.error.message), effect.error);
      }
    }
    throw new Error("the command was not answered");
  }

  submit(
    change: Partial<TaskSpecificationInput> = {},
    limits: Partial<Limits> = {},
    user = "anna",
  ): Task {
    const { taskId } = this.command<"submitTask">(
      { type: "submitTask", spec: specification(change, limits) },
      user,
    );
    return this.task(taskId);
  }

  task(taskId: number): Task {
    const task = this.core.tasks.get(taskId);
    if (task === undefined) throw new Error(`no task ${taskId}`);
    return task;
  }

  eventsOf<T extends EventType>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type);
  }

  /** A message of a harvester. */
  fromHarvester(message: FromHarvesterInput, session = "h"): Effect[] {
    return this.post({ type: "harvester", session, message: FromHarvester.parse(message) });
  }

  /** Connects a new pilot whose slots all ask for work. */
  pilot(options: PilotOptions = {}): TestPilot {
    return new TestPilot(this, options);
  }

  tick(seconds = 0): void {
    this.nowMs += seconds * 1_000;
    this.post({ type: "tick" });
  }
}

/** What a result tells of files. */
type ResultExtras = Pick<FromPilotOf<"result">, "metadata" | "metrics" | "restored" | "warnings">;

let pilots = 0;

export class TestPilot {
  readonly id: string;
  readonly submissionId: string;
  session = "";
  readonly held: HeldLease[] = [];
  readonly received: ToPilot[] = [];
  private readonly world: World;
  private readonly options: PilotOptions;
  private requestNo = 0;
  private sessions = 0;
  grantSeen = 0;

  constructor(world: World, options: PilotOptions) {
    pilots += 1;
    this.world = world;
    this.options = options;
    this.submissionId = options.submissionId ?? `sub-${pilots}`;
    this.id = `pilot-${pilots}`;
    const sha256 = this.submissionId.padEnd(64, "0");
    const queue = options.queue ?? "local";
    if (options.submissionId === undefined) {
      const secrets = [{ submissionId: this.submissionId, sha256 }];
      world.command({ type: "addBootSecrets", queue, secrets });
    }
    world.command({
      type: "exchangeBootSecret",
      sha256,
      instance: `instance-${pilots}`,
      newPilotId: this.id,
    });
    this.connect();
    this.requestAll();
  }

  private get slots(): number {
    return this.options.slots ?? 1;
  }

  connect(leases: readonly HeldLease[] = this.held): void {
    this.sessions += 1;
    this.session = `${this.id}-s${this.sessions}`;
    this.grantSeen = 0;
    const resources: SlotResources = {
      cpus: 1,
      memoryBytes: 2 * GIB,
      gpus: [],
      ...this.options.resources,
    };
    const capacity: Capacity = {
      node: this.options.node ?? "node1",
      cpus: resources.cpus * this.slots,
      memoryBytes: resources.memoryBytes * this.slots,
      scratchBytes: 10 * GIB,
      gpus: resources.gpus,
      runtimes: ["bubblewrap"],
      walltimeLeftSeconds: this.options.walltimeLeftSeconds ?? null,
      sources: {},
    };
    this.send({
      type: "hello",
      protocol: { min: 1, max: 1 },
      instance: "instance-x",
      capacity,
      slots: Array.from({ length: this.slots }, () => resources),
      leases: [...leases],
    });
  }

  requestAll(): void {
    for (let slot = 0; slot < this.slots; slot += 1) this.request(slot);
  }

  request(slot: number): void {
    this.requestNo += 1;
    this.send({ type: "request", slot, requestNo: this.requestNo, want: 1 });
  }

  /** Sends a message and takes in what the server sends to this pilot's session from now on. */
  send(message: FromPilot): void {
    this.world.post({
      type: "pilot",
      session: this.session,
      pilotId: this.id,
      submissionId: this.submissionId,
      message,
    });
    this.take();
  }

  private seen = 0;
  /** Takes in everything addressed to the present session. */
  take(): void {
    const { effects } = this.world;
    for (; this.seen < effects.length; this.seen += 1) {
      const effect = effects[this.seen];
      if (effect?.type !== "toPilot" || effect.session !== this.session) continue;
      this.received.push(effect.message);
      if (effect.message.type !== "grant") continue;
      this.grantSeen = effect.message.grantNo;
      for (const { item, epoch, slot } of effect.message.items)
        this.held.push({ item, epoch, slot });
    }
  }

  /** The lease that a slot holds now. */
  lease(slot = 0): HeldLease {
    this.take();
    const lease = this.held.findLast((one) => one.slot === slot);
    if (lease === undefined) throw new Error(`slot ${slot} of ${this.id} holds nothing`);
    return lease;
  }

  isIdle(slot = 0): boolean {
    this.take();
    return !this.held.some((one) => one.slot === slot);
  }

  /** Ends the evaluation of a slot; the slot asks for the next point in the same message unless `stops`. */
  end(
    outcome: Outcome,
    slot = 0,
    options: { readonly seconds?: number; readonly stops?: boolean } & ResultExtras = {},
  ): FromPilotOf<"result"> {
    const { seconds = 1, stops = false, ...extras } = options;
    const lease = this.lease(slot);
    this.held.splice(this.held.indexOf(lease), 1);
    this.requestNo += 1;
    const result: FromPilotOf<"result"> = {
      type: "result",
      item: lease.item,
      epoch: lease.epoch,
      seq: this.nextSeq(lease),
      outcome,
      durationSeconds: seconds,
      log: "",
      next: stops ? null : { slot, requestNo: this.requestNo, want: 1 },
      ...extras,
    };
    this.send(result);
    return result;
  }

  private readonly seqs = new Map<string, number>();
  private nextSeq({ item, epoch }: HeldLease): number {
    const key = `${itemKey(item)}@${epoch.join(".")}`;
    const seq = (this.seqs.get(key) ?? 0) + 1;
    this.seqs.set(key, seq);
    return seq;
  }

  /** Says that a checkpoint of the slot's evaluation is on the server. */
  checkpoint(blob: BlobRef, slot = 0): FromPilotOf<"checkpoint"> {
    const lease = this.lease(slot);
    const { item, epoch } = lease;
    const message = { type: "checkpoint", item, epoch, seq: this.nextSeq(lease), ...blob } as const;
    this.send(message);
    return message;
  }

  loss(value: number, slot = 0): FromPilotOf<"result"> {
    return this.end({ type: "loss", loss: value, exitCode: 0, message: "" }, slot);
  }

  fail(slot = 0, code = "E_PAYLOAD", exitCode = 1): FromPilotOf<"result"> {
    return this.end({ type: "failed", code, exitCode, signal: null, message: "it broke" }, slot);
  }

  timeOut(slot = 0): FromPilotOf<"result"> {
    return this.end({ type: "timeout", afterSeconds: 10, message: "" }, slot);
  }

  interrupt(
    slot = 0,
    reason: "eviction" | "runtime" | "diskFull" = "eviction",
  ): FromPilotOf<"result"> {
    return this.end({ type: "interrupted", reason, message: "" }, slot);
  }

  beat(leases: readonly HeldLease[] = this.held): void {
    this.take();
    this.send({ type: "beat", grantSeen: this.grantSeen, leases: [...leases] });
  }

  drop(): void {
    this.take();
    this.world.post({ type: "pilotClosed", session: this.session });
  }

  last<T extends ToPilot["type"]>(type: T): ToPilotOf<T> | undefined {
    this.take();
    return this.received.findLast((message): message is ToPilotOf<T> => message.type === type);
  }
}
