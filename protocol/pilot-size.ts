/** What one pilot asks of the batch system: as many slots as the queue wants in one. */
import type { QueueConfig } from "./queue.ts";

export interface PilotSize {
  /** Whole CPUs. */
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly gpus: number;
  readonly walltimeSeconds: number | null;
}

export function pilotSize({ slot, limits }: QueueConfig): PilotSize {
  const slots = limits.maxSlotsPerPilot ?? 1;
  return {
    // A little below a whole number is that number: 3 slots of a third CPU.
    cpus: Math.max(1, Math.ceil(slot.cpus * slots - 1e-6)),
    memoryMiB: slot.memoryMiB * slots,
    gpus: slot.gpus * slots,
    walltimeSeconds: slot.walltimeSeconds,
  };
}

/** `26:03:04`: hours, minutes and seconds, as all batch systems read them. */
export function clockText(seconds: number): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3_600);
  return `${two(hours)}:${two(Math.floor((seconds % 3_600) / 60))}:${two(seconds % 60)}`;
}
