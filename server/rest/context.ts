/** What the routes work with. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { TaskId } from "../../protocol/ids.ts";
import type { Clock } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { mayTouch } from "../auth/access.ts";
import type { LeaseTokens } from "../auth/lease-tokens.ts";
import type { SessionTokens } from "../auth/session-tokens.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Core, Point, Task } from "../core.ts";
import type { Engine } from "../engine.ts";
import type { Sessions } from "../gateway/sessions.ts";
import type { Principal } from "../inbox.ts";
import type { Journal } from "../journal/journal.ts";
import type { Logs } from "../logs.ts";
import type { RegistrySecrets } from "../secrets/registry-secrets.ts";
import type { Gauges } from "../views/admin.ts";

export interface RestDeps {
  readonly engine: Engine;
  readonly blobs: Blobs;
  readonly logs: Logs;
  readonly journal: Pick<Journal, "event" | "read">;
  readonly sessions: Pick<Sessions, "isAlive" | "cut" | "closeOfToken" | "count">;
  readonly sessionTokens: SessionTokens;
  readonly leaseTokens: LeaseTokens;
  /** A backup as of now; `seq`: number of the last event, about. */
  readonly backup: (seq: number) => AsyncIterable<Uint8Array>;
  readonly secrets: RegistrySecrets;
  readonly clock: Clock;
  readonly log: Logger;
  /** Figures of the process: version, memory, free disk space, event loop. */
  readonly gauges: () => Promise<Omit<Gauges, "sessions" | "inboxItems" | "syncMsP99">>;
}

/**
 * The task, if the principal may see it: others learn no more than of one that does not exist. Ownership never changes,
 * so what passes here may be changed in a later turn too. Errors: E_NOT_FOUND.
 */
export function visibleTask(core: Core, principal: Principal, taskId: TaskId): Task {
  const task = core.tasks.get(taskId);
  if (task !== undefined && mayTouch(principal, task.owner)) return task;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no task ${taskId} of yours.`,
    remedy: "hyperpilot task list",
  });
}

/** Errors: E_NOT_FOUND. */
export function pointIn(task: Task, pointId: string): Point {
  const point = task.points.get(pointId);
  if (point !== undefined) return point;
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `Task ${task.id} has no point ${pointId}.`,
    remedy: `hyperpilot task points ${task.id}`,
  });
}
