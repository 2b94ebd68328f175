/**
 * About sixty operations of users, pilots and the server itself, each repeated until it is answered, as clients do; and what was
 * promised with each answer, to be checked after every crash.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { FromPilotOf, HeldLease, Outcome, ToPilot } from "../../protocol/pilot-messages.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { isEnded, type TaskState } from "../../protocol/states.ts";
import type { Limits } from "../../protocol/task.ts";
import type { Blobs } from "../../server/blobs/blobs.ts";
import type { Core } from "../../server/core.ts";
import type { Command, CommandOf, CommandValues, ControlAction } from "../../server/inbox.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { specification } from "../support/reactor-world.ts";
import { CrashServer, Gone } from "./crash-server.ts";
import type { Fault, SimulatedDisk } from "./disk.ts";

type Promised = (core: Core) => void;

const ANNA = { user: "anna", roles: ["user", "admin"] } as const;

export class CrashScript {
  readonly clock = new FakeClock();
  readonly disk: SimulatedDisk;
  server: CrashServer;
  crashes = 0;
  acknowledged = 0;
  /** Faults of the starts that follow a crash, the next one last. */
  readonly recoveryFaults: { readonly at: number; readonly fault: Fault }[] = [];
  /** What was answered, by what it is about: a later operation on the same thing takes its place. */
  private readonly promised = new Map<string, Promised>();
  private readonly blobsPromised = new Map<string, Buffer>();
  private readonly pilots: ScriptPilot[] = [];
  /** Losses that were sent, by the lease they belong to. */
  readonly sent = new Map<string, number>();
  private losses = 0;

  constructor(disk: SimulatedDisk) {
    this.disk = disk;
    this.server = this.newServer();
  }

  private newServer(): CrashServer {
    return new CrashServer(this.disk, this.clock, (session, message) => {
      for (const pilot of this.pilots) if (pilot.session === session) pilot.receive(message);
    });
  }

  /** Starts a server on what is on disk, again and again while the disk fails; pilots come back to it. */
  async start(): Promise<void> {
    for (;;) {
      this.server = this.newServer();
      try {
        await this.server.start();
        return;
      } catch (error) {
        const isStorage = error instanceof HyperpilotError && error.code === "E_JOURNAL_WRITE";
        if (!(error instanceof Gone) && !isStorage && !isInjected(error)) throw error;
        this.goOff();
      }
    }
  }

  private goOff(): void {
    this.crashes += 1;
    // A process that ended itself leaves what it has not synced to chance: the worst is taken.
    if (!this.disk.hasCrashed) this.disk.crash("synced");
    this.disk.powerOn();
    const next = this.recoveryFaults.pop();
    if (next !== undefined) this.disk.failAt(next.at, next.fault);
  }

  /** Does the operation until it is answered, over as many crashes as there are. */
  async step(work: () => Promise<void>): Promise<void> {
    for (;;) {
      try {
        await work();
        this.acknowledged += 1;
        return;
      } catch (error) {
        if (isInjected(error)) continue;
        if (!(error instanceof Gone)) throw error;
        this.goOff();
        await this.start();
        await this.check();
        for (const pilot of this.pilots) pilot.connect();
      }
    }
  }

  /** Everything that was promised is there, and nothing else than what was sent. */
  async check(): Promise<void> {
    const { core } = this.server;
    for (const [what, holds] of this.promised) {
      try {
        holds(core);
      } catch (error) {
        throw new Error(`${what} was acknowledged and is lost: ${String(error)}`);
      }
    }
    for (const [sha256, bytes] of this.blobsPromised) {
      const found = await this.server.blobs.get(sha256);
      assert.ok(found !== null, `blob ${sha256} was acknowledged and is lost`);
      assert.ok(bytes.equals(await buffer(found.stream)), `blob ${sha256} has other bytes`);
    }
    await assertNoDamagedBlob(this.server.blobs);
    for (const task of core.tasks.values()) {
      for (const point of task.points.values()) {
        if (point.loss === null) continue;
        const sent = this.sent.get(`${task.id}/${point.id}@${point.epoch.join(".")}`);
        assert.equal(point.loss, sent, `${task.id}/${point.id} has a loss that was never sent`);
      }
    }
  }

  /** A command whose answer promises `holds` about `what`. */
  async command<T extends Command["type"]>(
    command: CommandOf<T>,
    what: string,
    holds: (value: CommandValues[T]) => Promised,
  ): Promise<CommandValues[T]> {
    let value: CommandValues[T] | undefined;
    await this.step(async () => {
      // Until it is answered, it may or may not have happened.
      this.promised.delete(what);
      value = await this.server.execCommand<T>(ANNA, command);
      this.promised.set(what, holds(value));
    });
    return value as CommandValues[T];
  }

  async submit(name: string, limits: Partial<Limits>): Promise<number> {
    const spec = specification(
      { name, clientTaskUuid: `uuid-of-${name}`, failFast: false },
      limits,
    );
    const command = { type: "submitTask", spec } as const;
    const { taskId } = await this.command<"submitTask">(
      command,
      `task ${name}`,
      (value) => (core) => assert.equal(core.tasks.get(value.taskId)?.spec.name, name),
    );
    return taskId;
  }

  /** A repeated request may be refused because the first, unanswered one was carried out. */
  async control(taskId: number, action: ControlAction): Promise<void> {
    const what = `state of ${taskId}`;
    const command = { type: "controlTask", taskId, action } as const;
    const request = this.command<"controlTask">(command, what, ({ state }) => (core) => {
      const now = core.tasks.get(taskId)?.state ?? "defined";
      assert.ok(now === state || followsByItself(state, now), `${now} instead of ${state}`);
    });
    await request.catch((error: unknown) => {
      if (!(error instanceof HyperpilotError) || error.code !== "E_CONFLICT") throw error;
      this.acknowledged += 1;
    });
  }

  async putBlob(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    await this.step(async () => {
      const { blobs } = this.server;
      const info = { sha256, sizeBytes: bytes.length };
      await this.server.during(blobs.put(Readable.from([bytes]), info, 1_000_000));
      this.blobsPromised.set(sha256, bytes);
    });
  }

  async deleteBlob(text: string): Promise<void> {
    const sha256 = createHash("sha256").update(text).digest("hex");
    this.blobsPromised.delete(sha256);
    await this.step(() => this.server.during(this.server.blobs.delete(sha256)));
  }

  /** A snapshot that fails is no failure of the server. */
  async snapshot(): Promise<void> {
    await this.step(() => this.server.makeSnapshot());
  }

  /** Time in which the head file comes up to the records. */
  async pause(): Promise<void> {
    const until = this.clock.monotonicMs() + 150;
    await this.step(() => this.server.until(() => this.clock.monotonicMs() >= until));
  }

  async pilot(name: string, slots: number): Promise<ScriptPilot> {
    const sha256 = createHash("sha256").update(name).digest("hex");
    const secrets = [{ submissionId: name, sha256 }];
    await this.command<"addBootSecrets">(
      { type: "addBootSecrets", queue: "local", secrets },
      `secret of ${name}`,
      () => (core) => assert.ok(core.submissions.has(name)),
    );
    const { pilotId } = await this.command<"exchangeBootSecret">(
      { type: "exchangeBootSecret", sha256, instance: name, newPilotId: `pilot-${name}` },
      `pilot ${name}`,
      (value) => (core) => assert.equal(core.submissions.get(name)?.pilotId, value.pilotId),
    );
    const pilot = new ScriptPilot(this, { pilotId, submissionId: name, slots });
    this.pilots.push(pilot);
    pilot.connect();
    return pilot;
  }

  /** The next loss; no two are equal. */
  nextLoss(): number {
    this.losses += 1;
    return 1 - this.losses / 1_000;
  }

  promiseResult({ item, epoch, outcome }: FromPilotOf<"result">): void {
    if (item.type !== "evaluation") return;
    const { taskId, pointId } = item;
    this.promised.set(`result of ${taskId}/${pointId} at ${epoch.join(".")}`, (core) => {
      const point = core.tasks.get(taskId)?.points.get(pointId);
      assert.ok(point !== undefined);
      if (outcome.type === "loss") assert.equal(point.loss, outcome.loss);
      else assert.ok(point.epoch[1] > epoch[1] || point.lastSeq === 1);
    });
  }
}

