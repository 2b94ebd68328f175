/** The harvester's cycle: look, plan, act, report. */
import { assertNever } from "../protocol/assert-never.ts";
import type { FromHarvester, ToHarvester } from "../protocol/harvester-messages.ts";
import { HARVESTER } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import type { BatchDriver, BatchTruth } from "./driver.ts";
import { createOutputs, type Outputs } from "./outputs.ts";
import {
  DETAIL_LENGTH_MAX,
  isPaused,
  noteConnected,
  noteEnded,
  noteStatus,
  planQueue,
  type KnownSubmission,
  type Step,
} from "./planner.ts";
import { createQueueState, signatureOf, type QueueState } from "./queue-state.ts";
import type { SubmissionFile, Submissions } from "./submissions.ts";
import { createSubmitter, type Submitter } from "./submitter.ts";
import { wordsOf } from "./words.ts";

type MessageOf<T extends ToHarvester["type"]> = Extract<ToHarvester, { type: T }>;

export interface HarvesterDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly submissions: Submissions;
  readonly driver: BatchDriver;
  /** Base address of the server, for boot files. */
  readonly server: string;
}

/** An end that the server has not noted is told again after this long, and at once over a new connection. */
const END_REPEATED_MS = 30_000;

export type Send = (messages: readonly FromHarvester[]) => boolean;

/** `start` once; then the link's events. */
export interface Harvester {
  /** `send` returns false when there is no connection. */
  start(send: Send): void;
  onConnected(): void;
  onDisconnected(): void;
  onMessage(message: ToHarvester): void;
  /** Ends every pilot and waits for them. */
  removeAll(): Promise<void>;
  stop(): Promise<void>;
}

/** One executor per step: a missing one does not compile. */
type Executors = { [K in Step["type"]]: (step: Extract<Step, { type: K }>) => Promise<void> };

export function createHarvester(deps: HarvesterDeps): Harvester {
  return new RunningHarvester(deps);
}

class RunningHarvester implements Harvester {
  readonly #deps: HarvesterDeps;
  readonly #outputs: Outputs;
  readonly #submitter: Submitter;
  readonly #queues = new Map<string, QueueState>();
  /** Submission ids whose end was told, to when it was told last (monotonic), null for before this connection. */
  readonly #told = new Map<string, number | null>();
  /** Submissions of an earlier harvester that this one has not seen alive: the server may have forgotten them. */
  readonly #former = new Set<string>();
  #send: Send = () => false;
  /** Submissions that were taken back. */
  readonly #removed = new Set<string>();
  #timer: Timer | null = null;
  #cycle: Promise<void> = Promise.resolve();
  #stopped = false;
  #connected = false;
  #welcomed = false;

  constructor(deps: HarvesterDeps) {
    this.#deps = deps;
    this.#outputs = createOutputs(deps);
    this.#submitter = createSubmitter(deps);
  }

