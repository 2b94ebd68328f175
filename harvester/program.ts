/** The harvester's cycle: look, plan, act, report. */
import { assertNever } from "../protocol/assert-never.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import type { FromHarvester, ToHarvester } from "../protocol/harvester-messages.ts";
import { HARVESTER } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { Clock, Timer } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import type { BatchDriver } from "./driver.ts";
import {
  healthyQueue,
  noteConnected,
  noteEnded,
  noteSubmitFailed,
  noteSubmitted,
  planQueue,
  type KnownSubmission,
  type QueueHealth,
  type Step,
} from "./planner.ts";
import type { Submissions } from "./submissions.ts";

export interface HarvesterDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly submissions: Submissions;
  readonly driver: BatchDriver;
  /** Base address of the server, for boot files. */
  readonly server: string;
  readonly random: () => number;
}

export interface Harvester {
  start(send: (messages: readonly FromHarvester[]) => void): void;
  onConnected(): void;
  onDisconnected(): void;
  onMessage(message: ToHarvester): void;
  /** Ends every pilot and waits for them. */
  removeAll(): Promise<void>;
  stop(): Promise<void>;
}

interface QueueState {
  config: QueueConfig;
  wanted: number;
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
  #send: (messages: readonly FromHarvester[]) => void = () => undefined;
  #timer: Timer | null = null;
  #cycle: Promise<void> = Promise.resolve();
  #stopped = false;
  #connected = false;

  constructor(deps: HarvesterDeps) {
    this.#deps = deps;
  }

  start(send: (messages: readonly FromHarvester[]) => void): void {
    this.#send = send;
    this.#schedule(0);
  }

  onConnected(): void {
    this.#connected = true;
    for (const queue of this.#queues.values()) {
      queue.secretsAsked = false;
      queue.lastReport = "";
    }
  }

  onDisconnected(): void {
    this.#connected = false;
  }

  onMessage(message: ToHarvester): void {
    switch (message.type) {
      case "welcome":
        for (const config of message.queues) this.#queue(config);
        return;
      case "wanted": {
        const queue = this.#queue(message.queue);
        const isMore = message.pilots > queue.wanted;
        queue.wanted = message.pilots;
        queue.connected = new Set(message.connected);
        if (queue.connected.size > 0) noteConnected(queue.health);
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
      default:
        return assertNever(message);
    }
  }

  async removeAll(): Promise<void> {
    const all = this.#deps.submissions.active();
    await Promise.all(all.map(({ submissionId }) => this.#deps.driver.remove(submissionId)));
    await this.#runCycle();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#cycle;
  }

  #queue(config: QueueConfig): QueueState {
    let queue = this.#queues.get(config.name);
    if (queue === undefined) {
      queue = {
        config,
        wanted: 0,
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
    for (const [name, queue] of this.#queues) {
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

  readonly #executors: Executors = {
    submit: (step) => this.#submit(step),
    remove: ({ submissionId }) => this.#deps.driver.remove(submissionId),
    ended: (step) => {
      this.#deps.log.info("submissionEnded", {
        submissionId: step.submissionId,
        detail: step.detail,
      });
      const queue = this.#queues.get(step.queue);
      if (queue !== undefined)
        noteEnded(queue.health, step.connected, step.detail, this.#deps.clock.monotonicMs());
      const detail = step.detail.slice(0, 1_000);
      this.#send([{ type: "ended", queue: step.queue, submissionId: step.submissionId, detail }]);
      this.#deps.submissions.end(step.submissionId);
      return Promise.resolve();
    },
    report: (step) => {
      const queue = this.#queues.get(step.queue);
      const message = { ...step, submissions: [...step.submissions] };
      const text = JSON.stringify(message);
      if (queue === undefined || (queue.lastReport === text && step.secretsNeeded === 0))
        return Promise.resolve();
      queue.lastReport = text;
      if (step.secretsNeeded > 0) queue.secretsAsked = true;
      this.#send([message]);
      return Promise.resolve();
    },
  };

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
    queue.secrets.delete(step.submissionId);
    const { submissionId } = step;
    const bootFile = submissions.prepare({ server, secret, queue: step.queue, submissionId });
    try {
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
