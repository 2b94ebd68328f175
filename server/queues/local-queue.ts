/** The queue of the machine itself, for a server that serves one machine. Pure. */
import { QueueConfig } from "../../protocol/queue.ts";
import { Needs } from "../../protocol/resources.ts";

export const LOCAL_QUEUE = "local";

export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
}

const MIB = 1_048_576;
/** Slots even on a small machine, so that a search runs some evaluations side by side. */
const SLOTS_WANTED_MIN = 4;
/** The rest is left to the machine's other programs. */
const MEMORY_SHARE = 0.8;

/** A queue that offers the machine in as many slots as it has cores, at least four, each large enough for a task's default needs. */
export function localQueue(machine: Machine, readOnlyPaths: readonly string[]): QueueConfig {
  const needs = Needs.parse({});
  const memoryBytes = machine.memoryBytes * MEMORY_SHARE;
  const slots = Math.max(
    1,
    Math.min(
      Math.max(SLOTS_WANTED_MIN, machine.cores),
      Math.floor(machine.cores / needs.cpus),
      // Half a MiB more per slot: the slot's share is rounded down to whole ones.
      Math.floor(memoryBytes / (needs.memoryBytes + MIB / 2)),
    ),
  );
  return QueueConfig.parse({
    name: LOCAL_QUEUE,
    site: "local",
    role: "evaluation",
    batch: { kind: "local" },
    slot: {
      cpus: machine.cores / slots,
      memoryMiB: Math.max(1, Math.floor(memoryBytes / slots / MIB)),
    },
    limits: { maxPilots: 1 },
    runtime: "auto",
    readOnlyPaths: [...readOnlyPaths],
  });
}

/**
 * The configuration to put at a start, or null when nothing has to change: the queue is made when there is none at all, and
 * later only the paths are kept up to date, because the rest may have been changed by the operator.
 */
export function localQueueChange(
  queues: ReadonlyMap<string, QueueConfig>,
  machine: Machine,
  readOnlyPaths: readonly string[] | undefined,
): QueueConfig | null {
  if (queues.size === 0) return localQueue(machine, readOnlyPaths ?? []);
  const known = queues.get(LOCAL_QUEUE);
  if (known === undefined || readOnlyPaths === undefined) return null;
  const isSame = JSON.stringify(known.readOnlyPaths) === JSON.stringify(readOnlyPaths);
  return isSame ? null : { ...known, readOnlyPaths: [...readOnlyPaths] };
}