  start(send: Send): void {
    this.#send = send;
    for (const { submissionId } of this.#deps.submissions.active()) this.#former.add(submissionId);
    this.#schedule(0);
  }

  onConnected(): void {
    this.#connected = true;
    for (const queue of this.#queues.values()) {
      queue.wanted = null;
      queue.secretsAsked = false;
      queue.lastReport = "";
    }
    this.#tellHolds();
    for (const submissionId of this.#told.keys()) this.#told.set(submissionId, null);
  }

  /** All submissions that this harvester has or can still make. */
  #tellHolds(): void {
    const unused = [...this.#queues.values()].flatMap(({ secrets }) => [...secrets.keys()]);
    const active = this.#deps.submissions.active().map(({ submissionId }) => submissionId);
    const all = [...active, ...unused];
    for (let first = 0; first === 0 || first < all.length; first += HARVESTER.idsPerMessageMax) {
      const end = first + HARVESTER.idsPerMessageMax;
      const submissionIds = all.slice(first, end);
      this.#send([{ type: "holds", submissionIds, more: end < all.length }]);
    }
  }

  onDisconnected(): void {
    this.#connected = false;
    this.#welcomed = false;
  }

  onMessage(message: ToHarvester): void {
    switch (message.type) {
      case "welcome":
        this.#welcomed = true;
        this.#forgetAllBut(new Set(message.queues.map(({ name }) => name)));
        for (const config of message.queues) this.#queue(config);
        return;
      case "wanted": {
        const queue = this.#queue(message.queue);
        this.#noteServedBy(queue, message.servedBy);
        const isMore = queue.wanted === null || message.pilots > queue.wanted;
        queue.wanted = message.pilots;
        const former = queue.connected;
        queue.connected = new Set(message.connected);
        if (message.connected.some((id) => !former.has(id))) noteConnected(queue.health);
        if (isMore) this.#schedule(0);
        return;
      }
      case "bootSecrets": {
        const queue = this.#queues.get(message.queue);
        if (queue === undefined) return;
        for (const { submissionId, secret } of message.secrets)
          queue.secrets.set(submissionId, secret);
        queue.secretsAsked = false;
        return this.#schedule(0);
      }
      case "remove":
        void this.#perform({
          type: "remove",
          submissionId: message.submissionId,
          reason: message.reason,
        });
        return;
      case "connected": {
        const queue = this.#queues.get(message.queue);
        if (queue === undefined || queue.connected.has(message.submissionId)) return;
        queue.connected.add(message.submissionId);
        return noteConnected(queue.health);
      }
      case "test":
        void this.#test(message);
        return;
      case "fetchOutput":
        void this.#sendOutput(message);
        return;
      case "endNoted":
        this.#told.delete(message.submissionId);
        return this.#deps.submissions.end(message.submissionId);
      default:
        return assertNever(message);
    }
  }

  async removeAll(): Promise<void> {
    const reason = "the harvester stops";
    const all = this.#deps.submissions.active();
    await Promise.all(
      all.map(({ submissionId }) => this.#perform({ type: "remove", submissionId, reason })),
    );
    await this.#runCycle();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#cycle;
  }

  #forgetAllBut(names: ReadonlySet<string>): void {
    for (const name of this.#queues.keys()) if (!names.has(name)) this.#queues.delete(name);
  }

  #queue(config: QueueConfig): QueueState {
    let queue = this.#queues.get(config.name);
    if (queue === undefined) {
      queue = createQueueState(config);
      this.#queues.set(config.name, queue);
    }
    queue.config = config;
    return queue;
  }

