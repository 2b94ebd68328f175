/** What evaluations on this machine may read: the system's directories, and what the local queue lets them. */
import { realpathSync } from "node:fs";
import { resolve } from "node:path";
import { HyperpilotError } from "../../protocol/errors.ts";
import { HOST_SYSTEM_PATHS, isBelow } from "../../protocol/host-paths.ts";
import type { QueueView } from "../../protocol/rest.ts";
import type { Api } from "../api.ts";

/** Whether a path of this machine is absent in the sandbox unless a queue names it. */
export function isHiddenFromPayloads(path: string): boolean {
  return !HOST_SYSTEM_PATHS.some((directory) => isBelow(resolve(path), directory));
}

/** Paths without those that lie below another one. Errors: E_USAGE for what would show a whole home directory or more. */
export function pathsToShow(paths: readonly string[], homeDirectory: string): readonly string[] {
  const all = [...new Set(paths.map((path) => resolve(path)))];
  for (const path of all) {
    if (![resolve(homeDirectory), realPath(homeDirectory)].some((home) => isBelow(home, path)))
      continue;
    throw new HyperpilotError({
      code: "E_USAGE",
      message: `Evaluations are not shown ${path}.`,
      why: "It holds your home directory, with whatever secrets are there.",
      remedy:
        "Put what they need into a directory of its own, such as a virtual environment (python3 -m venv .venv).",
    });
  }
  return all.filter((path) => !all.some((other) => other !== path && isBelow(path, other)));
}

function realPath(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    // A home directory that does not exist holds nothing.
    return path;
  }
}

/** Queues whose pilots run on this machine, for a server that runs here. */
export async function localQueues(api: Api): Promise<readonly QueueView[]> {
  const { items } = await api.call("listQueues", {});
  return items.filter(({ config }) => config.batch.kind === "local" && config.site === "local");
}

/**
 * Lets evaluations of the local queues read the paths, and returns those that are new. Errors: E_CONFLICT when pilots run that
 * were started without them, and what the server answers.
 */
export async function showPaths(api: Api, paths: readonly string[]): Promise<readonly string[]> {
  const added = new Set<string>();
  for (const { config, pilots } of await localQueues(api)) {
    if (config.role !== "evaluation") continue;
    const missing = paths.filter(
      (path) => !config.readOnlyPaths.some((known) => isBelow(path, known)),
    );
    if (missing.length === 0) continue;
    const readOnlyPaths = [...config.readOnlyPaths, ...missing];
    if (pilots > 0) throw pilotsRun(config.name, missing, readOnlyPaths);
    const body = { ...config, readOnlyPaths };
    await api.call("putQueue", { params: { name: config.name }, body });
    for (const path of missing) added.add(path);
  }
  return [...added];
}

function pilotsRun(
  queue: string,
  missing: readonly string[],
  all: readonly string[],
): HyperpilotError {
  const words = all.map((path) => `--readOnlyPath ${path}`).join(" ");
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `Evaluations of queue ${queue} do not see ${missing.join(", ")}.`,
    why: "A pilot runs that was started without it; a pilot without work leaves after 5 minutes.",
    remedy: `End 'hyperpilot up' with Ctrl-C and start it so: hyperpilot up ${words}`,
  });
}
