/** Payloads in docker: images of registries, for a pilot whose user may talk to the daemon. */
import { join } from "node:path";
import type { EngineDialect, EngineOptions } from "./engine-dialect.ts";
import { createEngine } from "./engine.ts";
import type { Runtime } from "./runtime.ts";

/** The runtime `docker`. Whether it works on this node is for `selfTest` to say. */
export function createDocker(options: EngineOptions): Runtime {
  return createEngine(DOCKER, options);
}

const DOCKER: EngineDialect = {
  name: "docker",
  remedy:
    "install docker, start its daemon and let the pilot's user talk to it (group docker, or rootless mode)",
  globalOptions: [["--log-level", "error"]],
  runOptions: [],
  removeOptions: [],
  // The daemon takes plain HTTP of this machine by itself.
  pullOptions: () => [],
  gpuOptions: (gpus) =>
    gpus.length === 0 ? [] : ["--gpus", `"device=${gpus.map((gpu) => gpu.uuid).join(",")}"`],
  authentication: (directory) => ({
    file: join(directory, "config.json"),
    globalOptions: ["--config", directory],
    environment: {},
  }),
};
