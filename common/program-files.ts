/** Files of ours that are started by themselves: in the build, or, when the sources run, among these. */
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";

const ENTRIES = {
  hyperpilot: "client/main",
  asker: "server/samplers/worker",
  snapshots: "server/journal/snapshot-worker",
} as const;

const areSources = import.meta.url.endsWith(".ts");

function entryUrl(name: keyof typeof ENTRIES): URL {
  // This file is one folder deep among the sources and, whichever file it becomes part of, in the build (scripts/build.ts).
  return new URL(`../${ENTRIES[name]}.${areSources ? "ts" : "js"}`, import.meta.url);
}

/** The command `hyperpilot`. */
export function hyperpilotFile(): string {
  return fileURLToPath(entryUrl("hyperpilot"));
}

/** A thread of ours. */
export function startThread(name: "asker" | "snapshots", workerData?: unknown): Worker {
  const entry = entryUrl(name);
  if (!areSources) return new Worker(entry, { workerData });
  // Under a TypeScript loader the worker needs the loader too, and --import does not reach worker threads on Node 20.
  const source = `import("tsx/esm/api").then(({ register }) => { register(); return import(${JSON.stringify(entry.href)}); });`;
  return new Worker(source, { eval: true, workerData });
}