  #noteServedBy(queue: QueueState, servedBy: string | null): void {
    if (servedBy !== null && servedBy !== queue.servedBy)
      this.#deps.log.warn("queueServedByAnother", { queue: queue.config.name, servedBy });
    queue.servedBy = servedBy;
  }

  #schedule(delayMs: number): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#deps.clock.setTimer(delayMs, () => {
      this.#cycle = this.#cycle.then(() => this.#runCycle());
      this.#schedule(HARVESTER.cycleMs);
    });
  }

  async #runCycle(): Promise<void> {
    if (!this.#connected) return;
    const { submissions, driver, clock } = this.#deps;
    const active = submissions.active();
    const truths = await driver.statusOf(active.map(({ submissionId }) => submissionId));
    for (const [id, { type }] of truths) if (type === "active") this.#former.delete(id);
    // Whether their pilots had connected is not known any more: nothing is concluded from them.
    const isOver = (id: string): boolean =>
      this.#former.has(id) && truths.get(id)?.type === "ended";
    await this.#endOrphans(active, truths);
    for (const [name, queue] of this.#queues) {
      if (queue.wanted === null) continue;
      const known: KnownSubmission[] = active
        .filter((one) => one.queue === name)
        .map(({ submissionId, batchId }) => ({
          submissionId,
          batchId,
          truth: truths.get(submissionId) ?? { type: "unknown", detail: "no answer" },
          connected: queue.connected.has(submissionId) || isOver(submissionId),
          submitError: this.#submitter.errorOf(submissionId),
        }));
      noteStatus(
        queue.health,
        known.map(({ truth }) => truth),
      );
      const situation = {
        queue: queue.config,
        wantedPilots: this.#stopped ? 0 : queue.wanted,
        submissions: known,
        freeSecrets: [...queue.secrets.keys()],
        health: queue.health,
        secretsAsked: queue.secretsAsked,
      };
      for (const step of planQueue(situation, clock.monotonicMs())) await this.#perform(step);
    }
  }

  /** Submissions of queues that the server has no more: their pilots get no work and leave by themselves. */
  async #endOrphans(
    active: readonly SubmissionFile[],
    truths: ReadonlyMap<string, BatchTruth>,
  ): Promise<void> {
    if (!this.#welcomed) return;
    for (const { queue, submissionId } of active) {
      const truth = truths.get(submissionId);
      if (this.#queues.has(queue) || truth?.type !== "ended") continue;
      const { detail } = truth;
      await this.#perform({
        type: "ended",
        queue,
        submissionId,
        detail,
        connected: true,
        taken: true,
      });
    }
  }

  readonly #executors: Executors = {
    submit: async ({ queue: { name }, submissionId }) => {
      const queue = this.#queues.get(name);
      if (queue === undefined || isPaused(queue.health, this.#deps.clock.monotonicMs())) return;
      await this.#submitter.submit(queue, submissionId);
    },
    remove: async ({ submissionId, reason }) => {
      if (!this.#deps.submissions.active().some((one) => one.submissionId === submissionId)) return;
      this.#deps.log.info("remove", { submissionId, reason });
      this.#removed.add(submissionId);
      await this.#deps.driver.remove(submissionId);
    },
    ended: (step) => this.#tellEnd(step),
    report: async (step) => {
      const queue = this.#queues.get(step.queue);
      if (queue === undefined) return;
      const submissions = await this.#outputs.addTo(step.submissions, queue.connected);
      const message = { ...step, submissions };
      const text = signatureOf(message);
      if (queue.lastReport === text && step.secretsNeeded === 0) return;
      if (!this.#send([message])) return;
      queue.lastReport = text;
      if (step.secretsNeeded > 0) queue.secretsAsked = true;
    },
  };

  async #sendOutput({ submissionId, requestId }: MessageOf<"fetchOutput">): Promise<void> {
    const output = await this.#outputs.of(submissionId, HARVESTER.fetchedOutputBytesMax);
    const detail = output === "" ? "its job has printed nothing, or its directory is gone" : "";
    this.#send([
      { type: "output", submissionId, requestId, output: output === "" ? null : output, detail },
    ]);
  }

  /** An operator tries the queue: one submission beside those that are wanted. */
  async #test({ queue: config, submissionId, secret }: MessageOf<"test">): Promise<void> {
    const queue = this.#queue(config);
    queue.secrets.set(submissionId, secret);
    await this.#submitter.submit(queue, submissionId);
    this.#schedule(0);
  }

  /** Kept until the server has noted it: otherwise it would hold the pilot's leases until they run out. */
  async #tellEnd(step: Extract<Step, { type: "ended" }>): Promise<void> {
    const { log, clock } = this.#deps;
    const { queue: name, submissionId, connected, taken } = step;
    const nowMs = clock.monotonicMs();
    const toldMs = this.#told.get(submissionId);
    if (typeof toldMs === "number" && nowMs - toldMs < END_REPEATED_MS) return;
    const detail = step.detail.slice(0, DETAIL_LENGTH_MAX);
    const output = connected || !taken ? "" : await this.#outputs.of(submissionId);
    const end = { type: "ended", queue: name, submissionId, detail } as const;
    if (!this.#send([{ ...end, connected, taken, output }])) return;
    this.#told.set(submissionId, nowMs);
    if (toldMs !== undefined) return;
    log.info("submissionEnded", { submissionId, detail });
    this.#submitter.forget(submissionId);
    const queue = this.#queues.get(name);
    // What was taken back says nothing about pilots that may start.
    const wasRemoved = this.#removed.delete(submissionId);
    if (queue !== undefined && taken && !wasRemoved)
      noteEnded(queue.health, connected, detail, nowMs);
  }

  async #perform(step: Step): Promise<void> {
    try {
      await (this.#executors[step.type] as (one: Step) => Promise<void>)(step);
    } catch (error) {
      this.#deps.log.error("stepFailed", { step: step.type, error: wordsOf(error) });
    }
  }
}
