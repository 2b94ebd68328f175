/** Which runtimes a pilot has, and which of them an image gets. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { Runtime } from "./runtime.ts";

/** A runtime that was looked at before the chosen one, and why it is not it. */
export interface TriedRuntime {
  readonly name: string;
  readonly reason: string;
}

export interface RuntimeChoice {
  /** Those that passed their self-test, in the order of the ladder; at least one. */
  readonly runtimes: readonly Runtime[];
  readonly tried: readonly TriedRuntime[];
}

/**
 * The runtime that the queue names or, with `auto`, all candidates that pass their self-test. `auto` never takes `none`:
 * payloads run uncontained only where the operator wrote it. Errors: E_RUNTIME_MISSING.
 */
export async function workingRuntimes(
  configured: QueueConfig["runtime"],
  candidates: readonly Runtime[],
): Promise<RuntimeChoice> {
  const eligible = candidates.filter((runtime) =>
    configured === "auto" ? runtime.name !== "none" : runtime.name === configured,
  );
  const results = await Promise.all(
    eligible.map(async (runtime) => ({ runtime, result: await runtime.selfTest() })),
  );
  const runtimes: Runtime[] = [];
  const tried: TriedRuntime[] = [];
  for (const { runtime, result } of results) {
    if (result.works) runtimes.push(runtime);
    else tried.push({ name: runtime.name, reason: result.reason });
  }
  if (runtimes.length > 0) return { runtimes, tried };
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

/** The first of the ladder that runs images of this form. Errors: E_IMAGE. */
export function runtimeFor(image: string, runtimes: readonly Runtime[]): Runtime {
  const found = runtimes.find((runtime) => runtime.supports(image));
  if (found !== undefined) return found;
  throw new HyperpilotError({
    code: "E_IMAGE",
    message: `image ${image} cannot be run on this node`,
    why: `its container runtimes (${runtimes.map((runtime) => runtime.name).join(", ")}) do not run images of this form`,
    remedy: "use an image of another form, or a queue whose nodes have another container runtime",
  });
}

/** Names for the pilot's capacity: the one that `host:` images get first, then the ladder's order. */
export function runtimeNames(runtimes: readonly Runtime[]): readonly string[] {
  const forHost = runtimes.find((runtime) => runtime.supports("host:"));
  const others = runtimes.filter((runtime) => runtime !== forHost);
  return [...(forHost === undefined ? [] : [forHost]), ...others].map((runtime) => runtime.name);
}
