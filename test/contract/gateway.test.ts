import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocket } from "ws";
import { systemClock, type Clock } from "../../common/clock.ts";
import { silentLogger } from "../../common/log.ts";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import { WIRE } from "../../protocol/limits.ts";
import { ToPilotFrame, type FromPilot, type ToPilot } from "../../protocol/pilot-messages.ts";
import { HARVESTER_SOCKET_PATH, PILOT_SOCKET_PATH } from "../../protocol/routes.ts";
import { createSessionTokens, type SessionTokens } from "../../server/auth/session-tokens.ts";
import { drawToken } from "../../server/auth/tokens.ts";
import { createCore } from "../../server/core.ts";
import type { Engine } from "../../server/engine.ts";
import { listenForPeers } from "../../server/gateway/listener.ts";
import { Sessions } from "../../server/gateway/sessions.ts";
import type { InboxItem } from "../../server/inbox.ts";
import { createLive } from "../../server/live.ts";
import { waitUntil } from "../support/wait-until.ts";

const HELLO: FromPilot = {
  type: "hello",
  protocol: { min: 1, max: 1 },
  instance: "instance-1",
  capacity: {
    node: "n",
    cpus: 1,
    memoryBytes: 1,
    scratchBytes: 1,
    gpus: [],
    runtimes: [],
    walltimeLeftSeconds: null,
    sources: {},
  },
  slots: [{ cpus: 1, memoryBytes: 1, gpus: [] }],
  leases: [],
};

/** Accepts everything, remembers it, and is full when told so. */
class FakeEngine {
  readonly items: InboxItem[] = [];
  readonly core = createCore();
  full = false;
  private drained: () => void = () => undefined;
  readonly port: Pick<Engine, "post" | "isFull" | "onDrained" | "read"> = {
    post: (item) => void this.items.push(item),
    isFull: () => this.full,
    onDrained: (listener) => void (this.drained = listener),
    read: (view) => Promise.resolve(view(this.core, createLive())),
  };

  drain(): void {
    this.full = false;
    this.drained();
  }

  messages(): string[] {
    return this.items.map((item) => (item.type === "pilot" ? item.message.type : item.type));
  }
}

/** A clock of which timers can be fired early. */
function impatientClock(): Clock & { pass(ms: number): void } {
  let ahead = 0;
  let timers: { atMs: number; fn: () => void }[] = [];
  const monotonicMs = (): number => performance.now() + ahead;
  return {
    ...systemClock,
    monotonicMs,
    setTimer: (ms, fn) => {
      const timer = { atMs: monotonicMs() + ms, fn };
      timers.push(timer);
      return { cancel: () => void (timers = timers.filter((other) => other !== timer)) };
    },
    pass: (ms) => {
      ahead += ms;
      const due = timers.filter(({ atMs }) => atMs <= monotonicMs());
      timers = timers.filter((timer) => !due.includes(timer));
      for (const { fn } of due) fn();
    },
  };
}

