import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { type IncomingMessage, type Server, type ServerResponse, createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { type ServerApi, createServerApi } from "../../pilot/server-api.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { TASK } from "../../protocol/limits.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

const SHA256 = "a".repeat(64);
const SESSION = { pilotId: "pilot-1", token: "token", queue: "local", leaseSeconds: 600 };
const ITEM = {
  item: { type: "evaluation" as const, taskId: 10_000_000, pointId: "7" },
  epoch: [1, 2] as const,
  slot: 0,
  attempt: 1,
  pointText: "{}",
  seed: 7,
  token: "lease-token",
};

describe("the pilot's calls of the server", () => {
  const never = new AbortController().signal;
  let directory: TemporaryDirectory;
  let server: Server;
  let api: ServerApi;
  let requests: { line: string; authorization: string | undefined; body: string }[];
  let answer: (response: ServerResponse, request: IncomingMessage) => void;

  beforeEach(async () => {
    directory = temporaryDirectory();
    requests = [];
    server = createServer((request, response) => {
      void text(request).then((body) => {
        const line = `${request.method ?? ""} ${request.url ?? ""}`;
        requests.push({ line, authorization: request.headers.authorization, body });
        answer(response, request);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    api = createServerApi({ server: `http://127.0.0.1:${port}`, caFingerprint: null });
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await directory.remove();
  });

  const json = (status: number, value: unknown) => (response: ServerResponse) =>
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));

  const exchange = () => api.exchangeSecret("boot-secret", "instance-1", never);

  const codeOf = async (call: Promise<unknown>): Promise<string> => {
    const error: unknown = await call.then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HyperpilotError, String(error));
    return error.code;
  };

  it("ask for the owner's credential with the lease's token, and take no answer for none", async () => {
    const credential = { username: "anna", password: "open sesame" };
    answer = json(200, { credential });
    const ask = () => api.getRegistryCredential("lease-token", "reg.example.org:5000", never);
    assert.deepEqual(await ask(), credential);
    assert.deepEqual(requests, [
      {
        line: "GET /api/hyperpilot/v1/leases/registry-credential?registry=reg.example.org%3A5000",
        authorization: "Bearer lease-token",
        body: "",
      },
    ]);
    answer = json(200, { credential: null });
    assert.equal(await ask(), null);
    answer = json(200, { credential: "open sesame" });
    assert.equal(await codeOf(ask()), "E_PROTOCOL");
  });

  it("exchange the boot secret, which travels in the header only", async () => {
    answer = json(200, SESSION);
    assert.deepEqual(await exchange(), SESSION);
    assert.deepEqual(requests, [
      {
        line: "POST /api/hyperpilot/v1/pilot-sessions",
        authorization: "Bearer boot-secret",
        body: '{"instance":"instance-1"}',
      },
    ]);
  });

  it("fetch a task's files with the token of the lease", async () => {
    answer = (response) => response.end("files");
    const file = join(directory.path, "sandbox");
    await api.getSandbox(SHA256, { token: "lease-token", file, signal: never });
    assert.equal(readFileSync(file, "utf8"), "files");
    assert.equal(requests[0]?.line, `GET /api/hyperpilot/v1/sandboxes/${SHA256}`);
    assert.equal(requests[0].authorization, "Bearer lease-token");
  });

  it("fetch no more bytes than a task may have", async () => {
    answer = (response) => response.end(Buffer.alloc(TASK.sandboxBytesMax + 1));
    const call = { token: "t", file: join(directory.path, "sandbox"), signal: never };
    assert.equal(await codeOf(api.getSandbox(SHA256, call)), "E_TOO_LARGE");
  });

  it("take files that break off for a server that cannot be reached", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-length": "100" }).write("only this");
      setImmediate(() => response.destroy());
    };
    const call = { token: "t", file: join(directory.path, "sandbox"), signal: never };
    assert.equal(await codeOf(api.getSandbox(SHA256, call)), "E_UNREACHABLE");
  });

  it("upload output for the lease that it belongs to, empty output too", async () => {
    answer = (response) => response.writeHead(204).end();
    const file = join(directory.path, "log");
    for (const content of ["all of the output", ""]) {
      writeFileSync(file, content);
      await api.putLog(ITEM, file, never);
      const { line, body } = requests.at(-1)!;
      assert.equal(line, "PUT /api/hyperpilot/v1/leases/log?taskId=10000000&pointId=7&epoch=1.2");
      assert.equal(body, content);
    }
  });

  it("fail with what the server answered", async () => {
    const parts = { code: "E_CONFLICT", exit: 7, message: "alive", why: "w", requestId: "" };
    answer = json(409, { error: parts });
    await assert.rejects(exchange(), { code: "E_CONFLICT", message: "alive", why: "w" });
  });

  it("are to be tried again at an error of the server, not at a limit that it has", async () => {
    answer = json(503, { error: { code: "E_FENCED", exit: 1, message: "no", requestId: "" } });
    assert.equal(await codeOf(exchange()), "E_UNREACHABLE");
    answer = json(429, { error: { code: "E_LIMIT", exit: 9, message: "no", requestId: "" } });
    assert.equal(await codeOf(exchange()), "E_LIMIT");
  });

  it("are to be tried again when nobody listens", async () => {
    const nobody = createServerApi({ server: "http://127.0.0.1:9", caFingerprint: null });
    assert.equal(await codeOf(nobody.exchangeSecret("s", "instance-1", never)), "E_UNREACHABLE");
  });

  it("fail clearly at something that is no server of ours", async () => {
    answer = (response) => response.writeHead(404).end("<html>");
    assert.equal(await codeOf(exchange()), "E_PROTOCOL");
    answer = (response) => response.end("<html>");
    assert.equal(await codeOf(exchange()), "E_PROTOCOL");
    answer = (response) => response.writeHead(401).end();
    assert.equal(await codeOf(exchange()), "E_UNAUTHENTICATED");
  });
});

describe("the pilot's calls of a server with a pinned certificate", () => {
  let directory: TemporaryDirectory;
  let server: Server;
  let tokens: (string | undefined)[];
  let address: string;
  let fingerprint: string;

  beforeEach(async () => {
    directory = temporaryDirectory();
    tokens = [];
    const files = ["-keyout", "server.key", "-out", "server.crt", "-days", "2"];
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const args = ["req", "-x509", ...key, ...files, "-subj", "/CN=server"];
    execFileSync("openssl", args, { cwd: directory.path, stdio: "ignore" });
    const read = (name: string) => readFileSync(join(directory.path, name), "utf8");
    fingerprint = new X509Certificate(read("server.crt")).fingerprint256;
    server = createTlsServer(
      { key: read("server.key"), cert: read("server.crt") },
      (request, to) => {
        tokens.push(request.headers.authorization);
        to.end(JSON.stringify(SESSION));
      },
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await directory.remove();
  });

  const exchange = (caFingerprint: string | null) =>
    createServerApi({ server: address, caFingerprint }).exchangeSecret(
      "boot-secret",
      "instance-1",
      new AbortController().signal,
    );

  it("reach it", async () => {
    assert.deepEqual(await exchange(fingerprint), SESSION);
  });

  it("show the secret to no other", async () => {
    await assert.rejects(exchange("00".repeat(32)), { code: "E_UNAUTHENTICATED" });
    await assert.rejects(exchange(null), { code: "E_UNREACHABLE" });
    assert.deepEqual(tokens, []);
  });
});
