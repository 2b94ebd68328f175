/** Looks at every turn of the server, at every effect and at every record on disk, and says what must not be. */
import { decodeTrusted, encode } from "../../protocol/codec.ts";
import type { ToHarvester } from "../../protocol/harvester-messages.ts";
import type { Outcome } from "../../protocol/pilot-messages.ts";
import { replay } from "../../server/apply.ts";
import { createCoreReader, sectionsOf } from "../../server/core-form.ts";
import { createCore, type Core } from "../../server/core.ts";
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";
import type { Effect, InboxItem } from "../../server/inbox.ts";
import type { Batch } from "../../server/journal/journal.ts";
import type { Live } from "../../server/live.ts";
import { fromText } from "../../server/samplers/coordinates.ts";
import { spaceOf } from "../../server/tasks/segments.ts";
import { differenceOf, textOf } from "./compare.ts";
import type { Invariant, Violation } from "./invariants.ts";
import { BlobStore } from "./blob-store.ts";
import { hasEnded, leaseKey, Model } from "./model.ts";
import { applyEvent, mayDrain } from "./model-fleet.ts";
import { isNodesFault, noteNodes } from "./node-checks.ts";
import { SessionBook } from "./session-book.ts";
import { casesOf, count, type Case, type Tally } from "./tally.ts";
import { checkTurn, expectedAnswer, type Expected, type Turn } from "./turn-checks.ts";

/** Events between two snapshots. */
const SNAPSHOT_EVENTS = 60;

