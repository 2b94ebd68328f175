/** A batch system: queues jobs, starts them on nodes, evicts, requeues, loses them, and does not always answer. */
import type { BatchDriver, BatchTruth } from "../../harvester/driver.ts";
import type { BootFile } from "../../protocol/harvester-messages.ts";
import type { Cluster } from "./cluster.ts";
import { startPilot, type PilotHandle } from "./pilot-process.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

interface Job {
  readonly submissionId: string;
  readonly batchId: string;
  readonly boot: BootFile;
  phase: "queued" | "running" | "ended";
  detail: string;
  pilot: PilotHandle | null;
  starts: number;
}

/** What follows SIGTERM. */
export interface Eviction {
  readonly graceMs: number;
  /** Whether the job starts again under the same id. */
  readonly isRequeued: boolean;
}

const KILL_AFTER_MS = 30_000;
const STARTS_MAX = 12;

export class BatchSystem {
  readonly #cluster: Cluster;
  readonly #random: Random;
  readonly #jobs = new Map<string, Job>();
  readonly #nodes: string[];
  readonly pilots: PilotHandle[] = [];
  /** Until then no command is answered. */
  outageUntilMs = 0;
  /** Until then submits fail, with or without a job. */
  refusesUntilMs = 0;
  #lastNumber = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#random = cluster.random.fork("batch system");
    this.#nodes = Array.from({ length: cluster.shape.nodes }, (_, index) => `n${index + 1}`);
  }

  /** Pilots that live, those included that the batch system knows nothing of any more. */
  get alive(): readonly PilotHandle[] {
    return this.pilots.filter((pilot) => pilot.process.isAlive);
  }

  get activeJobs(): number {
    return [...this.#jobs.values()].filter(({ phase }) => phase !== "ended").length;
  }

  /** The commands of the batch system as a harvester's process calls them. `bootOf` reads a submission's boot file. */
  driver(process: Process, bootOf: (submissionId: string) => BootFile | undefined): BatchDriver {
    const { scheduler, oracle } = this.#cluster;
    const takes = (): Promise<void> => process.clock.sleep(this.#random.between(5, 300));
    return {
      submit: async ({ submissionId, queue }) => {
        const fails = this.#isRefusing() || this.#isOut();
        const isMade = !fails || this.#random.chance(0.3);
        const boot = bootOf(submissionId);
        // The command goes its way, whatever becomes of the process that called it.
        scheduler.after(this.#random.between(5, 200), () => {
          if (!isMade || boot === undefined) return;
          oracle.must(
            !this.#jobs.has(submissionId),
            "submissions",
            () => `submission ${submissionId} is submitted twice`,
          );
          const inQueue = [...this.#jobs.values()].filter(
            (job) => job.boot.queue.name === queue.name && job.phase !== "ended",
          );
          oracle.must(
            inQueue.length < queue.limits.maxPilots,
            "submissions",
            () =>
              `queue ${queue.name} gets pilot ${inQueue.length + 1} of ${queue.limits.maxPilots}`,
          );
          this.#create(submissionId, boot);
        });
        await process.clock.sleep(210);
        await takes();
        if (fails) throw new Error("the batch system did not answer");
        return { batchId: this.#jobs.get(submissionId)?.batchId ?? "?" };
      },
      statusOf: async (ids) => {
        await takes();
        return new Map(ids.map((id) => [id, this.#truthOf(id)]));
      },
      remove: async (submissionId) => {
        await takes();
        const job = this.#jobs.get(submissionId);
        if (job !== undefined && !this.#isOut()) this.#remove(job);
      },
      capabilities: () => ({ restartsJobs: true, statusChunk: 100 }),
    };
  }

  #isOut(): boolean {
    return this.outageUntilMs > this.#cluster.scheduler.nowMs;
  }

  #isRefusing(): boolean {
    return this.refusesUntilMs > this.#cluster.scheduler.nowMs;
  }

  #truthOf(submissionId: string): BatchTruth {
    if (this.#isOut()) return { type: "commandFailed", detail: "connection timed out" };
    if (!this.#cluster.isCalm && this.#random.chance(0.01))
      return { type: "unknown", detail: "no such answer" };
    const job = this.#jobs.get(submissionId);
    if (job === undefined) return { type: "ended", detail: "there is no such job" };
    if (job.phase === "ended") return { type: "ended", detail: job.detail };
    return { type: "active", phase: job.phase, detail: job.detail };
  }

  #create(submissionId: string, boot: BootFile): void {
    this.#lastNumber += 1;
    const job: Job = {
      submissionId,
      batchId: String(this.#lastNumber),
      boot,
      phase: "queued",
      detail: "",
      pilot: null,
      starts: 0,
    };
    this.#jobs.set(submissionId, job);
    this.#enqueue(job);
  }

  #enqueue(job: Job): void {
    job.phase = "queued";
    const delayMs = this.#random.between(200, this.#random.chance(0.15) ? 60_000 : 4_000);
    this.#cluster.scheduler.after(delayMs, () => {
      if (job.phase === "queued") this.#start(job);
    });
  }

  #start(job: Job): void {
    const { isCalm } = this.#cluster;
    job.phase = "running";
    job.starts += 1;
    // Nodes that were drained while faults reigned stay so: calm times come with nodes of their own.
    const node = isCalm ? `calm${this.#random.below(2)}` : this.#random.pick(this.#nodes);
    const pilot = startPilot(this.#cluster, {
      boot: job.boot,
      node,
      number: this.pilots.length,
      onEnd: (detail) => {
        if (job.pilot === pilot) this.#ended(job, detail);
      },
    });
    job.pilot = pilot;
    this.pilots.push(pilot);
  }

  #ended(job: Job, detail: string): void {
    job.phase = "ended";
    job.detail = detail;
    job.pilot = null;
  }

  #remove(job: Job): void {
    const { pilot } = job;
    if (job.phase === "ended") return;
    if (pilot === null) return this.#ended(job, "removed");
    pilot.terminate();
    this.#cluster.scheduler.after(KILL_AFTER_MS, () => pilot.kill("removed"));
  }

  #jobOf(pilot: PilotHandle): Job | undefined {
    for (const job of this.#jobs.values()) if (job.pilot === pilot) return job;
    return undefined;
  }

  /** SIGTERM, SIGKILL after the grace, and perhaps another start. */
  evict(pilot: PilotHandle, { graceMs, isRequeued }: Eviction): void {
    const job = this.#jobOf(pilot);
    if (job === undefined) return pilot.kill("evicted");
    const end = (): void => {
      if (job.pilot !== pilot) return;
      job.pilot = null;
      pilot.kill("evicted");
      this.#again(job, isRequeued, "evicted");
    };
    pilot.terminate();
    if (graceMs === 0) return end();
    this.#cluster.scheduler.after(graceMs, end);
  }

  #again(job: Job, isRequeued: boolean, detail: string): void {
    if (isRequeued && job.starts < STARTS_MAX) this.#enqueue(job);
    else this.#ended(job, detail);
  }

  /** The node loses its power; the batch system notices after a while. */
  crashNode(pilot: PilotHandle, noticeMs: number, isRequeued: boolean): void {
    const gone = this.alive.filter(({ node }) => node === pilot.node);
    for (const one of gone) {
      const job = this.#jobOf(one);
      if (job !== undefined) job.pilot = null;
      this.#cluster.network.unplug(one.process);
      one.kill("node lost");
      this.#cluster.scheduler.after(noticeMs, () => {
        if (job?.phase === "running" && job.pilot === null)
          this.#again(job, isRequeued, "node lost");
      });
    }
  }

  /** The batch system takes a job for lost and forgets it, or starts it again, while its pilot lives on. */
  loseJob(pilot: PilotHandle, isRequeued: boolean): void {
    const job = this.#jobOf(pilot);
    if (job === undefined) return;
    job.pilot = null;
    this.#again(job, isRequeued, "lost");
  }
}
