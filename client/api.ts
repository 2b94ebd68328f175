/** Calls of the REST routes: every answer passes its schema, every error becomes a HyperpilotError. */
import type { z } from "zod";
import { ERROR_KINDS, HyperpilotError, errorText, type ErrorCode } from "../protocol/errors.ts";
import { API_ROOT, ErrorAnswer } from "../protocol/rest.ts";
import { ROUTES, type RouteName } from "../protocol/routes.ts";
import { z as schemas } from "zod";
import type { Connection } from "./connection.ts";
import { AnsweredError } from "./errors.ts";

export const REQUEST_TIMEOUT_MS = 30_000;

type Routes = typeof ROUTES;
export type AnswerOf<N extends RouteName> = Routes[N] extends { answer: infer S extends z.ZodType }
  ? z.infer<S>
  : null;
type BodyOf<N extends RouteName> = Routes[N] extends { body: infer S extends z.ZodType }
  ? { readonly body: z.input<S> }
  : { readonly body?: undefined };
type QueryOf<N extends RouteName> = Routes[N] extends { query: infer S extends z.ZodType }
  ? { readonly query?: z.input<S> }
  : { readonly query?: undefined };

export type Call<N extends RouteName> = {
  /** Values of the `:names` in the route's path. */
  readonly params?: Readonly<Record<string, string | number>>;
} & BodyOf<N> &
  QueryOf<N>;

export interface StreamRequest {
  readonly params?: Readonly<Record<string, string | number>>;
  readonly signal?: AbortSignal;
  readonly accept: string;
}

export interface Api {
  readonly server: string;
  call<N extends RouteName>(name: N, call: Call<N>): Promise<AnswerOf<N>>;
  /** A route that answers bytes; the caller reads, and aborts by the signal. The time-out covers the head of the answer only. */
  open(name: RouteName, request: StreamRequest): Promise<Response>;
  upload(
    name: RouteName,
    params: Readonly<Record<string, string>>,
    bytes: Uint8Array,
  ): Promise<void>;
}

export function createApi(connection: Connection, timeoutMs = REQUEST_TIMEOUT_MS): Api {
  const { server } = connection;

  const send = (name: RouteName, path: string, init: RequestInit, waitMs: number) =>
    request(connection, { name, path, init, waitMs });

  return {
    server,
    async call(name, call) {
      const init: RequestInit = { signal: AbortSignal.timeout(timeoutMs) };
      if (call.body !== undefined) {
        init.body = JSON.stringify(call.body);
        init.headers = { "Content-Type": "application/json" };
      }
      const path = pathOf(name, call.params ?? {}) + queryOf(call.query);
      try {
        const response = await send(name, path, init, timeoutMs);
        return parseAnswer(name, await response.text());
      } catch (error) {
        if (error instanceof HyperpilotError) throw error;
        throw unreachable(server, error);
      }
    },
    open(name, { signal, accept, params = {} }) {
      const init: RequestInit = {
        headers: { Accept: accept },
        ...(signal === undefined ? {} : { signal }),
      };
      return send(name, pathOf(name, params), init, timeoutMs);
    },
    async upload(name, params, bytes) {
      const headers = { "Content-Type": "application/gzip" };
      // 100 kB/s at least, so that a slow line is no error.
      const waitMs = timeoutMs + bytes.length / 100;
      const body = new Uint8Array(bytes);
      const response = await send(name, pathOf(name, params), { body, headers }, waitMs);
      await response.arrayBuffer();
    },
  };
}

interface Request {
  readonly name: RouteName;
  readonly path: string;
  readonly init: RequestInit;
  readonly waitMs: number;
}

/** One request up to the head of its answer. Errors: E_UNREACHABLE, and what the server answers. */
async function request(connection: Connection, sent: Request): Promise<Response> {
  const { server, token } = connection;
  const { name, path, init, waitMs } = sent;
  const abort = new AbortController();
  const timer = setTimeout(
    () => abort.abort(new Error(`no answer within ${waitMs / 1_000} s`)),
    waitMs,
  );
  const signals = [
    abort.signal,
    ...(init.signal === undefined || init.signal === null ? [] : [init.signal]),
  ];
  const headers = new Headers(init.headers);
  headers.set("Authorization", `Bearer ${token}`);
  let response: Response;
  try {
    response = await fetch(`${server}${API_ROOT}${path}`, {
      ...init,
      method: ROUTES[name].method,
      headers,
      redirect: "error",
      signal: AbortSignal.any(signals),
    });
  } catch (error) {
    if (init.signal?.aborted === true) throw error;
    throw unreachable(server, error);
  } finally {
    clearTimeout(timer);
  }
  if (!response.ok) throw await answeredError(response, server);
  return response;
}