export class Oracle {
  violation: Violation | null = null;
  /** How often each case was reached. */
  readonly tally: Tally = {};
  readonly #nowMs: () => number;
  /** The rules' state: that of the server's memory, events that are not durable yet included. */
  model: Model;
  sessions: SessionBook;
  /** Events on disk, in order. */
  readonly durable: HyperpilotEvent[] = [];
  /** The product's own state of what is on disk. */
  #shadow: Core = createCore();
  /** A snapshot as it would lie on disk, made of the journal up to one of its events. */
  #snapshot: { readonly seq: number; readonly sections: readonly Uint8Array[] } | null = null;
  /** For each effect and command, the event up to which the journal must be on disk before anybody hears of it. */
  readonly #needs = new Map<object, number>();
  /** Writes of pilots: what each of them has sent under a lease, by sequence number. */
  readonly #sent = new Map<string, Outcome>();
  readonly #sentStates = new Map<string, string>();
  /** The server's disk, as far as states lie on it. */
  blobs: BlobStore = new BlobStore();
  /** Writes that are on disk. */
  readonly #stored = new Set<string>();
  readonly #muted = new Set<string>();
  /** Writes that were answered 'accepted'. */
  readonly #acknowledged = new Set<string>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.model = this.#newModel();
    this.sessions = new SessionBook();
  }

  get isBroken(): boolean {
    return this.violation !== null;
  }

  report(invariant: Invariant, text: string): void {
    this.violation ??= { invariant, text, atMs: this.#nowMs() };
  }

  must(holds: boolean, invariant: Invariant, text: () => string): boolean {
    if (!holds) this.report(invariant, text());
    return holds;
  }

  reached(reached: Case): void {
    count(this.tally, reached);
  }

  #newModel(): Model {
    return new Model((invariant, text) => this.report(invariant, text));
  }

  /** A pilot hands a result or an answer to its connection. */
  onSent(key: string, seq: number, outcome: Outcome | null): void {
    if (outcome !== null) this.#sent.set(`${key}#${seq}`, outcome);
  }

  /** A pilot says that a state is on the server. */
  onSentState(key: string, seq: number, sha256: string): void {
    this.#sentStates.set(`${key}#${seq}`, sha256);
  }

  onTurn(item: InboxItem, turn: Pick<Turn, "events" | "effects">, core: Core, live: Live): void {
    if (this.isBroken) return;
    const { model, sessions } = this;
    const nowMs = this.#nowMs();
    const full: Turn = { ...turn, item, core, live, model, sessions, nowMs };
    const expected = expectedAnswer(full);
    model.beginTurn(nowMs);
    noteNodes(full, expected, (one) => this.reached(one));
    this.#countAnswers(item, expected);
    for (const event of turn.events) {
      this.#checkOrigin(event, item);
      this.#countEvent(event);
      applyEvent(model, event);
    }
    for (const effect of turn.effects) {
      if (effect.type !== "toPilot") continue;
      if (effect.message.type === "stop") this.reached("stop sent");
      if (effect.message.type === "drain" && isDrainOfPilot(item))
        this.reached("pilot drained by somebody");
    }
    checkTurn(full, expected);
    for (const effect of turn.effects) this.#needs.set(effect, core.seq);
    if (item.type === "command") this.#needs.set(item.command, core.seq);
  }

  #countAnswers(item: InboxItem, { answer }: Expected): void {
    if (item.type !== "pilot" || answer === null) return;
    const isRun = item.message.type === "runAnswer";
    if (answer === "stale") this.reached(isRun ? "answer of a run stale" : "result stale");
    if (answer === "repeated") this.reached("result repeated");
    const task = isRun ? this.model.tasks.get(item.message.item.taskId) : undefined;
    if (answer === "accepted" && isRun && task?.run?.lease === null)
      this.reached("late answer of a run taken");
  }

  /** Counts the cases of an event that the model has not taken yet. */
  #countEvent(event: HyperpilotEvent): void {
    for (const name of casesOf(event)) count(this.tally, name);
    const task = "taskId" in event ? this.model.tasks.get(event.taskId) : undefined;
    if (task === undefined) return;
    const point = "pointId" in event ? task.points.get(event.pointId ?? "") : undefined;
    if (event.type === "attemptEnded" && point?.lease === null) this.reached("late attempt taken");
    if (event.type === "attemptEnded" && event.restored !== undefined)
      if (event.outcome.type === "failed")
        this.reached((point?.failedRestores ?? 0) > 0 ? "no state trusted" : "state doubted");
    if (event.type === "leaseEnded" && point?.lease === null)
      this.reached("late interruption taken");
    if (event.type === "leaseEnded" && event.interruption && point?.inRow === 9)
      this.reached("tenth interruption in a row");
    if (event.type === "taskStateChanged" && event.state === "running" && hasEnded(task))
      this.reached("new round");
    if (event.type === "pointFinal" && event.state === "done" && point?.attempts === 0)
      this.reached("duplicate reused");
    if (event.type === "pointFinal" && point?.lease != null) this.reached("lease revoked");
  }

  /** Nothing is in the journal that nobody sent. */
  #checkOrigin(event: HyperpilotEvent, item: InboxItem): void {
    if (event.type === "attemptEnded") {
      const key = `${leaseKey(event.taskId, event.pointId, event.epoch)}#${event.seq}`;
      const sent = this.#sent.get(key);
      this.must(
        sent !== undefined &&
          JSON.stringify(sent) === JSON.stringify(event.outcome) &&
          !isNull(event.outcome),
        "fromSomewhere",
        () =>
          `${key} is recorded as ${JSON.stringify(event.outcome)}, sent was ${JSON.stringify(sent)}`,
      );
    }
    if (event.type === "leaseEnded") this.#checkBlame(event);
    if (event.type === "nodeDrained") {
      const command = item.type === "command" && item.command.type === "drainNode";
      this.must(
        command || (event.drained && mayDrain(this.model, event)),
        "offered",
        () => `node ${event.node} is ${event.drained ? "" : "not "}drained (${event.reason})`,
      );
      this.reached(command ? "node drained by somebody" : "node drained by the server");
    }
    if (event.type === "checkpointStored") {
      const key = `${leaseKey(event.taskId, event.pointId, event.epoch)}#${event.seq}`;
      this.must(
        this.#sentStates.get(key) === event.sha256,
        "fromSomewhere",
        () => `${key} is recorded as the state ${event.sha256}, which was not sent`,
      );
    }
    if (event.type === "pointGenerated" && event.retryOf === null) {
      const isProposed =
        (event.run === null && this.#isNew(event)) ||
        (item.type === "proposed" &&
          item.taskId === event.taskId &&
          item.answer.ok &&
          item.answer.parts.some(({ texts }) => texts.includes(event.text))) ||
        (item.type === "pilot" &&
          item.message.type === "runAnswer" &&
          item.message.item.taskId === event.taskId &&
          item.message.points?.includes(event.text) === true);
      this.must(
        isProposed,
        "fromSomewhere",
        () => `point ${event.taskId}/${event.pointId} was not proposed by this answer`,
      );
    }
  }

  /** A point drawn at random lies in the space, and is none that was there. */
  #isNew({ taskId, text }: EventOf<"pointGenerated">): boolean {
    const task = this.model.tasks.get(taskId);
    if (task === undefined || fromText(spaceOf(task.spec, 0), text) === null) return false;
    return [...task.points.values()].every((point) => point.text !== text);
  }

  /** An interruption is told as its pilot said it, and blames the node when that is to blame. */
  #checkBlame(event: EventOf<"leaseEnded">): void {
    const key = `${leaseKey(event.taskId, event.pointId ?? "run", event.epoch)}#${event.seq}`;
    const sent = event.seq === null ? null : (this.#sent.get(key) ?? null);
    const imageCause = sent?.type === "interrupted" ? sent.imageCause : undefined;
    this.must(
      (event.seq === null || sent?.type === "interrupted") && event.imageCause === imageCause,
      "fromSomewhere",
      () =>
        `${key} is recorded as interrupted (${event.imageCause}), sent was ${JSON.stringify(sent)}`,
    );
    const task = this.model.tasks.get(event.taskId);
    const isFault = task !== undefined && isNodesFault(task, event, sent);
    this.must(
      event.infrastructure === isFault,
      "accounts",
      () => `${key} (${event.reason}) blames the node: ${event.infrastructure}, not ${isFault}`,
    );
  }

  /** The journal of this server has failed: it must not say anything any more. */
  mute(server: string): void {
    this.reached("journal write failed");
    this.#muted.add(server);
  }

  /** Something leaves the server: what it tells must be on disk. */
  onEffect(effect: Effect, server: string): void {
    if (this.isBroken) return;
    this.must(
      !this.#muted.has(server),
      "failStop",
      () => `${server} says ${JSON.stringify(effect).slice(0, 300)}`,
    );
    this.#mustBeDurable(effect, () => JSON.stringify(effect).slice(0, 300));
    if (effect.type !== "toPilot") return;
    if (effect.message.type === "grant") {
      for (const { item, checkpoints = [] } of effect.message.items)
        for (const { sha256 } of checkpoints)
          this.must(
            this.blobs.has(sha256),
            "resumed",
            () => `${JSON.stringify(item)} is to go on from ${sha256}, which is not on the server`,
          );
    }
    if (effect.message.type !== "accepted") return;
    const { item, epoch, seq } = effect.message;
    if (item.type !== "evaluation") return;
    const key = `${leaseKey(item.taskId, item.pointId, epoch)}#${seq}`;
    this.must(
      this.#stored.has(key),
      "accepted",
      () => `${key} is answered 'accepted' and not in the journal`,
    );
    this.#acknowledged.add(key);
  }

  /** Secrets leave the server: a pilot that comes with one must be known. */
  onSecrets(message: ToHarvester): void {
    if (message.type !== "bootSecrets") return;
    for (const { submissionId } of message.secrets)
      this.must(
        this.#shadow.submissions.has(submissionId),
        "durable",
        () => `the secret of ${submissionId} is sent before its hash is on disk`,
      );
  }

  /** A pilot gets its session token. */
  onPilotSession(pilotId: string): void {
    const isKnown = [...this.#shadow.submissions.values()].some((one) => one.pilotId === pilotId);
    // Its submission may have ended in the meantime, which is durable too.
    const hasEnded = !this.model.isCurrentPilot(pilotId);
    this.must(
      isKnown || hasEnded,
      "durable",
      () => `${pilotId} gets a session before it is on disk`,
    );
  }

  /** A command is answered, or what a view of the state saw is told. */
  onReply(command: object, what: string): void {
    if (!this.isBroken) this.#mustBeDurable(command, () => what);
  }

  /** Notes what a view sees; `onReply` with the same view is to be called when somebody is told. */
  onView(view: object, core: Core): void {
    this.#needs.set(view, core.seq);
  }

  #mustBeDurable(told: object, what: () => string): void {
    const seq = this.#needs.get(told) ?? Number.POSITIVE_INFINITY;
    this.must(
      seq <= this.durable.length,
      "durable",
      () => `told before event ${seq} is on disk (${this.durable.length} are): ${what()}`,
    );
  }

  onDurable(batch: Batch): void {
    this.must(
      batch.firstSeq === this.durable.length + 1,
      "chain",
      () => `a record begins with event ${batch.firstSeq} after ${this.durable.length}`,
    );
    for (const event of batch.events) this.#store(event);
  }

  #store(event: HyperpilotEvent): void {
    this.durable.push(event);
    replay(this.#shadow, event);
    const key = writtenBy(event);
    if (key !== null) this.#stored.add(key);
    if (this.durable.length % SNAPSHOT_EVENTS !== 0) return;
    const sections = [...sectionsOf(this.#shadow)].map((section) => encode(section));
    this.#snapshot = { seq: this.durable.length, sections };
  }

  /** The state that a start from the last snapshot comes to; null when there is none. */
  coreFromSnapshot(): Core | null {
    if (this.#snapshot === null) return null;
    const reader = createCoreReader();
    for (const section of this.#snapshot.sections) reader.add(decodeTrusted(section));
    const core = reader.finish();
    for (const event of this.durable.slice(this.#snapshot.seq)) replay(core, event);
    for (const task of core.tasks.values()) task.ready.compact(({ state }) => state === "ready");
    this.reached("started from a snapshot");
    return core;
  }

  /** The server is gone: what was not on disk never happened. */
  onCrash(): void {
    if (this.model.seq > this.durable.length) this.reached("events lost by a crash");
    this.model = this.#newModel();
    this.model.isReplaying = true;
    for (const event of this.durable) applyEvent(this.model, event);
    this.model.isReplaying = false;
    this.model.beginTurn(this.#nowMs());
    this.sessions = new SessionBook();
  }

  /** Once a backup has taken the journal's place, servers know of less than others have been told. */
  wasRestored = false;

  /** The journal was put back to what a backup holds: what came after it never happened, for better or worse. */
  onBackupRestored(events: number): void {
    this.wasRestored = true;
    const kept = this.durable.slice(0, events);
    this.durable.length = 0;
    this.#shadow = createCore();
    this.#snapshot = null;
    this.#stored.clear();
    for (const event of kept) this.#store(event);
    for (const key of this.#acknowledged)
      if (!this.#stored.has(key)) this.#acknowledged.delete(key);
    this.onCrash();
  }

  /** A server has rebuilt its state from the disk. */
  onRestored(core: Core): void {
    const startedMs = this.#nowMs();
    for (const pilotId of this.model.held.keys()) this.sessions.await(pilotId, startedMs);
    this.checkState(core, "after a restart");
    for (const key of this.#acknowledged)
      this.must(
        this.#stored.has(key),
        "accepted",
        () => `${key} was answered 'accepted' and is lost`,
      );
  }

  /** Compares the state of a server that owes the disk nothing with the rules and with what its journal rebuilds. */
  checkState(core: Core, when: string): void {
    this.reached("state compared");
    const difference = differenceOf(this.model, core);
    this.must(difference === null, "rules", () => `${when} ${difference}`);
    for (const sha256 of core.blobs.keys())
      this.must(
        this.blobs.has(sha256),
        "resumed",
        () => `${when} ${sha256} is referred to and not on the server`,
      );
    if (core.seq !== this.durable.length) return;
    const [is, should] = [textOf(core), textOf(this.#shadow)];
    this.must(
      is === should,
      "rebuilt",
      () => `${when} the state differs from the journal's: ${firstDifference(is, should)}`,
    );
  }
}

function isDrainOfPilot(item: InboxItem): boolean {
  return item.type === "command" && item.command.type === "drainPilot";
}

function isNull(outcome: Outcome): boolean {
  return outcome.type === "loss" && !Number.isFinite(outcome.loss);
}

/** The pilot's write that an event records, or null. */
function writtenBy(event: HyperpilotEvent): string | null {
  if (event.type === "attemptEnded" || event.type === "checkpointStored")
    return `${leaseKey(event.taskId, event.pointId, event.epoch)}#${event.seq}`;
  if (event.type !== "leaseEnded" || event.pointId === null || event.seq === null) return null;
  return `${leaseKey(event.taskId, event.pointId, event.epoch)}#${event.seq}`;
}

function firstDifference(a: string, b: string): string {
  let index = 0;
  while (index < a.length && a[index] === b[index]) index += 1;
  const from = Math.max(0, index - 80);
  return `...${a.slice(from, index + 80)}... is not ...${b.slice(from, index + 80)}...`;
}
