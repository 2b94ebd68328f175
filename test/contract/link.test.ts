import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type WebSocket, WebSocketServer } from "ws";
import { z } from "zod";
import { type Link, type LinkOptions, frames, openLink } from "../../common/link.ts";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import { WIRE } from "../../protocol/limits.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

/** A WebSocket server whose upgrades and frames a test looks at. */
class Peer {
  readonly sockets: WebSocket[] = [];
  readonly frames: unknown[][] = [];
  readonly tokens: (string | undefined)[] = [];
  /** HTTP status that upgrades are answered with; 101 lets them in. */
  answer = 101;
  readonly #server: Server;
  readonly #upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false });

  constructor(tls?: { key: string; cert: string }) {
    this.#server = tls === undefined ? createServer() : createTlsServer(tls);
    this.#server.on("upgrade", (request, socket, head) => {
      this.tokens.push(request.headers.authorization);
      if (this.answer !== 101) {
        socket.end(`HTTP/1.1 ${this.answer} Refused\r\nConnection: close\r\n\r\n`);
        return;
      }
      this.#upgrades.handleUpgrade(request, socket, head, (webSocket) => {
        this.sockets.push(webSocket);
        webSocket.on("message", (data) =>
          this.frames.push(decodeFrame(data as Buffer) as unknown[]),
        );
      });
    });
  }

  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.terminate();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

interface Seen {
  opened: number;
  readonly messages: number[];
  readonly closed: { code: number; reason: string }[];
  readonly refused: number[];
}

