/** Files of evaluations: pilots bring and fetch them under a lease, users look at what was left. */
import { createHash } from "node:crypto";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { FastifyReply } from "fastify";
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import type { BlobRef } from "../../protocol/pilot-messages.ts";
import type { LeaseFileKind } from "../../protocol/routes.ts";
import { leaseOf } from "../auth/access.ts";
import { taskOfLease } from "../auth/lease-tokens.ts";
import type { Core, Point, Task } from "../core.ts";
import { SERVER_PRINCIPAL } from "../gateway/boot-secrets.ts";
import type { Handlers } from "./call.ts";
import { pointIn, visibleTask, type RestDeps } from "./context.ts";
import { announcedBytes, bodyOf } from "./uploads.ts";

const BYTES_MAX: Readonly<Record<LeaseFileKind, number>> = {
  checkpoint: TASK.checkpointBytesMax,
  metadata: TASK.metadataBytesMax,
  metrics: TASK.metricsBytesMax,
};

type LeaseFileRoutes = "putLeaseFile" | "leaseCheckpoint" | "pointFile";

export function leaseFileHandlers(deps: RestDeps): Pick<Handlers, LeaseFileRoutes> {
  let uploads = 0;
  return {
    putLeaseFile: async ({ caller, params: { kind, sha256 }, request }) => {
      const { item, epoch } = leaseOf(caller);
      const isWanted = await deps.engine.read((core) =>
        wants(taskOfLease(core, item, epoch), kind),
      );
      if (item.type !== "evaluation" || !isWanted) throw new HyperpilotError(NOT_WANTED);
      const sizeBytes = announcedBytes(request, BYTES_MAX[kind], "E_TOO_LARGE");
      if (uploads >= SERVER.leaseFileUploadsMax) throw new HyperpilotError(TOO_MANY_UPLOADS);
      uploads += 1;
      try {
        return await deps.blobs.put(bodyOf(request), { sha256, sizeBytes }, BYTES_MAX[kind]);
      } finally {
        uploads -= 1;
      }
    },
    leaseCheckpoint: async ({ caller, params: { sha256 }, reply }) => {
      const { item, epoch } = leaseOf(caller);
      if (item.type !== "evaluation") throw noSuchFile("checkpoint");
      const { taskId, pointId } = item;
      const known = await deps.engine.read((core) => {
        const point = taskOfLease(core, item, epoch).points.get(pointId);
        return point?.files?.checkpoints.find((one) => one.sha256 === sha256) ?? null;
      });
      if (known === null) throw noSuchFile("checkpoint");
      const problem = await problemOf(deps, known);
      if (problem === null) return await opened(deps, known, reply);
      deps.log.error("checkpointDamaged", { taskId, pointId, sha256, problem });
      const command = { type: "dropCheckpoint", taskId, pointId, sha256, reason: problem } as const;
      await deps.engine.execute<"dropCheckpoint">(SERVER_PRINCIPAL, command);
      throw new HyperpilotError({ code: "E_CHECKSUM", message: problem, remedy: FALL_BACK });
    },
    pointFile: async ({ caller, params: { taskId, pointId, kind }, reply }) => {
      const blob = await deps.engine.read((core: Core) =>
        fileOf(pointIn(visibleTask(core, caller.principal, taskId), pointId), kind),
      );
      if (blob === null) throw noSuchFile(kind);
      // Whatever the payload made: never shown by a browser as a page of ours.
      reply.header("content-disposition", `attachment; filename="${taskId}-${pointId}-${kind}"`);
      return opened(deps, blob, reply);
    },
  };
}

const FALL_BACK = "Begin from the checkpoint before, or anew.";

/** Whether the task has asked for files of this kind. */
function wants({ spec }: Task, kind: LeaseFileKind): boolean {
  if (kind === "checkpoint") return spec.checkpoint.save.length > 0;
  return spec.evaluation[kind] !== null;
}

function fileOf({ files }: Point, kind: LeaseFileKind): BlobRef | null {
  if (files === null) return null;
  return kind === "checkpoint" ? (files.checkpoints[0] ?? null) : files[kind];
}

async function opened(deps: RestDeps, blob: BlobRef, reply: FastifyReply): Promise<Readable> {
  const found = await deps.blobs.get(blob.sha256);
  if (found === null)
    throw new HyperpilotError({
      code: "E_NOT_FOUND",
      message: `The file ${blob.sha256.slice(0, 12)}... is not on the server any more.`,
      why: "Its blob was lost from the data directory.",
      remedy: "The administrator may find it in a backup.",
    });
  reply.type("application/octet-stream").header("content-length", found.info.sizeBytes);
  return found.stream;
}

/** What is wrong with the stored bytes, as part of a sentence; null: nothing. Disks do not tell when they return other bytes. */
async function problemOf(deps: RestDeps, blob: BlobRef): Promise<string | null> {
  const what = `the checkpoint ${blob.sha256.slice(0, 12)}... of ${blob.sizeBytes} bytes`;
  const found = await deps.blobs.get(blob.sha256);
  if (found === null) return `${what} is not on the server any more`;
  const hash = createHash("sha256");
  await pipeline(found.stream, hash);
  if (hash.digest("hex") === blob.sha256) return null;
  return `${what} is damaged on the server: its checksum is another one now`;
}

function noSuchFile(kind: LeaseFileKind): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no ${kind === "checkpoint" ? "checkpoint" : `${kind} file`} of this point.`,
  });
}

const NOT_WANTED = {
  code: "E_FORBIDDEN",
  message: "The task of this lease keeps no such files.",
} as const;

const TOO_MANY_UPLOADS = {
  code: "E_LIMIT",
  message: `The server takes ${SERVER.leaseFileUploadsMax} files of evaluations at a time.`,
  remedy: "Try again in a few seconds.",
} as const;