/** What becomes of a search when nobody asks for it. */
function followsByItself(from: string, to: TaskState): boolean {
  return isEnded(to) ? from !== "aborted" : from === "running" && to === "finishing";
}

/** Errors of the disk that reached whoever asked: an upload or a snapshot that failed and may be tried again. */
function isInjected(error: unknown): boolean {
  const { code } = error as { readonly code?: string };
  return code === "ENOSPC" || code === "EIO" || code === "E_STORAGE_FULL";
}

async function assertNoDamagedBlob(blobs: Blobs): Promise<void> {
  for (const sha256 of await blobs.list("", 1_000)) {
    const found = await blobs.get(sha256);
    assert.ok(found !== null);
    const hash = createHash("sha256")
      .update(await buffer(found.stream))
      .digest("hex");
    assert.equal(hash, sha256, "a blob is complete or absent");
  }
}

interface PilotParts {
  readonly pilotId: string;
  readonly submissionId: string;
  readonly slots: number;
}

/** A pilot that keeps what it holds and what it has to say over crashes of the server. */
export class ScriptPilot {
  session = "";
  private readonly script: CrashScript;
  private readonly parts: PilotParts;
  private sessions = 0;
  private requestNo = 0;
  private held: HeldLease[] = [];
  private outbox: FromPilotOf<"result">[] = [];

