/** Server-sent events of one search: its details each time it has changed. */
import type { ServerResponse } from "node:http";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { SERVER } from "../../protocol/limits.ts";
import { isEnded } from "../../protocol/states.ts";
import type { TaskDetail } from "../../protocol/rest.ts";
import type { Timer } from "../../common/clock.ts";
import { taskDetail } from "../views/tasks.ts";
import { taskWarnings } from "../views/warnings.ts";
import type { Call, Handlers } from "./call.ts";
import { visibleTask, type RestDeps } from "./context.ts";

/** Unread bytes after which a watcher that does not read is let go. */
const UNREAD_BYTES_MAX = 1_048_576;

export interface Watching {
  readonly handlers: Pick<Handlers, "watchTask">;
  /** Ends all streams. */
  stop(): void;
}

export function createWatching(deps: RestDeps): Watching {
  const watchers = new Set<Watcher>();
  return {
    handlers: {
      watchTask: async (call) => {
        if (watchers.size >= SERVER.watchersMax) throw new HyperpilotError(TOO_MANY);
        const watcher = new Watcher(deps, call, () => void watchers.delete(watcher));
        watchers.add(watcher);
        try {
          await watcher.start();
        } catch (error) {
          watcher.end();
          throw error;
        }
        return undefined;
      },
    },
    stop: () => {
      for (const watcher of [...watchers]) watcher.end();
    },
  };
}

interface Seen {
  readonly version: number;
  readonly warnings: string;
  readonly detail: TaskDetail | null;
}

class Watcher {
  private readonly deps: RestDeps;
  private readonly call: Call<"watchTask">;
  private readonly onEnd: () => void;
  private response: ServerResponse | null = null;
  private version = -1;
  private warnings = "";
  private lastWriteMs = 0;
  private timer: Timer | null = null;
  private hasEnded = false;

  constructor(deps: RestDeps, call: Call<"watchTask">, onEnd: () => void) {
    this.deps = deps;
    this.call = call;
    this.onEnd = onEnd;
  }

  /** Looks for the first time, so that a task that may not be seen is answered as an error, then takes the response over. */
  async start(): Promise<void> {
    const first = await this.look();
    if (this.hasEnded) return;
    const { reply } = this.call;
    reply.hijack();
    const response = reply.raw;
    this.response = response;
    response.on("close", () => this.end());
    response.on("error", (error) => this.deps.log.info("watcherGone", { error: errorText(error) }));
    for (const [name, value] of Object.entries(reply.getHeaders()))
      if (value !== undefined) response.setHeader(name, value);
    response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    this.show(first);
  }

  end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.timer?.cancel();
    this.response?.end();
    this.onEnd();
  }

  /** The task's details if they have changed. Errors: E_NOT_FOUND, E_UNAUTHENTICATED once the token was revoked. */
  private look(): Promise<Seen> {
    const { caller, params } = this.call;
    return this.deps.engine.read((core, live) => {
      if (core.tokens.get(caller.tokenId)?.revoked !== false) {
        throw new HyperpilotError({
          code: "E_UNAUTHENTICATED",
          message: "The token was revoked.",
          remedy: "Ask an administrator for a new one.",
        });
      }
      const task = visibleTask(core, caller.principal, params.taskId);
      const { version } = task;
      // Pilots' warnings come and go beside the task.
      const warnings = taskWarnings(core, live, task);
      const seen = { version, warnings: warnings.join("\n") };
      if (version === this.version && seen.warnings === this.warnings)
        return { ...seen, detail: null };
      const detail = taskDetail(task);
      return { ...seen, detail: { ...detail, warnings: [...detail.warnings, ...warnings] } };
    });
  }

  private show({ version, warnings, detail }: Seen): void {
    if (this.hasEnded || this.response === null) return;
    if (this.response.writableLength > UNREAD_BYTES_MAX) return void this.response.destroy();
    const nowMs = this.deps.clock.monotonicMs();
    if (detail !== null) {
      this.version = version;
      this.warnings = warnings;
      this.write(`event: task\ndata: ${JSON.stringify(detail)}\n\n`);
      if (isEnded(detail.state)) {
        this.end();
        return;
      }
    } else if (nowMs - this.lastWriteMs >= SERVER.watchHeartbeatMs) {
      this.write(": still here\n\n");
    }
    this.timer = this.deps.clock.setTimer(SERVER.watchIntervalMs, () => this.again());
  }

  private again(): void {
    this.look().then(
      (seen) => this.show(seen),
      (error: unknown) => {
        this.deps.log.info("watcherEnded", { error: errorText(error) });
        this.end();
      },
    );
  }

  private write(text: string): void {
    this.lastWriteMs = this.deps.clock.monotonicMs();
    this.response?.write(text);
  }
}

const TOO_MANY = {
  code: "E_LIMIT",
  message: `The server keeps ${SERVER.watchersMax} streams open at a time.`,
  remedy: "Use 'hyperpilot task show', or try again later.",
} as const;