export function pathOf(name: RouteName, params: Readonly<Record<string, string | number>>): string {
  return ROUTES[name].path.replace(/:(\w+)/g, (_match, key: string) => {
    const value = params[key];
    if (value === undefined) throw new Error(`route ${name} needs ${key}`);
    return encodeURIComponent(value);
  });
}

function queryOf(query: unknown): string {
  const parameters = new URLSearchParams();
  for (const [key, value] of Object.entries(query ?? {})) {
    if (value !== undefined && value !== null) parameters.set(key, String(value));
  }
  const text = parameters.toString();
  return text === "" ? "" : `?${text}`;
}

function parseAnswer<N extends RouteName>(name: N, text: string): AnswerOf<N> {
  const route = ROUTES[name];
  const schema: z.ZodType =
    "answer" in route ? route.answer : schemas.unknown().transform(() => null);
  let value: unknown = null;
  try {
    if ("answer" in route) value = JSON.parse(text);
  } catch (error) {
    throw strangeAnswer(name, errorText(error));
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data as AnswerOf<N>;
  const issue = parsed.error.issues[0];
  throw strangeAnswer(name, `${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`);
}

function strangeAnswer(name: RouteName, detail: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_PROTOCOL",
    message: `The server's answer to "${name}" is not understood.`,
    why: detail,
    remedy:
      "Check that the address is that of a Hyperpilot server, and that client and server have the same version.",
  });
}

async function answeredError(response: Response, server: string): Promise<HyperpilotError> {
  const text = await response.text().catch(() => "");
  let value: unknown = null;
  try {
    value = JSON.parse(text);
  } catch {
    // Not ours: a proxy's page; told below by its status.
  }
  const parsed = ErrorAnswer.safeParse(value);
  if (!parsed.success) {
    return new HyperpilotError({
      code: response.status >= 500 ? "E_UNREACHABLE" : "E_PROTOCOL",
      message: `${server} answered HTTP ${response.status} without an explanation.`,
      remedy:
        "Check that the address is that of a Hyperpilot server, and what is between it and you.",
    });
  }
  const { code, message, why, remedy, requestId } = parsed.data.error;
  // A newer server may know codes that this client does not.
  const isKnown = Object.hasOwn(ERROR_KINDS, code);
  return new AnsweredError(
    {
      code: isKnown ? (code as ErrorCode) : "E_INTERNAL",
      message: isKnown ? message : `${code}: ${message}`,
      ...(why === undefined ? {} : { why }),
      ...(remedy === undefined ? {} : { remedy }),
    },
    requestId,
  );
}

function unreachable(server: string, error: unknown): HyperpilotError {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
  const why = errorText(cause) === "" ? String(cause) : errorText(cause);
  const isCertificate = CERTIFICATE_CODES.test(codeOf(cause));
  return new HyperpilotError(
    {
      code: "E_UNREACHABLE",
      message: isCertificate
        ? `The certificate of ${server} is not trusted here.`
        : `The server ${server} cannot be reached.`,
      why,
      remedy: isCertificate
        ? "Name the file of the authority that signed it (of a certificate that signs itself, the certificate):\nNODE_EXTRA_CA_CERTS=FILE hyperpilot ..."
        : "Start it with: hyperpilot up\nor name another one with --server. Trying again is safe.",
    },
    error,
  );
}

/** Names of OpenSSL's verdicts, as Node.js gives them. */
const CERTIFICATE_CODES = /SELF_SIGNED|UNABLE_TO_(?:VERIFY|GET_ISSUER)|ALTNAME_INVALID|CERT_/;

function codeOf(error: unknown): string {
  const hasCode = typeof error === "object" && error !== null && "code" in error;
  return hasCode && typeof error.code === "string" ? error.code : "";
}