describe("the gateway", () => {
  let engine: FakeEngine;
  let clock: ReturnType<typeof impatientClock>;
  let sessions: Sessions;
  let tokens: SessionTokens;
  let http: Server;
  let origin: string;
  const sockets: WebSocket[] = [];

  beforeEach(async () => {
    engine = new FakeEngine();
    clock = impatientClock();
    tokens = createSessionTokens(new Uint8Array(32).fill(3), clock);
    sessions = new Sessions({ engine: engine.port, clock, log: silentLogger });
    http = createServer();
    listenForPeers({
      server: http,
      sessions,
      sessionTokens: tokens,
      engine: engine.port,
      log: silentLogger,
    });
    await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
    origin = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  });

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.terminate();
    const stopped = sessions.stop();
    clock.pass(2_000);
    await stopped;
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });

  function connect(path: string, headers: Record<string, string>): WebSocket {
    const socket = new WebSocket(`ws://${origin}${path}`, { headers, perMessageDeflate: true });
    socket.on("error", () => undefined);
    sockets.push(socket);
    return socket;
  }

  async function pilot(pilotId = "pilot-1"): Promise<WebSocket> {
    const token = await tokens.issue({ pilotId, submissionId: "sub-1", queue: "local" });
    const socket = connect(PILOT_SOCKET_PATH, { authorization: `Bearer ${token}` });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return socket;
  }

  async function greeted(pilotId = "pilot-1"): Promise<{ socket: WebSocket; session: string }> {
    const before = engine.items.length;
    const socket = await pilot(pilotId);
    socket.send(encode([HELLO]));
    const item = await waitUntil("hello", () =>
      engine.items
        .slice(before)
        .find((one) => one.type === "pilot" && one.message.type === "hello"),
    );
    assert.ok(item.type === "pilot");
    return { socket, session: item.session };
  }

  function refusal(path: string, headers: Record<string, string>): Promise<number> {
    const socket = connect(path, headers);
    return new Promise((resolve, reject) => {
      socket.on("unexpected-response", (_request, response) =>
        resolve(response.resume().statusCode ?? 0),
      );
      socket.on("open", () => reject(new Error("was let in")));
    });
  }

  function closing(socket: WebSocket): Promise<{ code: number; reason: string }> {
    return new Promise((resolve) =>
      socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
    );
  }

  function frames(socket: WebSocket): ToPilot[][] {
    const received: ToPilot[][] = [];
    socket.on("message", (data: Buffer) => received.push(ToPilotFrame.parse(decodeFrame(data))));
    return received;
  }

  it("refuses before the handshake: no token, a wrong one, one in the address, another page's Origin, another path", async () => {
    const authorization = `Bearer ${await tokens.issue({ pilotId: "p", submissionId: "s", queue: "q" })}`;
    assert.equal(await refusal(PILOT_SOCKET_PATH, {}), 401);
    assert.equal(await refusal(PILOT_SOCKET_PATH, { authorization: `${authorization}x` }), 401);
    assert.equal(await refusal(`${PILOT_SOCKET_PATH}?token=x`, { authorization }), 400);
    assert.equal(
      await refusal(PILOT_SOCKET_PATH, { authorization, origin: "https://evil.example" }),
      403,
    );
    assert.equal(await refusal(PILOT_SOCKET_PATH, { authorization, origin: "null" }), 403);
    assert.equal(await refusal("/elsewhere", { authorization }), 404);
    assert.equal(await refusal(HARVESTER_SOCKET_PATH, { authorization }), 401);
    assert.equal(engine.items.length, 0);
  });

  it("lets harvesters in by their token only, and closes them when it is revoked", async () => {
    const drawn = drawToken();
    const record = {
      id: drawn.id,
      sha256: drawn.sha256,
      name: "h",
      createdAtMs: 0,
      revoked: false,
    };
    const headers = { authorization: `Bearer ${drawn.secret}` };
    engine.core.tokens.set(drawn.id, { ...record, role: { user: "anna", roles: ["admin"] } });
    assert.equal(await refusal(HARVESTER_SOCKET_PATH, headers), 403);
    engine.core.tokens.set(drawn.id, { ...record, role: { user: "h", roles: ["harvester"] } });
    const socket = connect(HARVESTER_SOCKET_PATH, headers);
    await new Promise((resolve) => socket.once("open", resolve));
    socket.send(
      encode([{ type: "hello", protocol: { min: 1, max: 1 }, harvester: "h", sites: [] }]),
    );
    await waitUntil("hello", () => engine.items.find(({ type }) => type === "harvester"));
    const closed = closing(socket);
    sessions.closeOfToken(drawn.id);
    assert.equal((await closed).code, 1008);
    assert.equal(engine.items.at(-1)?.type, "harvesterClosed");
  });

  it("posts each message of a frame in order, under the identity of the token", async () => {
    const { socket, session } = await greeted();
    const request: FromPilot = { type: "request", slot: 0, requestNo: 1, want: 1 };
    const beat: FromPilot = { type: "beat", grantSeen: 0, leases: [] };
    socket.send(encode([request, beat]));
    await waitUntil("both", () => engine.items.length === 3);
    assert.deepEqual(engine.items[1], {
      type: "pilot",
      session,
      pilotId: "pilot-1",
      submissionId: "sub-1",
      message: request,
    });
    const closed = waitUntil("the end", () => engine.items[3]);
    socket.close();
    assert.deepEqual(await closed, { type: "pilotClosed", session });
  });

  const GARBAGE: readonly [string, () => Uint8Array | string, number][] = [
    ["undecodable bytes", () => Buffer.from([0xc1, 0xff]), 1007],
    ["a text frame", () => "hello", 1007],
    ["an extension type", () => Buffer.from([0x91, 0xd4, 0x72, 0x40]), 1007],
    [
      "an array that announces four billion values",
      () => Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]),
      1007,
    ],
    [
      "nesting deeper than allowed",
      () => Buffer.concat([Buffer.alloc(WIRE.depthMax + 1, 0x91), Buffer.from([0xc0])]),
      1007,
    ],
    [
      "more values than allowed",
      () => encode(Array.from({ length: WIRE.valuesPerFrameMax }, () => 0)),
      1007,
    ],
    [
      "bytes after the end",
      () => Buffer.concat([encode([{ type: "bye", reason: "" }]), Buffer.from([0])]),
      1007,
    ],
    ["an unknown message", () => encode([{ type: "launch" }]), 1008],
    ["a field of the wrong type", () => encode([{ type: "bye", reason: 3 }]), 1008],
    [
      "a value out of bounds",
      () => encode([{ type: "request", slot: -1, requestNo: 1, want: 1 }]),
      1008,
    ],
    [
      "NaN as a number",
      () => encode([{ type: "request", slot: NaN, requestNo: 1, want: 1 }]),
      1008,
    ],
    ["an empty frame", () => encode([]), 1008],
    [
      "more messages than allowed",
      () =>
        encode(
          Array.from({ length: WIRE.messagesPerFrameMax + 1 }, () => ({ type: "bye", reason: "" })),
        ),
      1008,
    ],
    ["a frame larger than allowed", () => Buffer.alloc(WIRE.frameBytesMax + 1), 1009],
  ];
  for (const [what, bytes, expected] of GARBAGE) {
    it(`closes a session on ${what} with ${expected}, and nothing else`, async () => {
      const { session } = await greeted("pilot-other");
      const { socket } = await greeted();
      const before = engine.items.length;
      const closed = closing(socket);
      socket.send(bytes());
      assert.equal((await closed).code, expected);
      await waitUntil("its end", () => engine.items.length > before);
      assert.deepEqual(
        engine.items.slice(before).map(({ type }) => type),
        ["pilotClosed"],
      );
      assert.ok(
        !engine.items.some((item) => item.type === "pilotClosed" && item.session === session),
      );
    });
  }

  it("wants hello first, and in time: that a network is slow is no violation", async () => {
    const early = await pilot("a");
    early.send(encode([{ type: "bye", reason: "" }]));
    assert.equal((await closing(early)).code, 1008);
    const silent = await pilot("b");
    const closed = closing(silent);
    await waitUntil("its session", () => sessions.count === 1);
    clock.pass(WIRE.helloTimeoutMs + 1_000);
    assert.equal((await closed).code, 1013);
    assert.ok(engine.items.every(({ type }) => type === "pilotClosed"));
  });

  it("tells a pilot of another protocol version which side to upgrade", async () => {
    for (const [range, older] of [
      [{ min: 2, max: 3 }, "server"],
      [{ min: 0, max: 0 }, "pilot"],
    ] as const) {
      const socket = await pilot();
      const received = frames(socket);
      const closed = closing(socket);
      socket.send(encode([{ type: "hello", protocol: range, somethingNew: true }]));
      const { code, reason } = await closed;
      assert.equal(code, 1008);
      assert.match(
        reason,
        new RegExp(`server 1 to 1, pilot ${range.min} to ${range.max}.*Upgrade the ${older}`),
      );
      assert.equal(
        received[0]?.[0]?.type === "refused" && received[0][0].code,
        "E_PROTOCOL_VERSION",
      );
    }
    assert.ok(!engine.messages().includes("hello"));
  });

  it("sends what belongs to one flush in one frame, and no more than 256 messages in one", async () => {
    const { socket, session } = await greeted();
    const received = frames(socket);
    const drain: ToPilot = { type: "drain", stopRunning: false, reason: "" };
    for (let index = 0; index < 3; index += 1) sessions.toPilot(session, [drain]);
    await waitUntil("a frame", () => received.length === 1);
    assert.equal(received[0]?.length, 3);
    sessions.toPilot(
      session,
      Array.from({ length: WIRE.messagesPerFrameMax + 1 }, () => drain),
    );
    await waitUntil("two more", () => received.length === 3);
    assert.deepEqual(
      received.slice(1).map(({ length }) => length),
      [WIRE.messagesPerFrameMax, 1],
    );
  });

  it("splits a frame that would be larger than allowed, and sends to no session that is gone", async () => {
    const { socket, session } = await greeted();
    let messages = 0;
    let bytesMax = 0;
    socket.on("message", (data: Buffer) => {
      bytesMax = Math.max(bytesMax, data.length);
      messages += (decodeFrame(data) as unknown[]).length;
    });
    const large = { type: "refused", code: "E_X", message: "x".repeat(400_000) } as const;
    sessions.toPilot(session, [large, large, large, large, large]);
    sessions.toPilot("gone", [large]);
    await waitUntil("all", () => messages === 5);
    assert.ok(bytesMax <= WIRE.frameBytesMax);
  });

  it("sends what was pushed before it closes", async () => {
    const { socket, session } = await greeted();
    const received = frames(socket);
    const closed = closing(socket);
    sessions.toPilot(session, [{ type: "refused", code: "E_X", message: "why" }]);
    sessions.close(session, 1008, "é".repeat(200));
    const { code, reason } = await closed;
    assert.deepEqual([code, reason], [1008, "é".repeat(61)]);
    assert.equal(received[0]?.[0]?.type, "refused");
  });

  it("lets a peer go that reads slower than it is sent to", async () => {
    const { socket, session } = await greeted();
    socket.pause();
    const large = {
      type: "refused",
      code: "E_X",
      message: "x".repeat(WIRE.frameBytesMax - 100),
    } as const;
    await waitUntil("its end", () => {
      sessions.toPilot(session, [large]);
      return engine.messages().includes("pilotClosed");
    });
    const closed = closing(socket);
    socket.resume();
    assert.equal((await closed).code, 1013);
  });

  it("gives a pilot's place to its newer connection", async () => {
    const first = await greeted();
    const closed = closing(first.socket);
    const second = await greeted();
    assert.equal((await closed).code, 4000);
    const order = engine.items.map(
      (item) => `${item.type}:${"session" in item && item.session === first.session ? 1 : 2}`,
    );
    assert.deepEqual(order, ["pilot:1", "pilotClosed:1", "pilot:2"]);
    assert.equal(sessions.count, 1);
    assert.notEqual(first.session, second.session);
  });

  it("pings, and cuts a peer that leaves two pings unanswered", async () => {
    const { socket } = await greeted();
    const deaf = await greeted("deaf");
    let pings = 0;
    socket.on("ping", () => (pings += 1));
    deaf.socket.pause();
    await waitUntil("the end of the deaf one", () => {
      clock.pass(1_000);
      return engine.messages().includes("pilotClosed");
    });
    await waitUntil("pings", () => pings >= 2);
    assert.equal(sessions.count, 1);
  });

  it("tells whether a pilot is there", async () => {
    await greeted();
    assert.equal(await sessions.isAlive("pilot-1", 5_000), true);
    assert.equal(await sessions.isAlive("nobody", 5_000), false);
    const deaf = await greeted("deaf");
    deaf.socket.pause();
    const answer = sessions.isAlive("deaf", 5_000);
    clock.pass(5_001);
    assert.equal(await answer, false);
    sessions.cut("deaf");
    assert.equal(sessions.count, 1);
  });

  it("reads no further while the inbox is full", async () => {
    const { socket } = await greeted();
    const beat = encode([{ type: "beat", grantSeen: 0, leases: [] }]);
    engine.full = true;
    socket.send(beat);
    await waitUntil("one", () => engine.items.length === 2);
    for (let index = 0; index < 5; index += 1) socket.send(beat);
    // Its socket is not read, so that it cannot answer this ping either.
    const alive = sessions.isAlive("pilot-1", 5_000);
    await new Promise((resolve) => setImmediate(resolve));
    clock.pass(5_001);
    assert.equal(await alive, false);
    assert.equal(engine.items.length, 2);
    engine.drain();
    await waitUntil("the others", () => engine.items.length === 7);
  });

  it("closes all sessions with 1012 when the server stops", async () => {
    const { socket } = await greeted();
    const closed = closing(socket);
    await sessions.stop();
    assert.equal((await closed).code, 1012);
  });
});
