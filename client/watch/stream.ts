/** Server-sent events of one task, across restarts of the server. */
import { createBackoff } from "../../common/backoff.ts";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { TaskId } from "../../protocol/ids.ts";
import { TaskDetail } from "../../protocol/rest.ts";
import { isEnded } from "../../protocol/states.ts";
import type { Api } from "../api.ts";

/** A stream that is silent for so long is opened again; the server sends at least a comment more often. */
const SILENCE_MS_MAX = 90_000;
/** Time without the server after which watching is given up. */
const AWAY_MS_MAX = 600_000;
const EVENT_CHARACTERS_MAX = 8_000_000;

export interface Watch {
  readonly api: Api;
  readonly taskId: TaskId;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** The server is gone (with the reason), or back (null). */
  readonly onAway: (reason: string | null) => void;
}

/** Each state that the server sends, up to that of the task's end. Errors: as the API's; E_UNREACHABLE after 10 minutes. */
export async function* taskStates(watch: Watch): AsyncGenerator<TaskDetail> {
  const { clock, signal } = watch;
  const backoff = createBackoff(500, 10_000, Math.random);
  let hasSeen = false;
  let awaySinceMs: number | null = null;
  for (;;) {
    try {
      for await (const detail of oneStream(watch)) {
        if (awaySinceMs !== null) watch.onAway(null);
        hasSeen = true;
        awaySinceMs = null;
        backoff.reset();
        yield detail;
        if (isEnded(detail.state)) return;
      }
    } catch (error) {
      if (isAborted(signal)) return;
      const mayComeBack = error instanceof HyperpilotError && error.code === "E_UNREACHABLE";
      // Never seen: most likely it is not started at all.
      if (!mayComeBack || !hasSeen) throw error;
      awaySinceMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - awaySinceMs > AWAY_MS_MAX) throw error;
      watch.onAway(error.message);
    }
    await clock.sleep(backoff.next(), signal).catch(() => undefined);
    if (isAborted(signal)) return;
  }
}

/** A call, because the compiler takes the property for constant. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}

async function* oneStream(watch: Watch): AsyncGenerator<TaskDetail> {
  const { api, taskId, clock, signal } = watch;
  const response = await api.open("watchTask", {
    params: { taskId },
    accept: "text/event-stream",
    signal,
  });
  if (response.body === null) return;
  const parser = new EventParser();
  const decoder = new TextDecoder();
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  // Not left to the signal of the request: once its head has come, fetch may forget it at the next collection of garbage.
  const end = (): void => void reader.cancel().catch(() => undefined);
  signal.addEventListener("abort", end, { once: true });
  const silence = new AbortController();
  try {
    if (isAborted(signal)) return;
    for (;;) {
      const timer = clock.setTimer(SILENCE_MS_MAX, () => {
        silence.abort();
        end();
      });
      const { done, value } = await reader
        .read()
        .catch((error: unknown) => Promise.reject(broken(error)))
        .finally(() => timer.cancel());
      if (isAborted(silence.signal))
        throw broken(new Error(`nothing came for ${SILENCE_MS_MAX / 1_000} s`));
      if (done) return;
      for (const data of parser.push(decoder.decode(value, { stream: true }))) {
        yield parseDetail(data);
      }
    }
  } finally {
    signal.removeEventListener("abort", end);
    end();
  }
}

function broken(error: unknown): HyperpilotError {
  const parts = { code: "E_UNREACHABLE", message: "The connection to the server broke." } as const;
  return new HyperpilotError({ ...parts, remedy: "Trying again is safe." }, error);
}

function parseDetail(data: string): TaskDetail {
  try {
    return TaskDetail.parse(JSON.parse(data));
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_PROTOCOL",
        message: "The server's events are not understood.",
        remedy: "Check that client and server have the same version.",
      },
      error,
    );
  }
}

/** Cuts a text/event-stream into the data of its events. */
export class EventParser {
  private rest = "";
  private data: string[] = [];
  private characters = 0;

  push(text: string): string[] {
    const lines = (this.rest + text).split(/\r\n|\n|\r(?!$)/);
    this.rest = lines.pop() ?? "";
    const events: string[] = [];
    for (const line of lines) {
      if (line === "") {
        if (this.data.length > 0) events.push(this.data.join("\n"));
        this.data = [];
        this.characters = 0;
      } else if (line.startsWith("data:")) {
        this.data.push(line.slice(line[5] === " " ? 6 : 5));
        this.characters += line.length;
      }
    }
    if (this.rest.length + this.characters > EVENT_CHARACTERS_MAX) {
      throw new HyperpilotError({
        code: "E_TOO_LARGE",
        message: `An event of the server has more than ${EVENT_CHARACTERS_MAX} characters.`,
        remedy: "Check that the address is that of a Hyperpilot server.",
      });
    }
    return events;
  }
}
