/** Who ran what on a node at a time, from the leases in the journal. Pure. */
import { SITE } from "../../../protocol/limits.ts";
import type { TraceEntry } from "../../../protocol/site.ts";
import type { Core } from "../../core.ts";
import type { EventOf, HyperpilotEvent } from "../../events.ts";
import { isoTime } from "../tasks.ts";

export interface TraceQuestion {
  readonly node: string;
  /** Wall clock, milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

interface Open {
  readonly taskId: number;
  readonly item: string;
  readonly queue: string;
  readonly pilotId: string;
  readonly slot: number;
  readonly startedMs: number;
}

/** Takes events one by one; jobs that began before the first of them are not known. */
export class Trace {
  readonly #question: TraceQuestion;
  /** "<task>:<job>" to the job's queue, of jobs on the node. */
  readonly #jobs = new Map<string, string>();
  readonly #open = new Map<string, Open>();
  readonly #entries: {
    readonly lease: Open;
    readonly endedMs: number | null;
    readonly how: string;
  }[] = [];
  #truncated = false;

  constructor(question: TraceQuestion) {
    this.#question = question;
  }

  /** False: no later event belongs to the answer. */
  add(event: HyperpilotEvent): boolean {
    switch (event.type) {
      case "jobStarted":
        if (event.node === this.#question.node)
          this.#jobs.set(`${event.taskId}:${event.jobId}`, event.queue);
        break;
      case "jobEnded":
        this.#jobs.delete(`${event.taskId}:${event.jobId}`);
        break;
      case "leaseGranted":
        this.#grant(event);
        break;
      case "attemptEnded":
        this.#end(keyOf(event.taskId, event.pointId), event.atMs, event.outcome.type);
        break;
      case "leaseEnded":
        this.#end(keyOf(event.taskId, event.pointId), event.atMs, event.reason);
        break;
      case "pointFinal":
        this.#end(keyOf(event.taskId, event.pointId), event.atMs, event.state);
        break;
      case "runAnswered":
      case "runFailed":
        this.#end(
          keyOf(event.taskId, null),
          event.atMs,
          event.type === "runAnswered" ? "answered" : "failed",
        );
        break;
      default:
        break;
    }
    return event.atMs <= this.#question.toMs || this.#open.size > 0;
  }

  #grant(event: EventOf<"leaseGranted">): void {
    const { taskId, pointId, jobId, pilotId, slot, atMs } = event;
    const queue = jobId === null ? undefined : this.#jobs.get(`${taskId}:${jobId}`);
    const isHere = jobId === null ? event.node === this.#question.node : queue !== undefined;
    if (!isHere || atMs > this.#question.toMs) return;
    const item = pointId === null ? `${taskId}:run` : `${taskId}/${pointId}`;
    const lease = { taskId, item, queue: queue ?? "", pilotId, slot, startedMs: atMs };
    this.#open.set(keyOf(taskId, pointId), lease);
  }

  #end(key: string, endedMs: number, how: string): void {
    const lease = this.#open.get(key);
    if (lease === undefined) return;
    this.#open.delete(key);
    this.#note(lease, endedMs, how);
  }

  #note(lease: Open, endedMs: number | null, how: string): void {
    if (endedMs !== null && endedMs < this.#question.fromMs) return;
    if (this.#entries.length >= SITE.answerRowsMax) this.#truncated = true;
    else this.#entries.push({ lease, endedMs, how });
  }

  /** In the order in which they began. */
  views(core: Core): { items: TraceEntry[]; truncated: boolean } {
    for (const lease of this.#open.values()) this.#note(lease, null, "running");
    this.#open.clear();
    const entries = this.#entries.sort((a, b) => a.lease.startedMs - b.lease.startedMs);
    const items = entries.map(({ lease, endedMs, how }) => ({
      node: this.#question.node,
      queue: lease.queue,
      taskId: lease.taskId,
      owner: core.tasks.get(lease.taskId)?.owner ?? "",
      item: lease.item,
      pilotId: lease.pilotId,
      slot: lease.slot,
      startedAt: isoTime(lease.startedMs),
      endedAt: endedMs === null ? null : isoTime(endedMs),
      how,
    }));
    return { items, truncated: this.#truncated };
  }
}

function keyOf(taskId: number, pointId: string | null): string {
  return pointId === null ? `${taskId}:run` : `${taskId}/${pointId}`;
}
