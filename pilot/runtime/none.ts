/** Payloads without a sandbox: only where the queue's operator wrote `runtime: "none"`. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { PayloadCommand, PayloadRequest, Runtime } from "./runtime.ts";

/**
 * The runtime that contains nothing. The payload runs as the pilot's user and sees all that the user sees, and a process of
 * it that leaves both its session and its parent (setsid and a double fork) outlives it: only a PID namespace holds those.
 */
export function createNone(): Runtime {
  return {
    name: "none",
    supports: (image) => image === "host:",
    selfTest: () => Promise.resolve({ works: true, version: "" }),
    command,
    pathsInside: (outside) => outside,
    verdict: () => ({ type: "payload" }),
  };
}

function command(request: PayloadRequest): PayloadCommand {
  if (request.image !== "host:")
    throw new HyperpilotError({
      code: "E_IMAGE",
      message: `image ${request.image} cannot be run without a container runtime`,
      why: 'the queue has runtime "none"',
      remedy: "use host: as image, or a queue with a container runtime",
    });
  return {
    argv: ["/bin/sh", "-c", request.exec],
    environment: request.environment,
    reportsStatus: false,
  };
}
