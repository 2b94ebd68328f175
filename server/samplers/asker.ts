/** Owner of the one worker thread in which built-in steering runs, so that no ask delays the reactor. */
import { Worker } from "node:worker_threads";
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import type { AskAnswer, AskRequest } from "./sampler.ts";

/** The Asker port: who answers asks of built-in steering. */
export interface Asker {
  /** Errors: E_STEERING when the sampler fails, crashes or takes longer than the steering time-out. */
  ask(request: AskRequest): Promise<AskAnswer>;
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (answer: AskAnswer) => void;
  readonly reject: (error: HyperpilotError) => void;
  readonly timer: NodeJS.Timeout;
}

type Reply =
  | { readonly id: number; readonly ok: true; readonly answer: AskAnswer }
  | { readonly id: number; readonly ok: false; readonly reason: string };

/** The worker is started with the first ask and again after a crash. */
export function createAsker(timeoutMs: number = TASK.steeringTimeoutSeconds * 1_000): Asker {
  const waiting = new Map<number, Waiting>();
  let worker: Worker | null = null;
  let nextId = 1;

  function failAll(reason: string): void {
    const all = [...waiting.values()];
    waiting.clear();
    for (const one of all) {
      clearTimeout(one.timer);
      one.reject(steeringError(reason));
    }
  }

  function retire(reason: string): void {
    const former = worker;
    worker = null;
    failAll(reason);
    void former?.terminate();
  }

  function running(): Worker {
    if (worker !== null) return worker;
    const started = startWorker();
    started.on("message", (reply: Reply) => {
      const one = waiting.get(reply.id);
      if (one === undefined) return;
      waiting.delete(reply.id);
      clearTimeout(one.timer);
      if (reply.ok) one.resolve(reply.answer);
      else one.reject(steeringError(reply.reason));
    });
    const onGone = (reason: string) => () => {
      if (worker === started) retire(reason);
    };
    started.on("error", (error) =>
      onGone(error instanceof Error ? error.message : String(error))(),
    );
    started.on("exit", onGone("the worker of built-in steering ended"));
    worker = started;
    return started;
  }

  return {
    ask: (request) =>
      new Promise((resolve, reject) => {
        const id = nextId;
        nextId += 1;
        const timer = setTimeout(
          () => retire(`no answer within ${timeoutMs / 1_000} s`),
          timeoutMs,
        );
        timer.unref();
        waiting.set(id, { resolve, reject, timer });
        running().postMessage({ id, request });
      }),
    close: async () => {
      const former = worker;
      worker = null;
      failAll("the server is stopping");
      await former?.terminate();
    },
  };
}

function startWorker(): Worker {
  const isSource = import.meta.url.endsWith(".ts");
  if (!isSource) return new Worker(new URL("./worker.js", import.meta.url));
  // Under a TypeScript loader the worker needs the loader too, and --import does not reach worker threads on Node 20.
  const entry = new URL("./worker.ts", import.meta.url).href;
  const source = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(entry)}); });`;
  return new Worker(source, { eval: true });
}

function steeringError(reason: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_STEERING",
    message: "Built-in steering did not answer.",
    why: reason,
    remedy: "It is asked again, three times in all.",
  });
}
