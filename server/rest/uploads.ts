/** Uploads: streamed, of a length announced beforehand, checked against their checksum. */
import { Readable } from "node:stream";
import type { FastifyRequest } from "fastify";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { formatBytes } from "../../protocol/resources.ts";
import type { Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";

export function uploadHandlers(deps: RestDeps): Pick<Handlers, "putSandbox"> {
  return {
    putSandbox: async ({ params: { sha256 }, request }) => {
      const sizeBytes = announcedBytes(request, TASK.sandboxBytesMax, "E_SANDBOX_SIZE");
      return deps.blobs.put(bodyOf(request), { sha256, sizeBytes }, TASK.sandboxBytesMax);
    },
  };
}

/** The whole body, for what is small enough to be held in memory. Errors: E_TOO_LARGE, E_USAGE. */
export async function readBytes(request: FastifyRequest, bytesMax: number): Promise<Uint8Array> {
  const expected = announcedBytes(request, bytesMax, "E_TOO_LARGE");
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of bodyOf(request)) {
    const part = chunk as Uint8Array;
    chunks.push(part);
    bytes += part.length;
  }
  if (bytes === expected) return Buffer.concat(chunks);
  throw new HyperpilotError({
    code: "E_CHECKSUM",
    message: `The upload has ${bytes} bytes; Content-Length announced ${expected}.`,
    remedy: "Upload it again.",
  });
}

/** Longest time for receiving so many bytes. */
export function receiveDeadlineMs(bytes: number): number {
  return Math.ceil(SERVER.requestTimeoutMs + (bytes / SERVER.uploadBytesPerSecondMin) * 1_000);
}

/** Ends a request whose body comes too slowly for what it announced, so that nobody can hold connections for long. */
export function endIfSlow(request: Pick<FastifyRequest, "headers" | "raw">, clock: Clock): void {
  const announced = Number(request.headers["content-length"] ?? 0);
  const bytes = Number.isFinite(announced) ? Math.min(announced, TASK.metricsBytesMax) : 0;
  const timer = clock.setTimer(receiveDeadlineMs(bytes), () => {
    if (!request.raw.complete) request.raw.destroy();
  });
  const { raw } = request;
  // Of a body that nobody read, only the connection tells the end.
  const end = (): void => {
    timer.cancel();
    raw.off("close", end);
    raw.socket.off("close", end);
  };
  raw.once("close", end);
  raw.socket.once("close", end);
}

/** Content-Length, which the HTTP parser enforces: checked before a byte is read. */
export function announcedBytes(
  request: FastifyRequest,
  bytesMax: number,
  code: "E_SANDBOX_SIZE" | "E_TOO_LARGE",
): number {
  const header = request.headers["content-length"];
  if (header === undefined || !/^\d{1,15}$/.test(header)) {
    throw new HyperpilotError({
      code: "E_USAGE",
      message: "An upload needs the header Content-Length.",
      remedy: "Send the file with its length, not in chunks.",
    });
  }
  const bytes = Number(header);
  if (bytes <= bytesMax) return bytes;
  throw new HyperpilotError({
    code,
    message: `The upload has ${formatBytes(bytes)}; at most ${formatBytes(bytesMax)} are taken.`,
    remedy: "Leave out what the evaluation does not need; large inputs belong into a dataset.",
  });
}

/** The body as a stream. */
export function bodyOf(request: FastifyRequest): Readable {
  // Without a body of its own the request stream is empty.
  return request.body instanceof Readable ? request.body : request.raw;
}
