/** Payloads in podman: images of registries, as root or as an ordinary user. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { readProc } from "../process-tree.ts";
import type { EngineDialect, EngineOptions } from "./engine-dialect.ts";
import { createEngine } from "./engine.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime `podman`. Whether it works on this node is for `selfTest` to say. */
export function createPodman(options: EngineOptions): Runtime {
  return createEngine(podmanDialect(), options);
}

export function podmanDialect(): EngineDialect {
  const quiet = ["--log-level", "error"];
  // Batch nodes have no session of systemd for a user, and old cgroups that crun, the default, does not take.
  const ownCgroups = ["--cgroup-manager", "cgroupfs"];
  return {
    name: "podman",
    remedy:
      "install podman (Debian: apt-get install podman); an ordinary user needs ranges in /etc/subuid and /etc/subgid",
    globalOptions: [
      quiet,
      [...quiet, ...ownCgroups],
      [...quiet, ...ownCgroups, "--runtime", "runc"],
    ],
    runOptions: [
      ...["--read-only-tmpfs=false", "--image-volume", "ignore", "--systemd=false"],
      ...["--http-proxy=false", ...ownLimits()],
      // Files that the payload writes belong to the pilot's user.
      ...(process.getuid?.() === 0 ? [] : ["--userns", "keep-id"]),
    ],
    removeOptions: ["--time", "0", "--ignore"],
    pullOptions: (isPlainHttp) => (isPlainHttp ? ["--tls-verify=false"] : []),
    gpuOptions: (gpus) => gpus.flatMap((gpu) => ["--device", `nvidia.com/gpu=${gpu.uuid}`]),
    authentication: (directory) => {
      const file = join(directory, "auth.json");
      return { file, globalOptions: [], environment: { REGISTRY_AUTH_FILE: file } };
    },
  };
}

/** The pilot's own limits: by default podman asks for higher ones, which not every pilot may set. */
function ownLimits(): readonly string[] {
  const text = readProc("/proc/self/limits");
  const hard = (name: string): number | null => {
    const value = new RegExp(`^${name}\\s+\\S+\\s+(\\S+)`, "m").exec(text)?.[1];
    return value === undefined || !/^\d+$/.test(value) ? null : Number(value);
  };
  const files = hard("Max open files");
  // podman lowers its own number of processes to that of process ids.
  const pids = Number(readFileSync("/proc/sys/kernel/pid_max", "utf8"));
  const processes = Math.min(hard("Max processes") ?? pids, pids);
  return [
    ...(files === null ? [] : ["--ulimit", `nofile=${files}:${files}`]),
    ...["--ulimit", `nproc=${processes}:${processes}`],
  ];
}
