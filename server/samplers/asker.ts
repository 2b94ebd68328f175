/** Owner of the one worker thread in which built-in steering runs, so that no ask delays the reactor. */
import type { Worker } from "node:worker_threads";
import { startThread } from "../../common/program-files.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import type { AskAnswer, AskRequest } from "./sampler.ts";

/** The Asker port: who answers asks of built-in steering. */
export interface Asker {
  /**
   * Asks are answered one after another. Errors: E_STEERING when the sampler fails, crashes or takes longer than the time-out,
   * which begins when its turn has come; nobody else's ask fails with it.
   */
  ask(request: AskRequest, timeoutSeconds?: number): Promise<AskAnswer>;
  close(): Promise<void>;
}

interface Waiting {
  readonly id: number;
  readonly request: AskRequest;
  readonly timeoutSeconds: number;
  readonly resolve: (answer: AskAnswer) => void;
  readonly reject: (error: HyperpilotError) => void;
}

type Reply =
  | { readonly id: number; readonly ok: true; readonly answer: AskAnswer }
  | { readonly id: number; readonly ok: false; readonly reason: string };

/** The worker is started with the first ask and again after a crash. */
export function createAsker(): Asker {
  return new WorkerAsker();
}

class WorkerAsker implements Asker {
  #worker: Worker | null = null;
  #current: Waiting | null = null;
  #timer: NodeJS.Timeout | undefined;
  #queue: Waiting[] = [];
  #nextId = 1;

  ask(
    request: AskRequest,
    timeoutSeconds: number = TASK.steeringTimeoutSeconds,
  ): Promise<AskAnswer> {
    return new Promise((resolve, reject) => {
      this.#queue.push({ id: this.#nextId, request, timeoutSeconds, resolve, reject });
      this.#nextId += 1;
      this.#goOn();
    });
  }

  async close(): Promise<void> {
    const former = this.#worker;
    this.#worker = null;
    const waiting = this.#queue;
    this.#queue = [];
    this.#end()?.reject(steeringError("the server is stopping"));
    for (const one of waiting) one.reject(steeringError("the server is stopping"));
    await former?.terminate();
  }

  #goOn(): void {
    if (this.#current !== null) return;
    const next = this.#queue.shift();
    if (next === undefined) return;
    this.#current = next;
    const { id, request, timeoutSeconds } = next;
    const ms = Math.min(timeoutSeconds * 1_000, TIMER_MS_MAX);
    this.#timer = setTimeout(() => this.#retire(`no answer within ${timeoutSeconds} s`), ms);
    this.#timer.unref();
    this.#running().postMessage({ id, request });
  }

  /** The ask whose turn it was; its turn is over. */
  #end(): Waiting | null {
    clearTimeout(this.#timer);
    const current = this.#current;
    this.#current = null;
    return current;
  }

  /** Gives the worker up, and with it the ask that it works on. */
  #retire(reason: string): void {
    const former = this.#worker;
    this.#worker = null;
    void former?.terminate();
    this.#end()?.reject(steeringError(reason));
    this.#goOn();
  }

  #running(): Worker {
    if (this.#worker !== null) return this.#worker;
    const started = startThread("asker");
    started.on("message", (reply: Reply) => {
      if (this.#current?.id !== reply.id) return;
      const one = this.#end();
      if (reply.ok) one?.resolve(reply.answer);
      else one?.reject(steeringError(reply.reason));
      this.#goOn();
    });
    const onGone = (reason: string): void => {
      if (this.#worker === started) this.#retire(reason);
    };
    started.on("error", (error) => onGone(error instanceof Error ? error.message : String(error)));
    started.on("exit", () => onGone("the worker of built-in steering ended"));
    this.#worker = started;
    return started;
  }
}

/** Longest delay of a timer. */
const TIMER_MS_MAX = 2_147_483_647;

function steeringError(reason: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_STEERING",
    message: "Built-in steering did not answer.",
    why: reason,
    remedy: "It is asked again, three times in all.",
  });
}
