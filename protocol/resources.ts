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

/** What a slot offers; `gpus` is a number where their models are not known yet. */
export interface SlotOffer {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly gpus: readonly Gpu[] | number;
}

/** Needs in the form asked for first, and other forms that do as well. */
export interface AlternativeNeeds extends SlotNeeds {
  readonly alternatives?: readonly SlotNeeds[];
}

/**
 * Why a slot does not fit the needs in any of their forms, as sentences about what it lacks; empty when it fits. A task that
 * states no GPU need fits slots with and without GPUs.
 */
export function lackingFor(needs: AlternativeNeeds, slot: SlotOffer): string[] {
  const first = lackingForForm(needs, slot);
  const { alternatives = [] } = needs;
  if (first.length === 0 || alternatives.length === 0) return first;
  if (alternatives.some((form) => lackingForForm(form, slot).length === 0)) return [];
  const forms = [needs, ...alternatives];
  const sayMemory = forms.some((form) => slot.memoryBytes < form.memoryBytes);
  const memory = sayMemory ? `, ${formatBytes(slot.memoryBytes)}` : "";
  const gpus = typeof slot.gpus === "number" ? slot.gpus : slot.gpus.length;
  return [
    `has ${amount(slot.cpus, "CPU")}${memory} and ${gpus === 0 ? "no GPU" : amount(gpus, "GPU")} per slot, the task asks for ${describeNeeds(needs, sayMemory)}`,
  ];
}

/** "1 GPU and 4 CPUs, or 16 CPUs": every form, with its memory or without. */
export function describeNeeds(needs: AlternativeNeeds, sayMemory: boolean): string {
  const { alternatives = [] } = needs;
  return [needs, ...alternatives].map((form) => describeForm(form, sayMemory)).join(", or ");
}

function describeForm(form: SlotNeeds, sayMemory: boolean): string {
  const parts = [
    ...(form.gpus === null ? [] : [describeGpus(form.gpus)]),
    amount(form.cpus, "CPU"),
    ...(sayMemory ? [formatBytes(form.memoryBytes)] : []),
  ];
  const last = parts.pop() ?? "";
  return parts.length === 0 ? last : `${parts.join(", ")} and ${last}`;
}

/** What a slot lacks for the form that the needs state first. */
export function lackingForForm(needs: SlotNeeds, slot: SlotOffer): string[] {
  const lacking: string[] = [];
  if (slot.cpus + 1e-9 < needs.cpus)
    lacking.push(`has ${slot.cpus} CPUs per slot, the task asks for ${needs.cpus}`);
  if (slot.memoryBytes < needs.memoryBytes) {
    lacking.push(
      `has ${formatBytes(slot.memoryBytes)} of memory per slot, the task asks for ${formatBytes(needs.memoryBytes)}`,
    );
  }
  if (needs.gpus !== null) {
    const fitting =
      typeof slot.gpus === "number"
        ? slot.gpus
        : slot.gpus.filter((gpu) => gpuFits(needs.gpus, gpu)).length;
    if (fitting < needs.gpus.count)
      lacking.push(
        `has ${fitting} fitting GPUs per slot, the task asks for ${needs.gpus.count}${gpuDetail(needs.gpus)}`,
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

/** "1 A100 GPU with 40.0 GB". */
function describeGpus(need: GpuNeed): string {
  const model = need.model === null ? "" : `${need.model} `;
  const memory = need.memoryBytes === null ? "" : ` with ${formatBytes(need.memoryBytes)}`;
  return `${amount(need.count, `${model}GPU`)}${memory}`;
}

function gpuDetail(need: GpuNeed): string {
  const model = need.model === null ? "" : ` ${need.model}`;
  const memory = need.memoryBytes === null ? "" : ` with ${formatBytes(need.memoryBytes)}`;
  return `${model}${memory}`;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
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
