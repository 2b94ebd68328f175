/** Amounts as people write them: memory and GPUs. */
import type { GpuNeed } from "../../protocol/resources.ts";
import { usageError } from "../errors.ts";

const UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/** Bytes of "8GB" or "512MiB"; a bare number is MB. Errors: E_USAGE. */
export function parseMemory(text: string, option: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-zA-Z]*)$/.exec(text.trim());
  const factor =
    match === null ? undefined : UNITS[(match[2] === "" ? "MB" : (match[2] ?? "")).toUpperCase()];
  const bytes =
    match === null || factor === undefined ? Number.NaN : Math.round(Number(match[1]) * factor);
  if (Number.isSafeInteger(bytes) && bytes > 0) return bytes;
  throw usageError(
    `${option} ${JSON.stringify(text)} is not an amount of memory.`,
    "Write 8GB, 512MiB, or a number of MB.",
  );
}

/** "2", "1:A100", "1:A100:40GB", "1::16GB"; "0" is no need. Errors: E_USAGE. */
export function parseGpus(text: string, option = "--gpus"): GpuNeed | null {
  const [count = "", model = "", memory = "", ...rest] = text.trim().split(":");
  if (!/^\d{1,3}$/.test(count) || rest.length > 0) {
    throw usageError(
      `${option} ${JSON.stringify(text)} is not understood.`,
      "Write a number, or number:model, or number:model:memory, such as 1:A100:40GB.",
    );
  }
  if (Number(count) === 0) return null;
  return {
    count: Number(count),
    model: model === "" ? null : model,
    memoryBytes: memory === "" ? null : parseMemory(memory, option),
  };
}
