/** The HTTP server: every route of the table, parsed, authorized, answered in one style. */
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify";
import { HyperpilotError } from "../../protocol/errors.ts";
import { parseJsonText, toValue } from "../../protocol/json-text.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { API_ROOT } from "../../protocol/rest.ts";
import { ROUTES, type Route, type RouteName } from "../../protocol/routes.ts";
import { authorize, type Caller } from "../auth/access.ts";
import { bearerOf, submissionOfBootSecret, tokenRecord } from "../auth/tokens.ts";
import { TOKEN_IN_ADDRESS } from "../gateway/listener.ts";
import { adminHandlers } from "./admin.ts";
import { parseParts, type AnyHandler, type Handlers } from "./call.ts";
import type { RestDeps } from "./context.ts";
import { answerError } from "./errors.ts";
import { leaseFileHandlers } from "./lease-files.ts";
import { pilotHandlers } from "./pilots.ts";
import { pointHandlers } from "./points.ts";
import { queueHandlers } from "./queues.ts";
import { secretHandlers } from "./secrets.ts";
import { siteHandlers } from "./site.ts";
import { taskHandlers } from "./tasks.ts";
import { endIfSlow, receiveDeadlineMs, uploadHandlers } from "./uploads.ts";
import { createWatching } from "./watch.ts";

export interface RestOptions {
  /** Certificate and key, PEM; null: plain HTTP. */
  readonly tls: { readonly cert: string; readonly key: string } | null;
  /** Proxies whose X-Forwarded-* headers count; never everybody. */
  readonly behindProxy: readonly string[];
}

/** Routes whose body is bytes, taken as a stream whatever their content type says. */
const BYTE_ROUTES: ReadonlySet<RouteName> = new Set(["putSandbox", "putLog", "putLeaseFile"]);

const SECURITY_HEADERS = {
  "x-content-type-options": "nosniff",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
} as const;

/** Builds the server; the caller listens and closes. */
export function createRestServer(deps: RestDeps, options: RestOptions): FastifyInstance {
  const app = Fastify({
    logger: false,
    bodyLimit: SERVER.restBodyBytesMax,
    // The longest upload; everything else is ended much earlier.
    requestTimeout: receiveDeadlineMs(TASK.metricsBytesMax),
    trustProxy: options.behindProxy.length === 0 ? false : [...options.behindProxy],
    forceCloseConnections: true,
    genReqId: requestIds(),
    routerOptions: { maxParamLength: 100 },
    ...(options.tls === null
      ? { http: { maxHeaderSize: SERVER.headerBytesMax } }
      : { https: { ...options.tls, maxHeaderSize: SERVER.headerBytesMax, minVersion: "TLSv1.2" } }),
  }) as unknown as FastifyInstance;
  app.server.headersTimeout = SERVER.headersTimeoutMs;
  app.addHook("onRequest", (request, reply, done) => {
    reply.headers(SECURITY_HEADERS);
    if (options.tls !== null) reply.header("strict-transport-security", "max-age=31536000");
    const hasToken = Object.hasOwn(request.query as object, "token");
    done(hasToken ? new HyperpilotError(TOKEN_IN_ADDRESS) : undefined);
  });
  app.addHook("onResponse", (request, reply, done) => {
    deps.log.info("request", {
      requestId: request.id,
      method: request.method,
      route: request.routeOptions.url ?? "none",
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
    });
    done();
  });
  app.setErrorHandler((error, request, reply) => answerError(error, request, reply, deps.log));
  app.setNotFoundHandler((request, reply) =>
    answerError(noRoute(request), request, reply, deps.log),
  );
  register(app, deps);
  return app;
}

function register(app: FastifyInstance, deps: RestDeps): void {
  const watching = createWatching(deps);
  app.addHook("preClose", (done) => {
    watching.stop();
    done();
  });
  const handlers: Handlers = {
    ...taskHandlers(deps),
    ...pointHandlers(deps),
    ...queueHandlers(deps),
    ...siteHandlers(deps),
    ...pilotHandlers(deps),
    ...uploadHandlers(deps),
    ...leaseFileHandlers(deps),
    ...secretHandlers(deps),
    ...adminHandlers(deps),
    ...watching.handlers,
  };
  const names = Object.keys(ROUTES) as RouteName[];
  app.register((scope, _options, done) => {
    parseJsonBodies(scope);
    for (const name of names)
      if (!BYTE_ROUTES.has(name)) addRoute(scope, deps, name, handlers[name] as AnyHandler);
    done();
  });
  app.register((scope, _options, done) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser("*", (_request, payload, parsed) => parsed(null, payload));
    for (const name of names)
      if (BYTE_ROUTES.has(name)) addRoute(scope, deps, name, handlers[name] as AnyHandler);
    done();
  });
}

function addRoute(
  scope: FastifyInstance,
  deps: RestDeps,
  name: RouteName,
  handler: AnyHandler,
): void {
  const route: Route = ROUTES[name];
  scope.route({
    method: route.method,
    url: API_ROOT + route.path,
    // Before the body is read: nobody sends bytes into a server that would not take them.
    onRequest: async (request) => {
      endIfSlow(request, deps.clock);
      const caller = await callerOf(deps, request);
      authorize(caller, route.access);
      callers.set(request, caller);
    },
    handler: async (request, reply) => {
      const caller = callers.get(request) ?? { type: "nobody" };
      const parts = parseParts(name, request);
      const answer = await handler({ caller, ...parts, request, reply });
      return answer === null ? reply.code(204).send() : answer;
    },
  });
}

/** Caller of each request in work, as its credential proved it. */
const callers = new WeakMap<FastifyRequest, Caller>();

async function callerOf(deps: RestDeps, request: FastifyRequest): Promise<Caller> {
  const bearer = bearerOf(request.headers.authorization);
  if (bearer === null) return { type: "nobody" };
  if (submissionOfBootSecret(bearer) !== null) return { type: "boot", secret: bearer };
  const lease = deps.leaseTokens.verify(bearer);
  if (lease !== null) return { type: "lease", ...lease };
  const record = await deps.engine.read((core) => tokenRecord(core, bearer));
  if (record === null) return { type: "nobody" };
  return { type: "user", principal: record.role, tokenId: record.id };
}

/** JSON by the project's own bounded reader, which names line and column; no key of it is special. */
function parseJsonBodies(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers();
  scope.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) => {
    try {
      const text = body.toString();
      done(null, text === "" ? undefined : toValue(parseJsonText(text, { name: "body" })));
    } catch (error) {
      done(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** Ids that are unique in this process and tell nothing. */
function requestIds(): () => string {
  const start = Date.now().toString(36);
  let number = 0;
  return () => {
    number += 1;
    return `${start}-${number.toString(36)}`;
  };
}

function noRoute(request: FastifyRequest): HyperpilotError {
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no ${request.method} ${(request.url.split("?")[0] ?? "").slice(0, 200)}.`,
    remedy: `The routes are described in ${API_ROOT}/openapi.json.`,
  });
}
