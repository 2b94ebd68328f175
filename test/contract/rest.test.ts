import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { request } from "node:http";
import { API_ROOT, ErrorAnswer, PointDetail, TaskDetail, WhyAnswer } from "../../protocol/rest.ts";
import { SERVER, TASK } from "../../protocol/limits.ts";
import { startSmallServer, type SmallServer } from "../support/small-server.ts";
import { specification } from "../support/reactor-world.ts";
import { waitUntil } from "../support/wait-until.ts";

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("REST", () => {
  let server: SmallServer;
  let anna: string;
  let bert: string;
  let admin: string;

  beforeEach(async () => {
    server = await startSmallServer();
    anna = await server.token(["user"], "anna");
    bert = await server.token(["user", "operator"], "bert");
    admin = await server.token(["admin"], "root");
  });
  afterEach(() => server.close());

  async function submit(token = anna, change = {}): Promise<number> {
    const { status, body } = await server.call(token, "POST", "/tasks", {
      spec: specification(change),
    });
    assert.equal(status, 200, JSON.stringify(body));
    return (body as { taskId: number }).taskId;
  }

  async function refused(token: string | null, method: string, path: string, body?: unknown) {
    const answer = await server.call(token, method, path, body);
    const { error } = ErrorAnswer.parse(answer.body);
    assert.ok(error.requestId !== "" && error.message !== "");
    return { status: answer.status, ...error };
  }

  it("submits once per uuid, shows, lists, explains and controls", async () => {
    const spec = specification();
    const first = await server.call(anna, "POST", "/tasks", { spec });
    const again = await server.call(anna, "POST", "/tasks", { spec });
    const { taskId } = first.body as { taskId: number };
    assert.deepEqual(
      [(again.body as { taskId: number }).taskId, (again.body as { existed: boolean }).existed],
      [taskId, true],
    );
    const detail = TaskDetail.parse((await server.call(anna, "GET", `/tasks/${taskId}`)).body);
    assert.deepEqual([detail.owner, detail.state], ["anna", "running"]);
    assert.equal(
      ((await server.call(anna, "GET", "/tasks")).body as { items: unknown[] }).items.length,
      1,
    );
    const why = WhyAnswer.parse((await server.call(anna, "GET", `/tasks/${taskId}/why`)).body);
    assert.equal(why.code, "noQueueFits");
    await waitUntil("a point", () => server.core.tasks.get(taskId)?.points.get("0"));
    const point = PointDetail.parse(
      (await server.call(anna, "GET", `/tasks/${taskId}/points/0`)).body,
    );
    assert.deepEqual([point.text, point.history], ['{"x":1.0}', []]);
    const paused = await server.call(anna, "POST", `/tasks/${taskId}/control`, { action: "pause" });
    assert.equal((paused.body as { state: string }).state, "paused");
    const limits = await server.call(anna, "POST", `/tasks/${taskId}/limits`, {
      limits: { nParallelEvaluation: 3 },
    });
    assert.equal(limits.status, 200);
    assert.equal(server.core.tasks.get(taskId)?.limits.maxPoints, spec.limits.maxPoints);
    assert.equal(server.core.tasks.get(taskId)?.limits.nParallelEvaluation, 3);
  });

  it("answers other people's searches as if they did not exist", async () => {
    const taskId = await submit();
    const paths: [string, string, unknown?][] = [
      ["GET", ""],
      ["GET", "/why"],
      ["GET", "/watch"],
      ["GET", "/points"],
      ["GET", "/points/0"],
      ["GET", "/points/0/log"],
      ["POST", "/control", { action: "kill" }],
      ["POST", "/limits", { limits: { maxPoints: 1 } }],
      ["POST", "/retry", { pointIds: ["0"] }],
    ];
    for (const [method, path, body] of paths) {
      const { status, code } = await refused(bert, method, `/tasks/${taskId}${path}`, body);
      assert.deepEqual([status, code], [404, "E_NOT_FOUND"], path);
    }
    assert.equal((await server.call(admin, "GET", `/tasks/${taskId}`)).status, 200);
    assert.equal(server.core.tasks.get(taskId)?.state, "running");
    assert.equal((await refused(bert, "GET", "/tasks?all=true")).code, "E_FORBIDDEN");
  });

  it("refuses without a token, with a wrong or revoked one, and without the role", async () => {
    assert.equal((await refused(null, "GET", "/tasks")).status, 401);
    assert.equal((await refused(`${anna}x`, "GET", "/tasks")).code, "E_UNAUTHENTICATED");
    assert.equal((await refused(anna, "PUT", "/queues/q", { name: "q" })).code, "E_FORBIDDEN");
    assert.equal((await refused(bert, "GET", "/status")).status, 403);
    assert.equal((await refused(anna, "GET", `/tasks?token=${anna}`)).status, 400);
    const id = anna.split("_")[1];
    assert.equal((await server.call(admin, "DELETE", `/tokens/${id}`)).status, 204);
    assert.equal((await refused(anna, "GET", "/tasks")).status, 401);
  });

  it("says what is wrong with an input, with line and column, and changes nothing", async () => {
    const json = await refused(anna, "POST", "/tasks", '{"spec":\n {"name":}}');
    assert.deepEqual([json.code, json.status], ["E_JSON", 400]);
    assert.match(json.message, /body:2:\d+/);
    const unknown = await refused(anna, "POST", "/tasks", {
      spec: { ...specification(), direktion: "min" },
    });
    assert.deepEqual(
      [unknown.code, unknown.remedy],
      ["E_TASK_SPECIFICATION", "Did you mean 'direction'?"],
    );
    const space = await refused(anna, "POST", "/tasks", {
      spec: {
        ...specification(),
        searchSpace: '{"x":{"method":"uniform","dimension":{"low":2,"high":1}}}',
      },
    });
    assert.equal(space.status, 400);
    assert.equal((await refused(anna, "POST", "/tasks")).code, "E_USAGE");
    assert.equal((await refused(anna, "GET", "/tasks/abc")).status, 400);
    assert.equal(
      (await refused(anna, "GET", `/tasks?limit=${SERVER.pageItemsMax + 1}`)).status,
      400,
    );
    assert.equal((await refused(anna, "GET", "/nowhere")).code, "E_NOT_FOUND");
    assert.equal(
      (await refused(anna, "POST", "/tasks", "x".repeat(SERVER.restBodyBytesMax + 1))).status,
      413,
    );
    assert.equal((await refused(bert, "PUT", "/queues/a", { name: "b" })).code, "E_QUEUE_CONFIG");
    assert.equal(server.core.tasks.size, 0);
  });

  it("takes no key of an object as special", async () => {
    const { code } = await refused(
      anna,
      "POST",
      "/tasks",
      '{"spec":{"__proto__":{"roles":["admin"]}}}',
    );
    assert.equal(code, "E_TASK_SPECIFICATION");
    assert.equal(({} as { roles?: unknown }).roles, undefined);
  });

  it("sets headers that keep browsers from showing anything as a page", async () => {
    const taskId = await submit();
    server.output.set(`${taskId}/0`, "<script>alert(1)</script>");
    for (const path of ["/health", "/nowhere", "/tasks", `/tasks/${taskId}/points/0/log`]) {
      const { headers } = await server.call(anna, "GET", path);
      assert.equal(headers.get("x-content-type-options"), "nosniff", path);
      assert.match(headers.get("content-security-policy") ?? "", /^default-src 'none'/, path);
    }
    const log = await server.call(anna, "GET", `/tasks/${taskId}/points/0/log`);
    assert.match(log.headers.get("content-type") ?? "", /^text\/plain/);
    assert.match(log.headers.get("content-disposition") ?? "", /^attachment/);
    assert.equal(log.body, "<script>alert(1)</script>");
  });

  it("shows the output of a run of steering as that of a point", async () => {
    const taskId = await submit();
    server.output.set(`${taskId}/run-0`, "no module named skopt");
    const log = await server.call(anna, "GET", `/tasks/${taskId}/points/run-0/log`);
    assert.deepEqual([log.status, log.body], [200, "no module named skopt"]);
    const wrong = await server.call(anna, "GET", `/tasks/${taskId}/points/run-x/log`);
    assert.equal(wrong.status, 400);
  });

  it("takes a task's files by checksum, and no task without them", async () => {
    const bytes = Buffer.from("files");
    const sandboxSha256 = sha256(bytes);
    const missing = await refused(anna, "POST", "/tasks", {
      spec: specification({ sandboxSha256 }),
    });
    assert.equal(missing.code, "E_NOT_FOUND");
    assert.equal(
      (await refused(anna, "PUT", `/sandboxes/${sandboxSha256}`, Buffer.from("other"))).code,
      "E_CHECKSUM",
    );
    assert.equal(
      (await server.call(anna, "PUT", `/sandboxes/${sandboxSha256}`, bytes)).status,
      200,
    );
    await submit(anna, { sandboxSha256 });
    const large = await refused(
      anna,
      "PUT",
      `/sandboxes/${sandboxSha256}`,
      Buffer.alloc(TASK.sandboxBytesMax + 1),
    );
    assert.deepEqual([large.status, large.code], [413, "E_SANDBOX_SIZE"]);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const headers = { authorization: `Bearer ${anna}`, "transfer-encoding": "chunked" };
      const chunked = request(
        `${server.origin}${API_ROOT}/sandboxes/${sandboxSha256}`,
        { method: "PUT", headers },
        (response) => resolve(response.resume().statusCode),
      );
      chunked.on("error", reject);
      chunked.end("files");
    });
    assert.equal(status, 400);
  });

  it("gives a task's files back to those who may see it, and says the seed of its points", async () => {
    const bytes = Buffer.from("not really a tarball");
    const sandboxSha256 = sha256(bytes);
    await server.call(anna, "PUT", `/sandboxes/${sandboxSha256}`, bytes);
    const taskId = await submit(anna, { sandboxSha256, seed: 7 });
    const { status, body } = await server.call(anna, "GET", `/tasks/${taskId}/files`);
    assert.deepEqual([status, body], [200, bytes.toString()]);
    assert.equal((await server.call(admin, "GET", `/tasks/${taskId}/files`)).status, 200);
    assert.equal((await refused(bert, "GET", `/tasks/${taskId}/files`)).code, "E_NOT_FOUND");
    assert.equal((await refused(null, "GET", `/tasks/${taskId}/files`)).status, 401);
    const without = await submit();
    assert.equal((await refused(anna, "GET", `/tasks/${without}/files`)).code, "E_NOT_FOUND");
    await waitUntil("a point", () => server.core.tasks.get(taskId)?.points.get("0"));
    const point = await server.call(anna, "GET", `/tasks/${taskId}/points/0`);
    const digest = createHash("sha256").update("7:0").digest();
    assert.equal(PointDetail.parse(point.body).seed, digest.readUInt32BE(0));
  });

  it("opens the files of a lease with its token only, and takes its output", async () => {
    const bytes = Buffer.from("files");
    await server.call(anna, "PUT", `/sandboxes/${sha256(bytes)}`, bytes);
    const taskId = await submit(anna, { sandboxSha256: sha256(bytes) });
    const { epoch } = await waitUntil("a point", () =>
      server.core.tasks.get(taskId)?.points.get("0"),
    );
    const lease = server.leaseTokens.issue({ type: "evaluation", taskId, pointId: "0" }, epoch);
    assert.equal((await server.call(lease, "GET", `/sandboxes/${sha256(bytes)}`)).body, "files");
    assert.equal((await refused(lease, "GET", `/sandboxes/${"0".repeat(64)}`)).code, "E_NOT_FOUND");
    assert.equal((await refused(anna, "GET", `/sandboxes/${sha256(bytes)}`)).status, 401);
    assert.equal((await refused(lease, "GET", `/tasks/${taskId}`)).status, 401);
    const log = (point: string, at: string): string =>
      `/leases/log?taskId=${taskId}&pointId=${point}&epoch=${at}`;
    assert.equal(
      (await server.call(lease, "PUT", log("0", epoch.join(".")), Buffer.from("output"))).status,
      204,
    );
    assert.equal(server.output.get(`${taskId}/0`), "output");
    assert.equal(
      (await refused(lease, "PUT", log("1", epoch.join(".")), Buffer.from("x"))).code,
      "E_FORBIDDEN",
    );
    const stale = server.leaseTokens.issue({ type: "evaluation", taskId, pointId: "0" }, [0, 99]);
    assert.equal((await refused(stale, "PUT", log("0", "0.99"), Buffer.from("x"))).code, "E_STALE");
    const tooLong = Buffer.alloc(SERVER.logHeadBytesMax + SERVER.logTailBytesMax + 1);
    assert.equal((await refused(lease, "PUT", log("0", epoch.join(".")), tooLong)).status, 413);
  });

  it("streams a search's changes until it has ended", async () => {
    const taskId = await submit();
    const response = await fetch(`${server.origin}${API_ROOT}/tasks/${taskId}/watch`, {
      headers: { authorization: `Bearer ${anna}` },
    });
    assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
    assert.equal(response.headers.get("x-content-type-options"), "nosniff");
    let text = "";
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const whole = (async () => {
      for (let part = await reader.read(); !part.done; part = await reader.read())
        text += part.value;
    })();
    await waitUntil("the first event", () => text.includes('"state":"running"'));
    await server.call(anna, "POST", `/tasks/${taskId}/control`, { action: "kill" });
    await whole;
    const events = text.split("\n\n").filter((event) => event !== "");
    assert.match(events.at(-1)!, /"state":"aborted"/);
    assert.ok(events.length <= 3);
  });

  it("ends a stream whose token was revoked", async () => {
    const taskId = await submit();
    const response = await fetch(`${server.origin}${API_ROOT}/tasks/${taskId}/watch`, {
      headers: { authorization: `Bearer ${anna}` },
    });
    await server.call(admin, "DELETE", `/tokens/${anna.split("_")[1]}`);
    assert.match(await response.text(), /"state":"running"/);
  });

  it("makes tokens that are shown once", async () => {
    const made = await server.call(admin, "POST", "/tokens", {
      name: "laptop",
      user: "carla",
      roles: ["user"],
    });
    const { id, token } = made.body as { id: string; token: string };
    assert.equal((await server.call(token, "GET", "/tasks")).status, 200);
    const listed = JSON.stringify((await server.call(admin, "GET", "/tokens")).body);
    assert.ok(listed.includes(id) && !listed.includes(token));
  });

  it("tells nothing of its own faults but a request id", async () => {
    server.blobs.get = () => Promise.reject(new Error("secret /path/to/somewhere"));
    const answer = await server.call(anna, "POST", "/tasks", {
      spec: specification({ sandboxSha256: "0".repeat(64) }),
    });
    assert.equal(answer.status, 500);
    assert.ok(!JSON.stringify(answer.body).includes("somewhere"));
    assert.match(ErrorAnswer.parse(answer.body).error.requestId, /.+/);
  });
});