describe("a link", () => {
  let peer: Peer;
  let clock: FakeClock;
  let link: Link<number | string> | null;
  let seen: Seen;

  beforeEach(() => {
    clock = new FakeClock();
    seen = { opened: 0, messages: [], closed: [], refused: [] };
    link = null;
  });

  afterEach(async () => {
    const closing = link?.close();
    clock.advance(5_000);
    await closing;
    await peer.close();
  });

  function open(url: string, change: Partial<LinkOptions<number>> = {}): Link<number | string> {
    link = openLink<number, number | string>({
      url,
      token: () => "secret",
      caFingerprint: null,
      clock,
      random: () => 0.5,
      parse: (value) => z.array(z.number()).parse(value),
      onOpen: () => (seen.opened += 1),
      onMessage: (message) => seen.messages.push(message),
      onClosed: (code, reason) => seen.closed.push({ code, reason }),
      onRefused: (httpStatus) => {
        seen.refused.push(httpStatus);
        return httpStatus !== 401;
      },
      ...change,
    });
    return link;
  }

  async function connected(): Promise<Link<number | string>> {
    peer = new Peer();
    const opened = open(`ws://${await peer.listen()}/`);
    await waitUntil("the link is open", () => seen.opened === 1 && peer.sockets.length === 1);
    return opened;
  }

  it("shows its token in the Authorization header", async () => {
    await connected();
    assert.deepEqual(peer.tokens, ["Bearer secret"]);
  });

  it("sends all messages of one tick in one frame", async () => {
    const opened = await connected();
    opened.send([1, 2]);
    opened.send([3]);
    await waitUntil("a frame arrives", () => peer.frames.length > 0);
    assert.deepEqual(peer.frames, [[1, 2, 3]]);
  });

  it("hands over the messages of a frame one by one", async () => {
    await connected();
    peer.sockets[0]?.send(encode([1, 2]));
    await waitUntil("messages arrive", () => seen.messages.length === 2);
  });

  it("tells the sender that there is no connection", async () => {
    peer = new Peer();
    const opened = open(`ws://${await peer.listen()}/`);
    assert.equal(opened.send([1]), false);
  });

  it("comes back by itself after the connection was lost, with growing delays", async () => {
    await connected();
    for (const delayMs of [375, 375]) {
      const before = seen.opened;
      peer.sockets.at(-1)?.terminate();
      await waitUntil("the loss is seen", () => seen.closed.length === before);
      clock.advance(delayMs - 1);
      assert.equal(seen.opened, before);
      clock.advance(1);
      await waitUntil("it is back", () => seen.opened === before + 1);
    }
    peer.answer = 503;
    peer.sockets.at(-1)?.terminate();
    await waitUntil("the loss is seen", () => seen.closed.length === 3);
    clock.advance(375);
    await waitUntil("it is refused", () => seen.refused.length === 1);
    await waitUntil("the failure is seen", () => seen.closed.length === 4);
    clock.advance(749);
    assert.equal(peer.tokens.length, 4);
    clock.advance(1);
    await waitUntil("it tries again", () => peer.tokens.length === 5);
  });

  it("gives up when the caller says so, as at a token that is not valid any more", async () => {
    peer = new Peer();
    peer.answer = 401;
    open(`ws://${await peer.listen()}/`);
    await waitUntil("it is refused", () => seen.closed.length === 1);
    assert.deepEqual(seen.refused, [401]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("takes a server for gone that is silent for two and a half pings", async () => {
    await connected();
    peer.sockets[0]?.pause();
    clock.advance(2.5 * WIRE.pingIntervalMs - 1);
    assert.equal(seen.closed.length, 0);
    clock.advance(1);
    assert.deepEqual(seen.closed, [{ code: 0, reason: "nothing heard from the server" }]);
  });

  it("takes a ping for a sign of life", async () => {
    await connected();
    clock.advance(2 * WIRE.pingIntervalMs);
    const pong = new Promise((resolve) => peer.sockets[0]?.once("pong", resolve));
    peer.sockets[0]?.ping();
    await pong;
    clock.advance(2 * WIRE.pingIntervalMs);
    assert.equal(seen.closed.length, 0);
  });

  for (const [what, frame] of [
    ["not what the schema says", encode(["text"])],
    ["not msgpack", Uint8Array.of(0xc1)],
  ] as const) {
    it(`closes the connection at a frame that is ${what}`, async () => {
      await connected();
      peer.sockets[0]?.send(frame);
      await waitUntil("it is closed", () => seen.closed.length === 1);
      assert.equal(seen.closed[0]?.code, 1007);
      assert.deepEqual(seen.messages, []);
    });
  }

  it("refuses a frame that is larger than the wire allows", async () => {
    await connected();
    peer.sockets[0]?.send(new Uint8Array(WIRE.frameBytesMax + 1));
    await waitUntil("it is closed", () => seen.closed.length === 1);
    assert.deepEqual(seen.messages, []);
  });

  it("drops a server that reads more slowly than it is written to", async () => {
    const opened = await connected();
    peer.sockets[0]?.pause();
    const message = "x".repeat(WIRE.frameBytesMax / 2);
    for (let sent = 0; sent < 64 && seen.closed.length === 0; sent += 1) {
      opened.send([message]);
      await Promise.resolve();
    }
    assert.equal(seen.closed[0]?.code, 1013);
  });

  it("delivers what was sent before it was closed", async () => {
    const opened = await connected();
    opened.send([1]);
    await opened.close();
    await waitUntil("the frame arrives", () => peer.frames.length === 1);
    assert.equal(clock.pendingTimers, 0);
  });
});

describe("frames", () => {
  it("hold at most the allowed number of messages", () => {
    const messages = Array.from({ length: 2 * WIRE.messagesPerFrameMax + 1 }, (_none, n) => n);
    const sizes = [...frames(messages)].map((frame) => (decodeFrame(frame) as unknown[]).length);
    assert.deepEqual(sizes, [WIRE.messagesPerFrameMax, WIRE.messagesPerFrameMax, 1]);
  });

  it("are split when they would be too large", () => {
    const messages = Array.from({ length: 10 }, () => "x".repeat(WIRE.frameBytesMax / 4));
    const made = [...frames(messages)];
    assert.ok(made.every((frame) => frame.length <= WIRE.frameBytesMax));
    assert.deepEqual(
      made.flatMap((frame) => decodeFrame(frame) as string[]),
      messages,
    );
  });
});

describe("a link with a pinned certificate", () => {
  let directory: TemporaryDirectory;
  let peer: Peer | null = null;

  before(() => {
    directory = temporaryDirectory();
    const openssl = (...args: string[]): void => {
      execFileSync("openssl", args, { cwd: directory.path, stdio: "ignore" });
    };
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    const authority = (name: string): void =>
      openssl(
        ...["req", "-x509", ...key, "-keyout", `${name}.key`, "-out", `${name}.crt`],
        ...["-days", "2", "-subj", "/CN=Hyperpilot test CA"],
      );
    authority("ca");
    // Somebody else's authority under the very same name.
    authority("false-ca");
    for (const issuer of ["ca", "false-ca"]) {
      const leaf = `${issuer}-leaf`;
      openssl(
        "req",
        ...key,
        "-keyout",
        `${leaf}.key`,
        "-out",
        `${leaf}.csr`,
        "-subj",
        "/CN=server",
      );
      openssl(
        ...["x509", "-req", "-in", `${leaf}.csr`, "-out", `${leaf}.crt`, "-days", "2"],
        ...["-CA", `${issuer}.crt`, "-CAkey", `${issuer}.key`, "-CAcreateserial"],
      );
    }
  });

  after(() => directory.remove());

  afterEach(async () => {
    await peer?.close();
    peer = null;
  });

  const read = (name: string): string => readFileSync(join(directory.path, name), "utf8");

  /** Resolves with what became of a connection to a server that shows these certificates. */
  async function attempt(leaf: string, chain: readonly string[], pin: string): Promise<string> {
    const cert = [leaf, ...chain].map((name) => read(`${name}.crt`)).join("");
    writeFileSync(join(directory.path, "shown.crt"), cert);
    peer = new Peer({ key: read(`${leaf}.key`), cert });
    const address = await peer.listen();
    let result = "";
    const link = openLink<never, number>({
      url: `wss://${address}/`,
      token: () => "secret",
      caFingerprint: new X509Certificate(read(`${pin}.crt`)).fingerprint256,
      clock: new FakeClock(),
      random: () => 0.5,
      parse: () => [],
      onOpen: () => (result = "open"),
      onMessage: () => undefined,
      onClosed: (_code, reason) => (result = reason),
      onRefused: () => false,
    });
    const end = await waitUntil("the attempt ends", () => result || null);
    await link.close();
    return end;
  }

  it("trusts a server with that certificate", async () => {
    assert.equal(await attempt("ca", [], "ca"), "open");
  });

  it("trusts a server whose certificate was signed by it", async () => {
    assert.equal(await attempt("ca-leaf", ["ca"], "ca"), "open");
  });

  it("shows its token to nobody else", async () => {
    assert.match(await attempt("false-ca", [], "ca"), /not the one that was pinned/);
    assert.deepEqual(peer?.tokens, []);
  });

  it("is not taken in by a chain that shows the pinned certificate without its signature", async () => {
    assert.match(await attempt("false-ca-leaf", ["ca"], "ca"), /not the one that was pinned/);
    assert.deepEqual(peer?.tokens, []);
  });

  it("refuses a server that does not show the whole chain, and goes on living", async () => {
    assert.match(await attempt("ca-leaf", [], "ca"), /not the one that was pinned/);
  });
});
