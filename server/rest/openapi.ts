/** OpenAPI 3.1 of the REST API, from the table of routes and the schemas that parse it. Pure. */
import { z } from "zod";
import { PROTOCOL_VERSION } from "../../protocol/version.ts";
import { API_ROOT, ErrorAnswer } from "../../protocol/rest.ts";
import { ROUTES, type Route } from "../../protocol/routes.ts";

const JSON_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema";

type Json = Readonly<Record<string, unknown>>;

/** The document served at /openapi.json. */
export function openApiDocument(): Json {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const [name, route] of Object.entries<Route>(ROUTES)) {
    const path = route.path.replaceAll(/:(\w+)/g, "{$1}");
    (paths[path] ??= {})[route.method.toLowerCase()] = operation(name, route);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Hyperpilot",
      version: `v1 (wire ${PROTOCOL_VERSION})`,
      description: "Large hyperparameter searches on machines that come and go.",
    },
    servers: [{ url: API_ROOT }],
    paths,
    components: {
      securitySchemes: { bearer: { type: "http", scheme: "bearer" } },
      schemas: { Error: schemaOf(ErrorAnswer, "output") },
    },
  };
}

function operation(operationId: string, route: Route): Json {
  const { summary, access, query, body, answer } = route;
  return {
    operationId,
    summary,
    description: access === "public" ? "Open to everybody." : `Needs: ${access}.`,
    security: access === "public" ? [] : [{ bearer: [] }],
    parameters: [...pathParameters(route.path), ...queryParameters(query)],
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: jsonContent(schemaOf(body, "input")) } }),
    responses: {
      "200": {
        description: "Done",
        ...(answer === undefined ? {} : { content: jsonContent(schemaOf(answer, "output")) }),
      },
      default: {
        description: "Refused or failed",
        content: jsonContent({ $ref: "#/components/schemas/Error" }),
      },
    },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: name === "taskId" ? "integer" : "string" },
  }));
}

function queryParameters(query: z.ZodType | undefined): Json[] {
  if (query === undefined) return [];
  const { properties } = schemaOf(query, "input");
  return Object.entries((properties ?? {}) as Json).map(([name, schema]) => ({
    name,
    in: "query",
    required: false,
    schema,
  }));
}

function jsonContent(schema: Json): Json {
  return { "application/json": { schema } };
}

/** `input`: as a client writes it, defaults may be left out. `output`: as the server answers. */
function schemaOf(schema: z.ZodType, io: "input" | "output"): Json {
  const { $schema: dialect, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: "any" });
  // OpenAPI 3.1 has the same dialect as its default.
  return dialect === JSON_SCHEMA_DIALECT ? rest : { $schema: dialect, ...rest };
}
