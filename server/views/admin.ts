/** Tokens and the server's health as REST shows them. Pure. */
import { SERVER } from "../../protocol/limits.ts";
import { formatBytes } from "../../protocol/resources.ts";
import type { StatusView, TokenView } from "../../protocol/rest.ts";
import { TASK_STATES, type TaskState } from "../../protocol/states.ts";
import type { Core } from "../core.ts";
import type { Live } from "../live.ts";
import { isoTime } from "./tasks.ts";

export function tokenViews(core: Core): TokenView[] {
  return [...core.tokens.values()].map(({ id, name, role, revoked, createdAtMs }) => ({
    id,
    name,
    user: role.user,
    roles: [...role.roles],
    revoked,
    createdAt: isoTime(createdAtMs),
  }));
}

/** Figures of the process that core and live do not hold. */
export interface Gauges {
  readonly version: string;
  readonly startedAtMs: number;
  readonly dataDirectory: string;
  readonly sessions: number;
  readonly inboxItems: number;
  readonly memoryBytes: number;
  readonly eventLoopLagMsP99: number;
  readonly syncMsP99: number;
  /** Free space where the data directory lies. */
  readonly freeBytes: number;
}

export function statusView(core: Core, live: Live, gauges: Gauges): StatusView {
  const tasks = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<
    TaskState,
    number
  >;
  let points = 0;
  for (const task of core.tasks.values()) {
    tasks[task.state] += 1;
    points += task.points.size;
  }
  return {
    version: gauges.version,
    startedAt: isoTime(gauges.startedAtMs),
    dataDirectory: gauges.dataDirectory,
    sessions: gauges.sessions,
    inboxItems: gauges.inboxItems,
    memoryBytes: gauges.memoryBytes,
    eventLoopLagMsP99: gauges.eventLoopLagMsP99,
    syncMsP99: gauges.syncMsP99,
    journal: { seq: core.seq, incarnation: core.incarnation },
    tasks,
    points,
    pilots: [...live.pilots.values()].filter(({ session }) => session !== null).length,
    harvesters: live.harvesters.size,
    checks: checks(core, live, gauges),
  };
}

const SYNC_MS_SLOW = 100;
const LAG_MS_SLOW = 200;
const FREE_BYTES_LOW = 1_000_000_000;

function checks(core: Core, live: Live, gauges: Gauges): StatusView["checks"] {
  const drained = [...core.nodes.values()].filter((node) => node.drained).length;
  return [
    {
      name: "disk space",
      ok: gauges.freeBytes >= FREE_BYTES_LOW,
      detail: `${formatBytes(gauges.freeBytes)} free`,
      remedy: `Free space on the disk of ${gauges.dataDirectory}; the server stops when it is full.`,
    },
    {
      name: "journal",
      ok: gauges.syncMsP99 < SYNC_MS_SLOW,
      detail: `99 of 100 batches are on disk within ${gauges.syncMsP99.toFixed(1)} ms`,
      remedy: "Put the data directory on a faster local disk.",
    },
    {
      name: "inbox",
      ok: gauges.inboxItems < SERVER.inboxItemsMax / 2,
      detail: `${gauges.inboxItems} of at most ${SERVER.inboxItemsMax} messages wait`,
      remedy: "Give the server a faster CPU, or fewer pilots with longer evaluations.",
    },
    {
      name: "event loop",
      ok: gauges.eventLoopLagMsP99 < LAG_MS_SLOW,
      detail: `late by ${gauges.eventLoopLagMsP99.toFixed(0)} ms in 1 of 100 cases`,
      remedy: "Look for other programs that use this machine's CPUs.",
    },
    {
      name: "harvesters",
      ok: core.queues.size === 0 || live.harvesters.size > 0,
      detail: `${live.harvesters.size} connected, ${core.queues.size} queues`,
      remedy: "Start one: hyperpilot harvester",
    },
    {
      name: "nodes",
      ok: drained === 0,
      detail: `${drained} drained`,
      remedy: "Look at why they were drained: hyperpilot site pilots",
    },
  ];
}
