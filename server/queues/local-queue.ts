/** The queues of the machine itself, for a server that serves one machine. Pure. */
import { QueueConfig } from "../../protocol/queue.ts";
import { Needs } from "../../protocol/resources.ts";

export const LOCAL_QUEUE = "local";
export const CENTRAL_QUEUE = "central";

export interface Machine {
  readonly cores: number;
  readonly memoryBytes: number;
}

const MIB = 1_048_576;
/** Slots even on a small machine, so that a search runs some evaluations side by side. */
const SLOTS_WANTED_MIN = 4;
/** Memory of a steering container. */
const CENTRAL_MEMORY_BYTES = 2 * 1_024 * MIB;
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
    internet: true,
    readOnlyPaths: [...readOnlyPaths],
  });
}

/** A queue for steering containers beside it: one small slot, so that they do not starve behind evaluations. */
export function centralQueue(machine: Machine, readOnlyPaths: readonly string[]): QueueConfig {
  const memoryBytes = Math.min(CENTRAL_MEMORY_BYTES, machine.memoryBytes * (1 - MEMORY_SHARE));
  return QueueConfig.parse({
    name: CENTRAL_QUEUE,
    site: "local",
    role: "central",
    batch: { kind: "local" },
    slot: {
      cpus: Math.min(1, machine.cores),
      memoryMiB: Math.max(1, Math.floor(memoryBytes / MIB)),
    },
    limits: { maxPilots: 1, maxSlotsPerPilot: 1 },
    runtime: "auto",
    readOnlyPaths: [...readOnlyPaths],
  });
}

/**
 * The configurations to put at a start: the queues are made when there is none at all, and later only their paths are kept up
 * to date, because the rest may have been changed by the operator.
 */
export function localQueueChanges(
  queues: ReadonlyMap<string, QueueConfig>,
  machine: Machine,
  readOnlyPaths: readonly string[] | undefined,
): QueueConfig[] {
  if (queues.size === 0) {
    return [localQueue(machine, readOnlyPaths ?? []), centralQueue(machine, readOnlyPaths ?? [])];
  }
  if (readOnlyPaths === undefined) return [];
  return [LOCAL_QUEUE, CENTRAL_QUEUE].flatMap((name) => {
    const known = queues.get(name);
    if (known === undefined) return [];
    const isSame = JSON.stringify(known.readOnlyPaths) === JSON.stringify(readOnlyPaths);
    return isSame ? [] : [{ ...known, readOnlyPaths: [...readOnlyPaths] }];
  });
}
