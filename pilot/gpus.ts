/** GPUs of this node, as nvidia-smi lists them and as the batch system left them visible. */
import type { ProgramResult } from "../common/child.ts";
import { PILOT } from "../protocol/limits.ts";
import type { Gpu } from "../protocol/resources.ts";

const MIB = 1_048_576;
const GIGABYTE = 1_000_000_000;

/** Runs a program to its end within a deadline; never rejects. */
export type RunProgram = (
  argv: readonly [string, ...string[]],
  options: { readonly timeoutMs: number },
) => Promise<ProgramResult>;

export interface FoundGpus {
  readonly gpus: readonly Gpu[];
  /** How they were found, or why there are none. */
  readonly source: string;
}

const QUERY = [
  "nvidia-smi",
  "--query-gpu=uuid,name,memory.total,driver_version",
  "--format=csv,noheader,nounits",
] as const;
const LIST = ["nvidia-smi", "-L"] as const;

/** Finds the GPUs that this pilot may use. Never throws: a broken driver means a pilot without GPUs, and says why. */
export async function findGpus(
  run: RunProgram,
  visibleDevices: string | undefined,
): Promise<FoundGpus> {
  if (visibleDevices !== undefined && hidesAll(visibleDevices))
    return { gpus: [], source: `CUDA_VISIBLE_DEVICES="${visibleDevices.slice(0, 32)}"` };
  const options = { timeoutMs: PILOT.gpuProbeTimeoutMs };
  const query = await run(QUERY, options);
  const problem = problemOf(query);
  if (problem !== null) return { gpus: [], source: problem };
  const whole = parseGpus(query.stdout);
  if (whole.length === 0) return { gpus: [], source: "nvidia-smi lists none" };
  const list = await run(LIST, options);
  const listed = problemOf(list) === null ? withParts(whole, list.stdout) : whole;
  const gpus = visible(listed, visibleDevices).slice(0, PILOT.gpusMax);
  const chosen = visibleDevices === undefined ? "" : " and CUDA_VISIBLE_DEVICES";
  return { gpus, source: `nvidia-smi${chosen}` };
}

function problemOf(result: ProgramResult): string | null {
  if (result.missing) return "no nvidia-smi";
  if (result.timedOut) return `nvidia-smi did not end within ${PILOT.gpuProbeTimeoutMs / 1_000} s`;
  if (result.exitCode === 0) return null;
  const said = (result.stderr + result.stdout).trim().split("\n")[0] ?? "";
  const end = result.exitCode ?? result.signal ?? "unknown";
  return `nvidia-smi failed (${end}): ${said}`.slice(0, 200);
}

/** Lines of the query above. What is no GPU, such as a warning, is passed over. */
export function parseGpus(csv: string): readonly Gpu[] {
  return csv.split("\n").flatMap((line) => {
    const [, uuid, model, memoryMiB, driver] =
      /^\s*(GPU-[0-9a-zA-Z-]+),\s*(.+),\s*([^,]+),\s*([^,]+?)\s*$/.exec(line) ?? [];
    if (uuid === undefined || model === undefined) return [];
    // "[N/A]" where the GPU has no memory of its own.
    const memoryBytes = /^\d+$/.test(memoryMiB ?? "") ? Number(memoryMiB) * MIB : 0;
    return [
      {
        uuid: uuid.slice(0, 128),
        model: model.slice(0, 128),
        memoryBytes,
        driver: (driver ?? "").slice(0, 64),
      },
    ];
  });
}

/** Puts the parts (MIG devices) of `nvidia-smi -L` in the place of the GPU that was cut into them. */
function withParts(whole: readonly Gpu[], list: string): readonly Gpu[] {
  const parts = new Map<string, Gpu[]>();
  let owner: Gpu | undefined;
  for (const line of list.split("\n")) {
    const uuid = /\(UUID:\s*(GPU-[0-9a-zA-Z-]+)\)/.exec(line)?.[1];
    if (uuid !== undefined) owner = whole.find((gpu) => gpu.uuid === uuid);
    const [, profile, part] = /^\s+MIG\s+(\S+).*\(UUID:\s*(MIG-[0-9a-zA-Z/-]+)\)/.exec(line) ?? [];
    if (profile === undefined || part === undefined || owner === undefined) continue;
    // The profile's name, such as 3g.20gb, states its memory.
    const memoryBytes = Number(/\.(\d+)gb/.exec(profile)?.[1] ?? 0) * GIGABYTE;
    const model = `${owner.model} MIG ${profile}`.slice(0, 128);
    const gpu = { uuid: part.slice(0, 128), model, memoryBytes, driver: owner.driver };
    parts.set(owner.uuid, [...(parts.get(owner.uuid) ?? []), gpu]);
  }
  return whole.flatMap((gpu) => parts.get(gpu.uuid) ?? [gpu]);
}

function hidesAll(visibleDevices: string): boolean {
  return ["", "-1", "nodevfiles", "none", "void"].includes(visibleDevices.trim().toLowerCase());
}

/** CUDA's own rule: numbers or (beginnings of) UUIDs; whatever comes after the first unknown entry is hidden. */
function visible(gpus: readonly Gpu[], visibleDevices: string | undefined): readonly Gpu[] {
  if (visibleDevices === undefined || visibleDevices.trim().toLowerCase() === "all") return gpus;
  const chosen: Gpu[] = [];
  for (const entry of visibleDevices.split(",").map((text) => text.trim())) {
    const gpu = /^\d+$/.test(entry)
      ? gpus[Number(entry)]
      : gpus.find(({ uuid }) => entry !== "" && uuid.startsWith(entry));
    if (gpu === undefined) break;
    if (!chosen.includes(gpu)) chosen.push(gpu);
  }
  return chosen;
}
