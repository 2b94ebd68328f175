/** Failures of evaluations, grouped by cause, node and queue. Pure. */
import { SITE } from "../../../protocol/limits.ts";
import type { ErrorGroup } from "../../../protocol/site.ts";
import { mayTouch } from "../../auth/access.ts";
import type { Core } from "../../core.ts";
import type { EventOf, HyperpilotEvent } from "../../events.ts";
import type { Principal } from "../../inbox.ts";
import { failureOf } from "../../queues/tally.ts";
import { isoTime } from "../tasks.ts";

export interface ErrorFilter {
  readonly queue?: string | undefined;
  readonly node?: string | undefined;
}

interface Group {
  readonly queue: string;
  readonly node: string;
  readonly cause: string;
  count: number;
  readonly tasks: Set<number>;
  readonly firstMs: number;
  lastMs: number;
  message: string;
  /** The message is the node's own, not that of a user's program. */
  isNodes: boolean;
  last: { readonly taskId: number; readonly pointId: string };
}

/** More groups than can be read are dropped, the rarest first. */
const GROUPS_MAX = 10 * SITE.answerRowsMax;

/** Takes events one by one. */
export class ErrorGroups {
  readonly #groups = new Map<string, Group>();
  readonly #filter: ErrorFilter;
  #dropped = false;

  constructor(filter: ErrorFilter) {
    this.#filter = filter;
  }

  add(event: HyperpilotEvent): void {
    if (event.type !== "attemptEnded" && event.type !== "leaseEnded") return;
    if (!isFailure(event)) return;
    const { node, queue = "", taskId, atMs } = event;
    if (this.#filter.node !== undefined && this.#filter.node !== node) return;
    if (this.#filter.queue !== undefined && this.#filter.queue !== queue) return;
    const { cause, message } = failureOf(event);
    const key = JSON.stringify([cause, node, queue]);
    let group = this.#groups.get(key);
    if (group === undefined) {
      if (this.#groups.size >= GROUPS_MAX) return void (this.#dropped = true);
      const none = { count: 0, tasks: new Set<number>(), firstMs: atMs };
      const last = { taskId, pointId: "" };
      group = { queue, node, cause, ...none, lastMs: atMs, message, isNodes: false, last };
      this.#groups.set(key, group);
    }
    group.count += 1;
    if (group.tasks.size < SITE.answerRowsMax) group.tasks.add(taskId);
    group.lastMs = atMs;
    group.message = message;
    group.isNodes = event.type === "leaseEnded";
    group.last = { taskId, pointId: event.pointId ?? "" };
  }

  /** The most frequent first. */
  views(core: Core, principal: Principal): { items: ErrorGroup[]; truncated: boolean } {
    const all = [...this.#groups.values()].sort((a, b) => b.count - a.count || b.lastMs - a.lastMs);
    return {
      items: all.slice(0, SITE.answerRowsMax).map((group) => groupView(core, principal, group)),
      truncated: this.#dropped || all.length > SITE.answerRowsMax,
    };
  }
}

function isFailure(event: EventOf<"attemptEnded" | "leaseEnded">): boolean {
  if (event.type === "leaseEnded") return event.interruption && event.pointId !== null;
  return event.outcome.type !== "loss" && event.outcome.type !== "diverged";
}

function groupView(core: Core, principal: Principal, group: Group): ErrorGroup {
  const { queue, node, cause, count, tasks, firstMs, lastMs, last } = group;
  const owner = core.tasks.get(last.taskId)?.owner ?? "";
  const mayRead = group.isNodes || mayTouch(principal, owner);
  return {
    queue,
    node,
    cause,
    count,
    tasks: tasks.size,
    firstAt: isoTime(firstMs),
    lastAt: isoTime(lastMs),
    example: mayRead ? group.message : null,
    lastTask: { ...last, owner },
  };
}
