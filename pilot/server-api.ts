/** The pilot's calls of the server by HTTP: its session, a task's files, long output. */
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import { Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connectPinned } from "../common/pinned-tls.ts";
import { ERROR_KINDS, type ErrorCode, HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT, TASK } from "../protocol/limits.ts";
import { type GrantedItem, PilotSessionAnswer } from "../protocol/pilot-messages.ts";
import { API_ROOT, ErrorAnswer } from "../protocol/rest.ts";

const ANSWER_BYTES_MAX = 65_536;

/**
 * Errors of all calls: E_UNREACHABLE when a later try may work (no connection, 5xx), else what the server answered.
 */
export interface ServerApi {
  exchangeSecret(
    secret: string,
    instance: string,
    signal: AbortSignal,
  ): Promise<PilotSessionAnswer>;
  /** Writes the tarball to a file; its checksum is for the caller to look at. */
  getSandbox(sha256: string, call: LeaseCall): Promise<void>;
  /** Text of %IN, for the lease of a steering run. */
  getSteeringInput(token: string, signal: AbortSignal): Promise<string>;
  putLog(item: GrantedItem, file: string, signal: AbortSignal): Promise<void>;
}

export interface LeaseCall {
  readonly token: string;
  readonly file: string;
  readonly signal: AbortSignal;
}

export interface ServerAddress {
  readonly server: string;
  readonly caFingerprint: string | null;
}

interface Exchange {
  readonly method: "GET" | "POST" | "PUT";
  /** Below the root of the API. */
  readonly path: string;
  readonly token: string;
  readonly signal: AbortSignal;
  readonly body?: {
    readonly type: string;
    readonly sizeBytes: number;
    readonly content: () => Readable;
  };
}

/** `wallMs`: the node's clock, told to the server, which refuses one that is far from its own. */
export function createServerApi(address: ServerAddress, wallMs?: () => number): ServerApi {
  return {
    exchangeSecret: async (secret, instance, signal) => {
      const body = Buffer.from(JSON.stringify({ instance, timeMs: wallMs?.() }));
      const response = await exchange(address, {
        method: "POST",
        path: "/pilot-sessions",
        token: secret,
        signal,
        body: {
          type: "application/json",
          sizeBytes: body.length,
          content: () => Readable.from([body]),
        },
      });
      const answer = PilotSessionAnswer.safeParse(parsedJson(await textOf(response)));
      if (answer.success) return answer.data;
      throw new HyperpilotError({
        code: "E_PROTOCOL",
        message: "The server's answer to the boot secret could not be read.",
        remedy: "Check that server and pilot have compatible versions.",
      });
    },
    getSandbox: async (sha256, { token, file, signal }) => {
      const path = `/sandboxes/${sha256}`;
      const response = await exchange(address, { method: "GET", path, token, signal });
      try {
        await pipeline(response, atMost(TASK.sandboxBytesMax), createWriteStream(file), { signal });
      } catch (error) {
        throw error instanceof HyperpilotError ? error : unreachable(address, error);
      }
    },
    getSteeringInput: async (token, signal) => {
      const path = "/leases/steering-input";
      const response = await exchange(address, { method: "GET", path, token, signal });
      return textOf(response, PILOT.steeringInputBytesMax);
    },
    putLog: async (granted, file, signal) => {
      const { item, epoch, token } = granted;
      if (item.type !== "evaluation") return;
      const { size } = await stat(file);
      const query = new URLSearchParams({
        taskId: String(item.taskId),
        pointId: item.pointId,
        epoch: epoch.join("."),
      });
      const content = (): Readable => createReadStream(file, { end: Math.max(0, size - 1) });
      const response = await exchange(address, {
        method: "PUT",
        path: `/leases/log?${query.toString()}`,
        token,
        signal,
        body: { type: "application/octet-stream", sizeBytes: size, content },
      });
      response.resume();
    },
  };
}

/** One exchange up to the head of a good answer. */
function exchange(address: ServerAddress, what: Exchange): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const request = open(address, what);
    request.on("error", (error) =>
      reject(error instanceof HyperpilotError ? error : unreachable(address, error)),
    );
    request.setTimeout(PILOT.httpSilenceMs, () =>
      request.destroy(new Error(`no answer within ${PILOT.httpSilenceMs / 1_000} s`)),
    );
    request.on("response", (response) => {
      const status = response.statusCode ?? 0;
      if (status >= 200 && status < 300) resolve(response);
      else
        textOf(response).then(
          (text) => reject(refusal(address, status, text)),
          (error: unknown) => reject(unreachable(address, error)),
        );
    });
    if (what.body === undefined) request.end();
    else
      pipeline(what.body.content(), request).catch((error: unknown) => {
        request.destroy(error instanceof Error ? error : new Error(errorText(error)));
      });
  });
}

function open(
  address: ServerAddress,
  { method, path, token, signal, body }: Exchange,
): ClientRequest {
  const url = new URL(address.server.replace(/\/$/, "") + API_ROOT + path);
  const headers = {
    authorization: `Bearer ${token}`,
    ...(body === undefined
      ? {}
      : { "content-type": body.type, "content-length": String(body.sizeBytes) }),
  };
  const options: RequestOptions = { method, headers, signal };
  if (url.protocol === "http:") return requestHttp(url, { ...options, agent: false });
  const { caFingerprint } = address;
  if (caFingerprint === null) return requestHttps(url, { ...options, agent: false });
  return requestHttps(url, {
    ...options,
    // Nothing, least of all the token, is sent before the certificate was looked at. Heeded only without `agent: false`.
    createConnection: (_options, done) => {
      connectPinned(url, caFingerprint, done);
      return undefined;
    },
  });
}

async function textOf(response: IncomingMessage, bytesMax = ANSWER_BYTES_MAX): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusal(address: ServerAddress, status: number, text: string): HyperpilotError {
  if (status >= 500) return unreachable(address, new Error(`HTTP ${status}`));
  const answer = ErrorAnswer.safeParse(parsedJson(text));
  if (!answer.success || !isErrorCode(answer.data.error.code))
    return new HyperpilotError({
      code: status === 401 ? "E_UNAUTHENTICATED" : "E_PROTOCOL",
      message: `The server answered HTTP ${status}.`,
      remedy: "Check the server's address, and that both sides have compatible versions.",
    });
  const { code, message, why, remedy } = answer.data.error;
  return new HyperpilotError({
    code,
    message,
    ...(why === undefined ? {} : { why }),
    ...(remedy === undefined ? {} : { remedy }),
  });
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_KINDS, code);
}

function unreachable(address: ServerAddress, error: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_UNREACHABLE",
      message: `The server ${address.server} cannot be reached.`,
      why: errorText(error),
      remedy: "Look whether it is running and can be reached from this node.",
    },
    error,
  );
}

function atMost(bytesMax: number): Transform {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) return done(null, chunk);
      done(
        new HyperpilotError({
          code: "E_TOO_LARGE",
          message: `The task's files have more than ${bytesMax} bytes.`,
        }),
      );
    },
  });
}
