/** Routes that pilots call: the session for a boot secret, files for a lease. */
import { z } from "zod";
import { HyperpilotError } from "../../protocol/errors.ts";
import { PilotSessionRequest } from "../../protocol/pilot-messages.ts";
import { PILOT, SERVER } from "../../protocol/limits.ts";
import { leaseOf } from "../auth/access.ts";
import { taskOfLease } from "../auth/lease-tokens.ts";
import { steeringInput } from "../tasks/steering-files.ts";
import { exchangeBootSecret } from "../gateway/boot-secrets.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";
import { refusedInput } from "./refused-input.ts";
import { readBytes } from "./uploads.ts";

const LogQuery = z.object({
  taskId: z.coerce.number().int(),
  pointId: z.string().max(16),
  /** "incarnation.n" */
  epoch: z.string().regex(/^\d+\.\d+$/),
});

export function pilotHandlers(
  deps: RestDeps,
): Pick<Handlers, "pilotSession" | "getSandbox" | "steeringInput" | "putLog"> {
  let logUploads = 0;
  return {
    pilotSession: async ({ caller, request }) => {
      const parsed = PilotSessionRequest.safeParse(request.body);
      if (!parsed.success) {
        const part = { code: "E_USAGE", where: "The body", schema: PilotSessionRequest } as const;
        throw refusedInput(parsed.error, part);
      }
      if (parsed.data.timeMs !== undefined) checkClock(parsed.data.timeMs, deps.clock.wallMs());
      const secret = caller.type === "boot" ? caller.secret : "";
      return exchangeBootSecret(deps, secret, parsed.data.instance);
    },
    getSandbox: async ({ caller, params, reply }) => {
      const { item, epoch } = leaseOf(caller);
      const wanted = await deps.engine.read(
        (core) => taskOfLease(core, item, epoch).spec.sandboxSha256,
      );
      const found = wanted === params.sha256 ? await deps.blobs.get(params.sha256) : null;
      if (found === null) {
        throw new HyperpilotError({
          code: "E_NOT_FOUND",
          message: "The task of this lease has no such files.",
        });
      }
      reply.type("application/octet-stream").header("content-length", found.info.sizeBytes);
      return found.stream;
    },
    steeringInput: async ({ caller, reply }) => {
      const { item, epoch } = leaseOf(caller);
      const text = await deps.engine.read((core) => {
        const task = taskOfLease(core, item, epoch);
        return item.type === "steering" ? steeringInput(task) : null;
      });
      if (text === null) throw new HyperpilotError(NOT_STEERING);
      reply.type("application/octet-stream");
      return Buffer.from(text);
    },
    putLog: async ({ caller, request }) => {
      const { item, epoch } = leaseOf(caller);
      const query = LogQuery.safeParse(request.query);
      if (!query.success)
        throw refusedInput(query.error, { code: "E_USAGE", where: "The query", schema: LogQuery });
      const { taskId, pointId, epoch: epochText } = query.data;
      const isItsOwn =
        item.type === "evaluation" && item.taskId === taskId && item.pointId === pointId;
      if (!isItsOwn || epochText !== epoch.join(".")) {
        throw new HyperpilotError({
          code: "E_FORBIDDEN",
          message: "The token of this lease opens the files of this lease only.",
        });
      }
      await deps.engine.read((core) => taskOfLease(core, item, epoch).id);
      if (logUploads >= SERVER.logUploadsMax) throw new HyperpilotError(TOO_MANY_UPLOADS);
      logUploads += 1;
      try {
        const bytes = await readBytes(request, SERVER.logHeadBytesMax + SERVER.logTailBytesMax);
        await deps.logs.append(taskId, pointId, epochText, bytes);
      } finally {
        logUploads -= 1;
      }
      return null;
    },
  };
}

const NOT_STEERING = {
  code: "E_FORBIDDEN",
  message: "Only the lease of a steering run opens its input.",
} as const;

const TOO_MANY_UPLOADS = {
  code: "E_LIMIT",
  message: `The server takes ${SERVER.logUploadsMax} uploads of output at a time.`,
  remedy: "Try again in a few seconds.",
} as const;

/** Refuses a node whose clock is far from ours, before its pilot counts as connected. Errors: E_CONFIG. */
function checkClock(nodeMs: number, ourMs: number): void {
  const offsetSeconds = Math.round((nodeMs - ourMs) / 1_000);
  if (Math.abs(offsetSeconds) <= PILOT.clockOffsetSecondsMax) return;
  const how = offsetSeconds > 0 ? "ahead of" : "behind";
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `The clock of this node is ${Math.abs(offsetSeconds)} s ${how} the server's.`,
    why: "What is left of the walltime and whether certificates are valid is read off it.",
    remedy: "Set the clock: look whether chronyd or ntpd runs on the node, and on the server.",
  });
}
