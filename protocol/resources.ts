import { z } from "zod";
import { PILOT, TASK } from "./limits.ts";

const bytes = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);

/** One GPU as granted to a pilot. `uuid` is nvidia-smi's (GPU-... or MIG-...). */
export const Gpu = z.object({
  uuid: z.string().max(128),
  model: z.string().max(128),
  memoryBytes: bytes,
  driver: z.string().max(64).nullable(),
});
export type Gpu = z.infer<typeof Gpu>;

/** What the batch system granted to a pilot, and what the node offers. */
export const Capacity = z.object({
  node: z.string().min(1).max(255),
  /** CPUs, fractions allowed (a cgroup quota of 150 % is 1.5). */
  cpus: z.number().positive().max(65_536),
  memoryBytes: bytes,
  scratchBytes: bytes,
  gpus: z.array(Gpu).max(PILOT.gpusMax),
  /** Container runtimes that passed their self-test, best first: apptainer, singularity, podman, docker, bubblewrap, none. */
  runtimes: z.array(z.string().max(32)).max(16),
  /** Seconds until the batch system ends the pilot; null when unlimited or unknown. */
  walltimeLeftSeconds: z.number().nonnegative().nullable(),
  /** Where each figure came from, for people: { cpus: "cgroup v2 cpu.max", ... }. */
  sources: z.record(z.string().max(64), z.string().max(256)),
});
export type Capacity = z.infer<typeof Capacity>;

/** What one slot may use. */
export const SlotResources = z.object({
  cpus: z.number().positive().max(65_536),
  memoryBytes: bytes,
  /** UUIDs of the GPUs of this slot. */
  gpus: z.array(Gpu).max(PILOT.gpusMax),
});
export type SlotResources = z.infer<typeof SlotResources>;

/** GPUs that a task asks for. */
export const GpuNeed = z.object({
  count: z.number().int().positive().max(PILOT.gpusMax),
  /** Case-insensitive part of the model's name, such as "A100". */
  model: z.string().max(128).nullable().default(null),
  memoryBytes: bytes.nullable().default(null),
});
export type GpuNeed = z.infer<typeof GpuNeed>;

const slotNeeds = {
  cpus: z.number().positive().max(65_536).default(0.5),
  memoryBytes: bytes.default(1_000_000_000),
  gpus: GpuNeed.nullable().default(null),
};

/** A form of slot. */
export const SlotNeeds = z.object(slotNeeds);
export type SlotNeeds = z.infer<typeof SlotNeeds>;

/** What one evaluation of a task needs. */
export const Needs = z.object({
  ...slotNeeds,
  /** Whether evaluations reach the internet: only queues that say so are used. */
  internet: z.boolean().default(false),
  /** Other forms of slot that do as well, such as one GPU with few CPUs or many CPUs. */
  alternatives: z.array(SlotNeeds).max(TASK.needsAlternativesMax).default([]),
});
export type Needs = z.infer<typeof Needs>;

/**
 * Why a slot does not fit the needs, as sentences about what it lacks; empty when it fits. A task that states no GPU need
 * fits slots with and without GPUs.
 */
export function lackingFor(needs: SlotNeeds, slot: SlotResources): string[] {
  const lacking: string[] = [];
  if (slot.cpus + 1e-9 < needs.cpus)
    lacking.push(`has ${slot.cpus} CPUs per slot, the task asks for ${needs.cpus}`);
  if (slot.memoryBytes < needs.memoryBytes) {
    lacking.push(
      `has ${formatBytes(slot.memoryBytes)} of memory per slot, the task asks for ${formatBytes(needs.memoryBytes)}`,
    );
  }
  if (needs.gpus !== null) {
    const fitting = slot.gpus.filter((gpu) => gpuFits(needs.gpus, gpu)).length;
    if (fitting < needs.gpus.count)
      lacking.push(
        `has ${fitting} fitting GPUs per slot, the task asks for ${describeGpus(needs.gpus)}`,
      );
  }
  return lacking;
}

function gpuFits(need: GpuNeed | null, gpu: Gpu): boolean {
  if (need === null) return true;
  if (need.model !== null && !gpu.model.toLowerCase().includes(need.model.toLowerCase()))
    return false;
  return need.memoryBytes === null || gpu.memoryBytes >= need.memoryBytes;
}

function describeGpus(need: GpuNeed): string {
  const model = need.model === null ? "" : ` ${need.model}`;
  const memory = need.memoryBytes === null ? "" : ` with ${formatBytes(need.memoryBytes)}`;
  return `${need.count}${model}${memory}`;
}

/** "8.0 GB": powers of 1000, one decimal. */
export function formatBytes(value: number): string {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let amount = value;
  let unit = 0;
  while (amount >= 1000 && unit < units.length - 1) {
    amount /= 1000;
    unit += 1;
  }
  return unit === 0 ? `${amount} B` : `${amount.toFixed(1)} ${units[unit] ?? ""}`;
}
