import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Gpu } from "../../protocol/resources.ts";

/** Device files that every CUDA program opens, whichever GPU it uses. */
const SHARED_DEVICES = [
  "nvidiactl",
  "nvidia-uvm",
  "nvidia-uvm-tools",
  "nvidia-modeset",
  "nvidia-caps",
] as const;

export interface GpuDevicePaths {
  readonly devices: string;
  /** The driver's directory with one folder per GPU. */
  readonly driver: string;
}

const NODE_PATHS: GpuDevicePaths = { devices: "/dev", driver: "/proc/driver/nvidia/gpus" };

/**
 * Device files of the given GPUs, none when there are none. Where the driver does not tell which file belongs to which
 * UUID (MIG parts, old drivers) all GPUs are given, and CUDA_VISIBLE_DEVICES alone selects.
 */
export function gpuDevices(
  gpus: readonly Gpu[],
  paths: GpuDevicePaths = NODE_PATHS,
): readonly string[] {
  if (gpus.length === 0) return [];
  const minors = readMinors(paths.driver);
  const own = gpus.map((gpu) => minors.get(gpu.uuid));
  const names = own.every((minor) => minor !== undefined)
    ? own.map((minor) => `nvidia${minor}`)
    : listDirectory(paths.devices).filter((name) => /^nvidia\d+$/.test(name));
  return [...SHARED_DEVICES, ...names]
    .map((name) => join(paths.devices, name))
    .filter((path) => existsSync(path));
}

/** Number of the device file by UUID, from the driver's `information` files. */
function readMinors(driver: string): ReadonlyMap<string, string> {
  const minors = new Map<string, string>();
  for (const folder of listDirectory(driver)) {
    const text = readText(join(driver, folder, "information"));
    const uuid = /^GPU UUID:\s*(\S+)/m.exec(text)?.[1];
    const minor = /^Device Minor:\s*(\d+)/m.exec(text)?.[1];
    if (uuid !== undefined && minor !== undefined) minors.set(uuid, minor);
  }
  return minors;
}

function listDirectory(path: string): readonly string[] {
  return existsSync(path) ? readdirSync(path) : [];
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
