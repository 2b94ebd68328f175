import assert from "node:assert/strict";
import { z } from "zod";
import { ROUTES } from "../../../protocol/routes.ts";
import { TaskSpecification } from "../../../protocol/task.ts";
import { openApiDocument } from "../../../server/rest/openapi.ts";
import { refusedInput } from "../../../server/rest/refused-input.ts";

interface Operation {
  readonly operationId: string;
  readonly security: readonly unknown[];
  readonly parameters: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: unknown;
}

describe("the OpenAPI document", () => {
  const document = openApiDocument() as {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  };
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));

  it("describes every route once and survives JSON", () => {
    assert.equal(document.openapi, "3.1.0");
    assert.deepEqual(
      operations.map(({ operationId }) => operationId).sort(),
      Object.keys(ROUTES).sort(),
    );
    assert.deepEqual(JSON.parse(JSON.stringify(document)), document);
  });

  it("asks for a token everywhere but at the public routes", () => {
    for (const { operationId, security } of operations) {
      const isPublic = ROUTES[operationId as keyof typeof ROUTES].access === "public";
      assert.equal(security.length === 0, isPublic, operationId);
    }
  });

  it("names parameters of path and query", () => {
    const names = document.paths["/tasks/{taskId}/points"]?.["get"]?.parameters.map(
      ({ name }) => name,
    );
    assert.deepEqual(names, ["taskId", "cursor", "limit", "state", "sort", "segment"]);
  });
});

describe("refused input", () => {
  function refusal(value: unknown) {
    const schema = z.strictObject({ spec: TaskSpecification });
    const parsed = schema.safeParse({ spec: value });
    assert.ok(!parsed.success);
    return refusedInput(parsed.error, { code: "E_TASK_SPECIFICATION", where: "The body", schema });
  }
  const valid = {
    specVersion: 1,
    name: "a",
    seed: 1,
    clientTaskUuid: "12345678",
    steering: { method: "tpe" },
    searchSpace: "{}",
    evaluation: { container: "host:", exec: "true" },
    limits: {},
    needs: {},
  };

  it("says which field is unknown and which one was meant", () => {
    const error = refusal({ ...valid, limits: { maxPoint: 3 } });
    assert.equal(error.code, "E_TASK_SPECIFICATION");
    assert.match(error.message, /spec\.limits\.maxPoint/);
    assert.equal(error.remedy, "Did you mean 'maxPoints'?");
    assert.equal(refusal({ ...valid, direktion: "min" }).remedy, "Did you mean 'direction'?");
  });

  it("says where a value is wrong, also within a union", () => {
    assert.match(
      refusal({ ...valid, limits: { maxPoints: -1 } }).message,
      /'spec\.limits\.maxPoints'/,
    );
    assert.match(
      refusal({ ...valid, steering: { method: "magic" } }).message,
      /'spec\.steering\.method'/,
    );
  });
});
