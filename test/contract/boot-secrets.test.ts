import assert from "node:assert/strict";
import { WebSocket } from "ws";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import { ToHarvesterFrame } from "../../protocol/harvester-messages.ts";
import { PilotSessionAnswer, ToPilotFrame, type ToPilot } from "../../protocol/pilot-messages.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { ErrorAnswer } from "../../protocol/rest.ts";
import { HARVESTER_SOCKET_PATH, PILOT_SOCKET_PATH } from "../../protocol/routes.ts";
import { exchangeBootSecret, SERVER_PRINCIPAL } from "../../server/gateway/boot-secrets.ts";
import { silentLogger } from "../../common/log.ts";
import { specification } from "../support/reactor-world.ts";
import { startSmallServer, type SmallServer } from "../support/small-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const INSTANCE = "instance-1";
const OTHER_INSTANCE = "instance-2";

describe("boot secrets", () => {
  let server: SmallServer;
  const sockets: WebSocket[] = [];

  beforeEach(async () => {
    server = await startSmallServer();
    const config = QueueConfig.parse({ name: "local" });
    await server.engine.execute<"putQueue">(SERVER_PRINCIPAL, { type: "putQueue", config });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    await server.close();
  });

  async function open(path: string, token: string): Promise<WebSocket> {
    const socket = new WebSocket(server.origin.replace("http", "ws") + path, {
      headers: { authorization: `Bearer ${token}` },
    });
    sockets.push(socket);
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return socket;
  }

  async function drawn(count: number) {
    const socket = await open(HARVESTER_SOCKET_PATH, await server.token(["harvester"], "h"));
    const secrets: { submissionId: string; secret: string }[] = [];
    socket.on("message", (data: Buffer) => {
      for (const message of ToHarvesterFrame.parse(decodeFrame(data)))
        if (message.type === "bootSecrets") secrets.push(...message.secrets);
    });
    const report = {
      type: "report",
      queue: "local",
      submissions: [],
      secretsNeeded: count,
      lastError: null,
    };
    socket.send(
      encode([{ type: "hello", protocol: { min: 1, max: 1 }, harvester: "h", sites: [] }, report]),
    );
    await waitUntil("secrets", () => secrets.length === count);
    return secrets;
  }

  const exchange = (secret: string, instance: string) =>
    server.call(secret, "POST", "/pilot-sessions", { instance });

  async function startPilot(secret: string) {
    const { token } = PilotSessionAnswer.parse((await exchange(secret, INSTANCE)).body);
    const socket = await open(PILOT_SOCKET_PATH, token);
    const received: ToPilot[] = [];
    socket.on("message", (data: Buffer) => received.push(...ToPilotFrame.parse(decodeFrame(data))));
    const slot = { cpus: 2, memoryBytes: 4e9, gpus: [] };
    const capacity = {
      node: "n",
      ...slot,
      scratchBytes: 1e9,
      runtimes: ["none"],
      walltimeLeftSeconds: null,
      sources: {},
    };
    const hello = {
      type: "hello",
      protocol: { min: 1, max: 1 },
      instance: INSTANCE,
      capacity,
      slots: [slot],
      leases: [],
    };
    socket.send(encode([hello, { type: "request", slot: 0, requestNo: 1, want: 1 }]));
    await waitUntil("welcome", () => received.some(({ type }) => type === "welcome"));
    return { socket, received };
  }

  it("are drawn for a harvester, kept as hashes, and start a pilot that evaluates", async () => {
    const [first] = await drawn(2);
    assert.equal(server.core.submissions.size, 2);
    assert.ok(
      !JSON.stringify([...server.core.submissions.values()]).includes(first!.secret.slice(-32)),
    );
    const { socket, received } = await startPilot(first!.secret);
    const anna = await server.token(["user"]);
    const { body } = await server.call(anna, "POST", "/tasks", {
      spec: specification({}, { maxPoints: 1 }),
    });
    const grant = await waitUntil("a grant", () =>
      received.find((message) => message.type === "grant"),
    );
    const { item, epoch } = grant.items[0]!;
    const result = {
      type: "result",
      item,
      epoch,
      seq: 1,
      outcome: { type: "loss", loss: 0.5, exitCode: 0, message: "" },
      durationSeconds: 1,
      log: "",
      next: null,
    };
    socket.send(encode([result]));
    await waitUntil("its acknowledgement", () => received.find(({ type }) => type === "accepted"));
    const { taskId } = body as { taskId: number };
    const shown = await server.call(anna, "GET", `/tasks/${taskId}`);
    assert.equal((shown.body as { best: { loss: number } }).best.loss, 0.5);
  });

  it("are refused when unknown, wrong or malformed", async () => {
    const [first] = await drawn(1);
    const wrong = first!.secret.slice(0, -4) + "AAAA";
    for (const secret of [wrong, "hp_boot_x", await server.token(["admin"])]) {
      const { status, body } = await exchange(secret, INSTANCE);
      assert.deepEqual([status, ErrorAnswer.parse(body).error.code], [401, "E_UNAUTHENTICATED"]);
    }
    assert.equal((await exchange(first!.secret, "short")).status, 400);
  });

  it("start one pilot at a time: while it answers, another instance is refused and it stays", async () => {
    const [first] = await drawn(1);
    const { socket } = await startPilot(first!.secret);
    const { status, body } = await exchange(first!.secret, OTHER_INSTANCE);
    assert.deepEqual([status, ErrorAnswer.parse(body).error.code], [409, "E_CONFLICT"]);
    assert.equal(socket.readyState, WebSocket.OPEN);
    const again = await exchange(first!.secret, INSTANCE);
    assert.equal(again.status, 200);
  });

  it("give the place of a pilot that is gone, or does not answer, to the new instance", async () => {
    const [first] = await drawn(1);
    const { socket } = await startPilot(first!.secret);
    const cut: string[] = [];
    const deaf = {
      isAlive: () => Promise.resolve(false),
      cut: (pilotId: string) => void cut.push(pilotId),
    };
    const former = [...server.core.submissions.values()][0]!.pilotId;
    const { engine, sessionTokens } = server;
    const deps = { engine, sessionTokens, sessions: deaf, log: silentLogger };
    const answer = await exchangeBootSecret(deps, first!.secret, OTHER_INSTANCE);
    assert.deepEqual(cut, [former]);
    assert.notEqual(answer.pilotId, former);
    assert.equal((await server.sessionTokens.verify(answer.token))?.pilotId, answer.pilotId);
    socket.terminate();
    assert.equal((await exchange(first!.secret, "instance-3")).status, 200);
  });
});
