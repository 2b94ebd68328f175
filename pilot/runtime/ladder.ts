import { HyperpilotError } from "../../protocol/errors.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { Runtime } from "./runtime.ts";

/** A runtime that was looked at before the chosen one, and why it is not it. */
export interface TriedRuntime {
  readonly name: string;
  readonly reason: string;
}

export interface RuntimeChoice {
  readonly runtime: Runtime;
  readonly tried: readonly TriedRuntime[];
}

/**
 * The runtime that the queue names or, with `auto`, the first candidate that passes its self-test. `auto` never takes
 * `none`: payloads run uncontained only where the operator wrote it. Errors: E_RUNTIME_MISSING.
 */
export async function chooseRuntime(
  configured: QueueConfig["runtime"],
  candidates: readonly Runtime[],
): Promise<RuntimeChoice> {
  const eligible = candidates.filter((runtime) =>
    configured === "auto" ? runtime.name !== "none" : runtime.name === configured,
  );
  const tried: TriedRuntime[] = [];
  for (const runtime of eligible) {
    const result = await runtime.selfTest();
    if (result.works) return { runtime, tried };
    tried.push({ name: runtime.name, reason: result.reason });
  }
  const looked = tried.map((each) => `${each.name}: ${each.reason}`).join("; ");
  throw new HyperpilotError({
    code: "E_RUNTIME_MISSING",
    message:
      configured === "auto"
        ? "no container runtime works on this node"
        : `the runtime "${configured}" of the queue does not work on this node`,
    why: looked === "" ? "this pilot knows no such runtime" : looked,
    remedy:
      'install bubblewrap or apptainer (Debian: apt-get install bubblewrap), or write runtime = "none" into the queue to run payloads without a sandbox',
  });
}