  constructor(script: CrashScript, parts: PilotParts) {
    this.script = script;
    this.parts = parts;
  }

  private send(message: Parameters<CrashServer["post"]>[3]): void {
    const { pilotId, submissionId } = this.parts;
    this.script.server.post(this.session, pilotId, submissionId, message);
  }

  connect(): void {
    this.sessions += 1;
    this.session = `${this.parts.pilotId}-${this.sessions}`;
    const slot = { cpus: 1, memoryBytes: 4e9, gpus: [] };
    const slots = Array.from({ length: this.parts.slots }, () => slot);
    const leases = [
      ...this.held,
      ...this.outbox.map(({ item, epoch }) => ({ item, epoch, slot: 0 })),
    ];
    this.send({
      type: "hello",
      protocol: { min: 1, max: 1 },
      instance: this.parts.submissionId,
      capacity: {
        node: "n1",
        ...slot,
        scratchBytes: 1e12,
        runtimes: ["none"],
        walltimeLeftSeconds: null,
        sources: {},
      },
      slots,
      leases,
    });
    for (const result of this.outbox) this.send(result);
    for (let index = 0; index < this.parts.slots; index += 1)
      if (!this.held.some((lease) => lease.slot === index)) this.request(index);
  }

  private request(slot: number): void {
    this.requestNo += 1;
    this.send({ type: "request", slot, requestNo: this.requestNo, want: 1 });
  }

  receive(message: ToPilot): void {
    if (message.type === "grant")
      for (const { item, epoch, slot } of message.items) this.held.push({ item, epoch, slot });
    if (message.type === "stop") this.held = this.held.filter((lease) => !isSame(lease, message));
    if (message.type !== "accepted" && message.type !== "stale") return;
    const result = this.outbox.find((one) => isSame(one, message));
    if (result === undefined) return;
    this.outbox = this.outbox.filter((one) => one !== result);
    if (message.type === "accepted") this.script.promiseResult(result);
  }

  /** Waits until the slot has something, if it is to have it, and ends that with the outcome. */
  async end(slot: number, outcome: "loss" | Outcome): Promise<void> {
    const { script } = this;
    const leaseOf = (): HeldLease | undefined => this.held.find((lease) => lease.slot === slot);
    const until = script.clock.monotonicMs() + 60;
    let result: FromPilotOf<"result"> | null = null;
    await script.step(async () => {
      if (result === null) {
        await script.server.until(
          () => leaseOf() !== undefined || script.clock.monotonicMs() > until,
        );
        const lease = leaseOf();
        if (lease?.item.type !== "evaluation") return;
        this.held = this.held.filter((one) => one !== lease);
        result = this.resultOf(lease, outcome);
        this.outbox.push(result);
        this.send(result);
      }
      const sent = result;
      await script.server.until(() => !this.outbox.includes(sent));
    });
  }

