/** HTTP exchanges with the server: one request, one answer, errors in the project's words. */
import { type ClientRequest, type IncomingMessage, request as requestHttp } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import { type Readable, Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import { connectPinned } from "../common/pinned-tls.ts";
import { ERROR_KINDS, type ErrorCode, HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import { API_ROOT, ErrorAnswer } from "../protocol/rest.ts";

const ANSWER_BYTES_MAX = 65_536;

export interface ServerAddress {
  readonly server: string;
  readonly caFingerprint: string | null;
}

export interface Exchange {
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

/** One exchange up to the head of a good answer. */
export function exchange(address: ServerAddress, what: Exchange): Promise<IncomingMessage> {
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

/** The text of an answer, cut at the bound. */
export async function textOf(
  response: IncomingMessage,
  bytesMax = ANSWER_BYTES_MAX,
): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bytesMax) break;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/** null for what is no JSON. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function refusal(address: ServerAddress, status: number, text: string): HyperpilotError {
  const answer = ErrorAnswer.safeParse(parsedJson(text));
  const isFull = answer.success && answer.data.error.code === "E_STORAGE_FULL";
  if (status >= 500 && !isFull) return unreachable(address, new Error(`HTTP ${status}`));
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

export function unreachable(address: ServerAddress, error: unknown): HyperpilotError {
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

/** Passes bytes on up to a bound, of which an error speaks as `what`. */
export function atMost(bytesMax: number, what: string): Transform {
  let bytes = 0;
  return new Transform({
    transform: (chunk: Buffer, _encoding, done) => {
      bytes += chunk.length;
      if (bytes <= bytesMax) return done(null, chunk);
      done(
        new HyperpilotError({
          code: "E_TOO_LARGE",
          message: `${what} have more than ${bytesMax} bytes.`,
        }),
      );
    },
  });
}
