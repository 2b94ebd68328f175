/** Cuts what a pilot was granted into slots of the queue's shape. Pure. */
import { HyperpilotError } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { formatBytes, type Capacity, type SlotResources } from "../protocol/resources.ts";

const MIB = 1_048_576;

/** As many equal slots as fit. Errors: E_CONFIG when not even one does, naming what is too small. */
export function cutSlots(capacity: Capacity, queue: QueueConfig): SlotResources[] {
  const { cpus, memoryMiB, gpus } = queue.slot;
  const memoryBytes = memoryMiB * MIB;
  // Shapes such as a third of a CPU must not lose a slot to rounding.
  const byCpus = Math.floor(capacity.cpus / cpus + 1e-6);
  const byMemory = Math.floor(capacity.memoryBytes / memoryBytes);
  const byGpus = gpus === 0 ? Number.POSITIVE_INFINITY : Math.floor(capacity.gpus.length / gpus);
  const cap = Math.min(queue.limits.maxSlotsPerPilot ?? PILOT.slotsMax, PILOT.slotsMax);
  const count = Math.min(byCpus, byMemory, byGpus, cap);
  if (count < 1) throw tooSmall(capacity, queue);
  return Array.from({ length: count }, (_, index) => ({
    cpus,
    memoryBytes,
    gpus: capacity.gpus.slice(index * gpus, (index + 1) * gpus),
  }));
}

function tooSmall(capacity: Capacity, queue: QueueConfig): HyperpilotError {
  const { cpus, memoryMiB, gpus } = queue.slot;
  const short: string[] = [];
  if (capacity.cpus + 1e-6 < cpus) short.push(`${capacity.cpus} CPUs of ${cpus}`);
  if (capacity.memoryBytes < memoryMiB * MIB) {
    short.push(`${formatBytes(capacity.memoryBytes)} of memory of ${formatBytes(memoryMiB * MIB)}`);
  }
  if (capacity.gpus.length < gpus) short.push(`${capacity.gpus.length} GPUs of ${gpus}`);
  return new HyperpilotError({
    code: "E_CONFIG",
    message: `This node has no room for one slot of queue ${queue.name}.`,
    why: `It was granted ${short.join(", ")}.`,
    remedy: "Ask the batch system for more, or make the queue's slot smaller.",
  });
}