  private resultOf({ item, epoch, slot }: HeldLease, outcome: "loss" | Outcome) {
    const { script } = this;
    const loss = { type: "loss", loss: script.nextLoss(), exitCode: 0, message: "" } as const;
    const ended = outcome === "loss" ? loss : outcome;
    if (item.type === "evaluation" && ended.type === "loss")
      script.sent.set(`${item.taskId}/${item.pointId}@${epoch.join(".")}`, ended.loss);
    this.requestNo += 1;
    const next = { slot, requestNo: this.requestNo, want: 1 };
    const result: FromPilotOf<"result"> = {
      type: "result",
      item,
      epoch,
      seq: 1,
      outcome: ended,
      durationSeconds: 1,
      log: "",
      next,
    };
    return result;
  }
}

function isSame(
  one: Pick<HeldLease, "item" | "epoch">,
  other: Pick<HeldLease, "item" | "epoch">,
): boolean {
  return JSON.stringify([one.item, one.epoch]) === JSON.stringify([other.item, other.epoch]);
}

const FAILED = {
  type: "failed",
  code: "E_PAYLOAD",
  exitCode: 1,
  signal: null,
  message: "",
} as const;
const EVICTED = { type: "interrupted", reason: "eviction", message: "" } as const;
const DIVERGED = { type: "diverged", value: "NaN", exitCode: 0, message: "" } as const;

/** The script. Returns how many operations were answered. */
export async function runScript(script: CrashScript): Promise<number> {
  await script.step(() => script.start());
  const queue = QueueConfig.parse({ name: "local", leaseSeconds: 3_600 });
  await script.command<"putQueue">(
    { type: "putQueue", config: queue },
    "queue",
    () => (core) => assert.ok(core.queues.has("local")),
  );
  const role = { user: "anna", roles: ["user"] } as const;
  const token = { id: "t1", sha256: "a".repeat(64), role, name: "anna's" };
  await script.command<"issueToken">(
    { type: "issueToken", ...token },
    "token",
    () => (core) => assert.ok(core.tokens.has("t1")),
  );
  await script.putBlob("files of the first");
  const first = await script.submit("first", { maxPoints: 8, nParallelEvaluation: 3 });
  const pilot = await script.pilot("s1", 2);
  for (const slot of [0, 1, 0]) await pilot.end(slot, "loss");
  await pilot.end(1, FAILED);
  await script.snapshot();
  await script.putBlob("files of the second");
  const second = await script.submit("second", { maxPoints: 6, nParallelEvaluation: 2 });
  await script.control(first, "pause");
  for (const slot of [0, 1]) await pilot.end(slot, "loss");
  await script.pause();
  await script.control(first, "resume");
  const other = await script.pilot("s2", 2);
  for (const slot of [0, 1]) await other.end(slot, "loss");
  await pilot.end(0, EVICTED);
  await pilot.end(1, DIVERGED);
  await script.deleteBlob("files of the first");
  await script.snapshot();
  const limits = { maxPoints: 10 };
  await script.command<"changeLimits">(
    { type: "changeLimits", taskId: first, limits },
    "limits",
    () => (core) => assert.equal(core.tasks.get(first)?.limits.maxPoints, 10),
  );
  await script.command<"revokeToken">(
    { type: "revokeToken", id: "t1" },
    "token",
    () => (core) => assert.equal(core.tokens.get("t1")?.revoked, true),
  );
  for (let round = 0; round < 4; round += 1) {
    for (const slot of [0, 1]) {
      await pilot.end(slot, round === 1 ? FAILED : "loss");
      await other.end(slot, "loss");
    }
    if (round === 1) await script.pause();
  }
  const third = await script.submit("third", { maxPoints: 5, nParallelEvaluation: 5 });
  await pilot.end(0, "loss");
  await script.control(third, "kill");
  await script.snapshot();
  await script.putBlob("files of the third");
  for (let round = 0; round < 4; round += 1)
    for (const slot of [0, 1]) {
      await pilot.end(slot, "loss");
      await other.end(slot, "loss");
    }
  await script.step(() => {
    script.server.tick();
    return Promise.resolve();
  });
  await script.control(second, "finish");
  await script.pause();
  await script.step(() => script.server.close());
  return script.acknowledged;
}
