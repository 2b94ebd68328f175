/** One call of a route: its parts, parsed by the route's schemas, and the caller that its credential proves. */
import type { FastifyReply, FastifyRequest } from "fastify";
import { z } from "zod";
import { HyperpilotError, type ErrorCode } from "../../protocol/errors.ts";
import { RegistryName } from "../../protocol/image-reference.ts";
import { LEASE_FILE_KINDS, ROUTES, type Route, type RouteName } from "../../protocol/routes.ts";
import type { Caller, UserCaller } from "../auth/access.ts";
import { refusedInput, type RefusedPart } from "./refused-input.ts";

/** Schemas of what stands in paths. */
const PARAMETERS = {
  taskId: z.coerce.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER),
  /** "run-3" names the output of a steering container's run. */
  pointId: z.string().regex(/^(?:run-\d{1,9}|\d{1,16})$/),
  kind: z.enum(LEASE_FILE_KINDS),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  name: z.string().min(1).max(63),
  id: z.string().min(1).max(64),
  registry: RegistryName,
} as const;
type Parameters = { readonly [N in keyof typeof PARAMETERS]: z.infer<(typeof PARAMETERS)[N]> };

type NamesIn<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | NamesIn<`/${Rest}`>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never;
type RouteOf<R extends RouteName> = (typeof ROUTES)[R];
type PartOf<R extends RouteName, Part extends "query" | "body"> =
  RouteOf<R> extends Readonly<Record<Part, z.ZodType<infer Value>>> ? Value : undefined;

export interface Call<R extends RouteName> {
  readonly caller: RouteOf<R>["access"] extends "user" | "operator" | "admin" ? UserCaller : Caller;
  readonly params: Pick<Parameters, NamesIn<RouteOf<R>["path"]> & keyof Parameters>;
  readonly query: PartOf<R, "query">;
  readonly body: PartOf<R, "body">;
  readonly request: FastifyRequest;
  /** Only for headers and streams; a handler returns its answer. */
  readonly reply: FastifyReply;
}

export type Handlers = { readonly [R in RouteName]: (call: Call<R>) => Promise<unknown> };

/** What a route's handler is called with once its type does not matter any more. */
export type AnyHandler = (call: {
  readonly caller: Caller;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}) => Promise<unknown>;

/** Codes of bodies that people write by hand. */
const BODY_CODES: Readonly<Partial<Record<RouteName, ErrorCode>>> = {
  submitTask: "E_TASK_SPECIFICATION",
  putQueue: "E_QUEUE_CONFIG",
};

/** Parses path, query and body of a request. Errors: E_USAGE, E_TASK_SPECIFICATION, E_QUEUE_CONFIG with the first issue. */
export function parseParts(name: RouteName, request: FastifyRequest) {
  const route: Route = ROUTES[name];
  const body = route.body;
  if (body !== undefined && (typeof request.body !== "object" || request.body === null)) {
    throw new HyperpilotError({
      code: "E_USAGE",
      message: "This needs a JSON object as body.",
      remedy: "Send it with 'Content-Type: application/json'.",
    });
  }
  return {
    params: parse(parametersOf(route.path), request.params, {
      code: "E_USAGE",
      where: "The address",
    }),
    query: parse(route.query, request.query, { code: "E_USAGE", where: "The query" }),
    body: parse(body, request.body, { code: BODY_CODES[name] ?? "E_USAGE", where: "The body" }),
  };
}

function parse(
  schema: z.ZodType | undefined,
  value: unknown,
  part: Omit<RefusedPart, "schema">,
): unknown {
  if (schema === undefined) return undefined;
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw refusedInput(parsed.error, { ...part, schema });
  return parsed.data;
}

function parametersOf(path: string): z.ZodType {
  const shape: Record<string, z.ZodType> = {};
  for (const [, name = ""] of path.matchAll(/:(\w+)/g))
    shape[name] = name in PARAMETERS ? PARAMETERS[name as keyof Parameters] : z.string().max(64);
  return z.object(shape);
}
