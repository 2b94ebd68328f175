import assert from "node:assert/strict";
import { chmodSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { SERVER } from "../../protocol/limits.ts";
import { ErrorAnswer } from "../../protocol/rest.ts";
import { openRegistrySecrets } from "../../server/secrets/registry-secrets.ts";
import { specification } from "../support/reactor-world.ts";
import { type SmallServer, startSmallServer } from "../support/small-server.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const CREDENTIAL = { username: "anna", password: "canary: open sesame" };
const REGISTRY = "registry.example.org:5000";
const PATH = `/secrets/${encodeURIComponent(REGISTRY)}`;

describe("Secrets of users on the server", () => {
  let server: SmallServer;
  let anna: string;
  let bert: string;
  let answers: string[];

  beforeEach(async () => {
    server = await startSmallServer();
    anna = await server.token(["user"], "anna");
    bert = await server.token(["user"], "bert");
    answers = [];
  });
  afterEach(() => server.close());

  async function call(token: string | null, method: string, path: string, body?: unknown) {
    const answer = await server.call(token, method, path, body);
    answers.push(JSON.stringify(answer.body));
    return answer;
  }

  /** A token of the lease on a point of a new task. */
  async function leaseToken(owner: string): Promise<{ token: string; revoke: () => void }> {
    const { body } = await call(owner, "POST", "/tasks", { spec: specification() });
    const { taskId } = body as { taskId: number };
    const task = server.core.tasks.get(taskId)!;
    const point = await waitUntil("a point", () => task.points.get("0"));
    const item = { type: "evaluation", taskId, pointId: "0" } as const;
    return {
      token: server.leaseTokens.issue(item, point.epoch),
      revoke: () => void (point.epoch = [1, point.epoch[1] + 1]),
    };
  }

  const ask = (token: string) =>
    call(token, "GET", `/leases/registry-credential?registry=${encodeURIComponent(REGISTRY)}`);

  it("are kept per registry, listed without their values, and forgotten", async () => {
    assert.equal((await call(anna, "PUT", PATH, CREDENTIAL)).status, 200);
    const again = { ...CREDENTIAL, username: "anna2" };
    await call(
      anna,
      "PUT",
      `/secrets/${encodeURIComponent("HTTPS://Registry.example.org:5000/v2")}`,
      again,
    );
    const { items } = (await call(anna, "GET", "/secrets")).body as { items: object[] };
    assert.deepEqual(
      items.map((each) => ({ ...each, setAt: "" })),
      [{ registry: REGISTRY, username: "anna2", setAt: "" }],
    );
    assert.equal((await call(anna, "DELETE", PATH)).status, 204);
    assert.equal((await call(anna, "DELETE", PATH)).status, 404);
    assert.deepEqual(((await call(anna, "GET", "/secrets")).body as { items: object[] }).items, []);
    assert.equal(answers.join().includes("canary"), false);
  });

  it("are given to a lease of a task of their user, and to nobody else", async () => {
    await call(anna, "PUT", PATH, CREDENTIAL);
    const own = await leaseToken(anna);
    assert.deepEqual((await ask(own.token)).body, { credential: CREDENTIAL });
    answers = [];
    const foreign = await leaseToken(bert);
    assert.deepEqual((await ask(foreign.token)).body, { credential: null });
    for (const token of [anna, bert]) assert.equal((await ask(token)).status, 401);
    own.revoke();
    const stale = await ask(own.token);
    assert.equal(ErrorAnswer.parse(stale.body).error.code, "E_STALE");
    assert.equal(answers.join().includes("canary"), false);
  });

  it("are files that nobody else may read, and stand in no journaled event", async () => {
    await call(anna, "PUT", PATH, CREDENTIAL);
    const [file = ""] = readdirSync(server.secretsDirectory);
    const path = join(server.secretsDirectory, file);
    assert.match(file, /^[0-9a-f]{64}\.json$/);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    assert.equal(readFileSync(path, "utf8").includes("canary"), true);
    const journaled = server.journaled();
    assert.equal(journaled.includes("anna"), true, "the journal is read");
    assert.equal(journaled.includes("canary"), false);
  });

  it("are refused when they cannot be what a registry takes, without being quoted", async () => {
    const wrong = [
      { username: "a:b", password: "canary" },
      { username: "anna", password: "canary\nsecond line" },
      { username: "anna", password: "c".repeat(SERVER.secretBytesMax + 1) },
      { username: "anna", password: "canary", more: "canary" },
    ];
    for (const body of wrong) assert.equal((await call(anna, "PUT", PATH, body)).status, 400);
    assert.equal((await call(anna, "PUT", "/secrets/no_host", CREDENTIAL)).status, 400);
    assert.equal(answers.join().includes("canary"), false);
  });
});

describe("The files of secrets", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  it("outlive a restart, and are refused when others may read them", async () => {
    const path = join(directory.path, "secrets");
    await (await openRegistrySecrets(path, systemClock)).set("anna", REGISTRY, CREDENTIAL);
    const opened = await openRegistrySecrets(path, systemClock);
    assert.deepEqual(await opened.get("anna", REGISTRY), CREDENTIAL);
    for (const name of ["constructor", "__proto__"])
      assert.equal(await opened.get("anna", name), null);
    chmodSync(join(path, readdirSync(path)[0]!), 0o644);
    await assert.rejects(opened.get("anna", REGISTRY), { code: "E_CONFIG" });
  });

  it("hold a bounded number, and none is lost when many are set at once", async () => {
    const secrets = await openRegistrySecrets(join(directory.path, "secrets"), systemClock);
    const names = Array.from({ length: SERVER.secretsPerUserMax }, (_, n) => `r${n}.example.org`);
    await Promise.all(names.map((name) => secrets.set("../anna", name, CREDENTIAL)));
    assert.equal((await secrets.list("../anna")).length, names.length);
    await assert.rejects(secrets.set("../anna", "one-more.example.org", CREDENTIAL), {
      code: "E_LIMIT",
    });
    await secrets.set("../anna", names[0]!, { ...CREDENTIAL, username: "new" });
  });
});
