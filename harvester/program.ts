/** The harvester's cycle: look, plan, act, report. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import type { FromHarvester, ToHarvester } from "../protocol/harvester-messages.ts";
import { HARVESTER } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import type { BatchDriver, BatchTruth } from "./driver.ts";
import {
  DETAIL_LENGTH_MAX,
  healthyQueue,
  isPaused,
  noteConnected,
  noteEnded,
  noteSubmitFailed,
  noteSubmitted,
  planQueue,
  type KnownSubmission,
  type QueueHealth,
  type Step,
} from "./planner.ts";
import type { SubmissionFile, Submissions } from "./submissions.ts";

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

interface QueueState {
  config: QueueConfig;
  /** null until this connection's server said it, with the pilots that have connected: nothing is planned before. */
  wanted: number | null;
  connected: Set<string>;
  readonly health: QueueHealth;
  /** Submission id to boot secret, not used yet. */
  readonly secrets: Map<string, string>;
  secretsAsked: boolean;
  lastReport: string;
}

/** One executor per step: a missing one does not compile. */
type Executors = { [K in Step["type"]]: (step: Extract<Step, { type: K }>) => Promise<void> };

export function createHarvester(deps: HarvesterDeps): Harvester {
  return new RunningHarvester(deps);
}

class RunningHarvester implements Harvester {
  readonly #deps: HarvesterDeps;
  readonly #queues = new Map<string, QueueState>();
  /** Submission ids whose end was told, to when it was told last (monotonic), null for before this connection. */
  readonly #told = new Map<string, number | null>();
  /** Submissions of an earlier harvester that this one has not seen alive: the server may have forgotten that they connected. */
  readonly #former = new Set<string>();
  #send: Send = () => false;
  #timer: Timer | null = null;
  #cycle: Promise<void> = Promise.resolve();
  #stopped = false;
  #connected = false;
  #welcomed = false;

  constructor(deps: HarvesterDeps) {
    this.#deps = deps;
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
    for (const submissionId of this.#told.keys()) this.#told.set(submissionId, null);
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
      queue = {
        config,
        wanted: null,
        connected: new Set(),
        health: healthyQueue(),
        secrets: new Map(),
        secretsAsked: false,
        lastReport: "",
      };
      this.#queues.set(config.name, queue);
    }
    queue.config = config;
    return queue;
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
    await this.#endOrphans(active, truths);
    for (const [name, queue] of this.#queues) {
      if (queue.wanted === null) continue;
      const known: KnownSubmission[] = active
        .filter((one) => one.queue === name)
        .map(({ submissionId, batchId }) => ({
          submissionId,
          batchId,
          truth: truths.get(submissionId) ?? { type: "unknown", detail: "no answer" },
          connected: queue.connected.has(submissionId),
        }));
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
    submit: (step) => this.#submit(step),
    remove: async ({ submissionId, reason }) => {
      if (!this.#deps.submissions.active().some((one) => one.submissionId === submissionId)) return;
      this.#deps.log.info("remove", { submissionId, reason });
      await this.#deps.driver.remove(submissionId);
    },
    ended: (step) => {
      this.#tellEnd(step);
      return Promise.resolve();
    },
    report: (step) => {
      const queue = this.#queues.get(step.queue);
      const message = { ...step, submissions: [...step.submissions] };
      const text = JSON.stringify(message);
      if (queue === undefined || (queue.lastReport === text && step.secretsNeeded === 0))
        return Promise.resolve();
      if (!this.#send([message])) return Promise.resolve();
      queue.lastReport = text;
      if (step.secretsNeeded > 0) queue.secretsAsked = true;
      return Promise.resolve();
    },
  };

  /** Kept until the server has noted it: otherwise it would hold the pilot's leases until they run out. */
  #tellEnd(step: Extract<Step, { type: "ended" }>): void {
    const { log, clock } = this.#deps;
    const { queue: name, submissionId, connected, taken } = step;
    const nowMs = clock.monotonicMs();
    const toldMs = this.#told.get(submissionId);
    if (typeof toldMs === "number" && nowMs - toldMs < END_REPEATED_MS) return;
    const detail = step.detail.slice(0, DETAIL_LENGTH_MAX);
    if (!this.#send([{ type: "ended", queue: name, submissionId, detail }])) return;
    this.#told.set(submissionId, nowMs);
    if (toldMs !== undefined) return;
    log.info("submissionEnded", { submissionId, detail });
    const queue = this.#queues.get(name);
    if (queue === undefined || !taken || this.#former.has(submissionId)) return;
    noteEnded(queue.health, connected, detail, nowMs);
  }

  async #perform(step: Step): Promise<void> {
    try {
      await (this.#executors[step.type] as (one: Step) => Promise<void>)(step);
    } catch (error) {
      this.#deps.log.error("stepFailed", { step: step.type, error: errorText(error) });
    }
  }

  async #submit(step: Extract<Step, { type: "submit" }>): Promise<void> {
    const { submissions, driver, log, clock, server } = this.#deps;
    const queue = this.#queues.get(step.queue.name);
    const secret = queue?.secrets.get(step.submissionId);
    if (queue === undefined || secret === undefined) return;
    if (isPaused(queue.health, clock.monotonicMs())) return;
    const { submissionId } = step;
    try {
      const bootFile = submissions.prepare({ server, secret, queue: step.queue, submissionId });
      queue.secrets.delete(submissionId);
      const directory = submissions.directoryOf(submissionId);
      const { batchId } = await driver.submit({
        queue: step.queue,
        submissionId,
        directory,
        bootFile,
      });
      submissions.noteBatchId(submissionId, batchId);
      noteSubmitted(queue.health);
      log.info("submitted", { submissionId, batchId, queue: step.queue.name });
    } catch (error) {
      const why =
        error instanceof HyperpilotError ? (error.why ?? error.message) : errorText(error);
      noteSubmitFailed(queue.health, why, clock.monotonicMs());
      log.error("submitFailed", { submissionId, queue: step.queue.name, why });
    }
  }
}
