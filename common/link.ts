/** Outgoing connection of pilots and harvesters: frames both ways, reconnecting. The only importer of ws besides the gateway. */
import { TLSSocket } from "node:tls";
import { WebSocket, type ClientOptions } from "ws";
import { errorText } from "../protocol/errors.ts";
import { decodeFrame, encode } from "../protocol/codec.ts";
import { WIRE } from "../protocol/limits.ts";
import { createBackoff, type Backoff } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";
import { isPinned, notPinned } from "./pinned-tls.ts";

export interface LinkOptions<Incoming> {
  /** ws:// or wss:// address. */
  readonly url: string;
  /** Bearer token, asked for before each connection. */
  readonly token: () => string;
  /** sha256 fingerprint (hex, colons allowed) that a certificate of the server's chain must have; null: none. */
  readonly caFingerprint: string | null;
  readonly clock: Clock;
  readonly random: () => number;
  /** Parses a frame; throws on what the schema refuses. */
  readonly parse: (value: unknown) => readonly Incoming[];
  readonly onOpen: () => void;
  readonly onMessage: (message: Incoming) => void;
  readonly onClosed: (code: number, reason: string) => void;
  /** The upgrade was answered by HTTP instead; return false to give up. */
  readonly onRefused: (httpStatus: number) => boolean;
  /** Opens the socket; by default a WebSocket of this machine. */
  readonly openSocket?: (url: string, options: ClientOptions) => WebSocket;
}

export interface Link<Outgoing> {
  /** Sends the messages of one tick in as few frames as fit. Returns false when there is no connection. */
  send(messages: readonly Outgoing[]): boolean;
  isOpen(): boolean;
  /** Ends the connection for good after what was sent has left. */
  close(): Promise<void>;
}

/** Connects, and connects again for as long as it is not closed. */
export function openLink<Incoming, Outgoing>(options: LinkOptions<Incoming>): Link<Outgoing> {
  const link = new ReconnectingLink<Incoming, Outgoing>(options);
  link.connect();
  return link;
}

class ReconnectingLink<Incoming, Outgoing> implements Link<Outgoing> {
  readonly #options: LinkOptions<Incoming>;
  readonly #backoff: Backoff;
  #socket: WebSocket | null = null;
  #outgoing: Outgoing[] = [];
  #closed = false;
  #retry: Timer | null = null;
  #silence: Timer | null = null;

  constructor(options: LinkOptions<Incoming>) {
    this.#options = options;
    this.#backoff = createBackoff(
      WIRE.reconnectDelayMsMin,
      WIRE.reconnectDelayMsMax,
      options.random,
    );
  }

  connect(): void {
    this.#retry = null;
    if (this.#closed) return;
    const options = this.#options;
    const { openSocket = openWebSocket } = options;
    const socket = openSocket(options.url, clientOptions(options.token(), options.caFingerprint));
    this.#socket = socket;
    socket.on("open", () => {
      this.#backoff.reset();
      this.#heard(socket);
      options.onOpen();
    });
    socket.on("message", (data) => {
      this.#heard(socket);
      this.#receive(socket, data as Buffer);
    });
    socket.on("ping", () => this.#heard(socket));
    socket.on("unexpected-response", (request, response) => {
      const httpStatus = response.statusCode ?? 0;
      if (!options.onRefused(httpStatus)) this.#closed = true;
      this.#gone(socket, 0, `HTTP ${httpStatus}`);
      request.destroy();
    });
    socket.on("error", (error) => this.#gone(socket, 0, errorText(error)));
    socket.on("close", (code, reason) => this.#gone(socket, code, reason.toString()));
  }

  send(messages: readonly Outgoing[]): boolean {
    if (!this.isOpen()) return false;
    if (this.#outgoing.length === 0) queueMicrotask(() => this.#flush());
    this.#outgoing.push(...messages);
    return true;
  }

  isOpen(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  close(): Promise<void> {
    this.#flush();
    this.#closed = true;
    this.#retry?.cancel();
    this.#silence?.cancel();
    return closeSocket(this.#socket, this.#options.clock);
  }

  #gone(socket: WebSocket, code: number, reason: string): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    this.#outgoing = [];
    this.#silence?.cancel();
    socket.terminate();
    this.#options.onClosed(code, reason);
    if (!this.#closed)
      this.#retry = this.#options.clock.setTimer(this.#backoff.next(), () => this.connect());
  }

  /** The server pings every 25 s; silence for two and a half times that means that the connection is half open. */
  #heard(socket: WebSocket): void {
    this.#silence?.cancel();
    // What arrives while the connection ends must not set the timer anew.
    if (this.#closed || this.#socket !== socket) return;
    this.#silence = this.#options.clock.setTimer(2.5 * WIRE.pingIntervalMs, () =>
      this.#gone(socket, 0, "nothing heard from the server"),
    );
  }

  #receive(socket: WebSocket, data: Buffer): void {
    let messages: readonly Incoming[];
    try {
      messages = this.#options.parse(decodeFrame(data));
    } catch (error) {
      socket.close(1007, "malformed frame");
      return this.#gone(socket, 1007, errorText(error));
    }
    for (const message of messages) this.#options.onMessage(message);
  }

  #flush(): void {
    const messages = this.#outgoing;
    this.#outgoing = [];
    const socket = this.#socket;
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (const frame of frames(messages)) socket.send(frame);
    if (socket.bufferedAmount > WIRE.sendBufferBytesMax)
      this.#gone(socket, 1013, "the server reads too slowly");
  }
}

function openWebSocket(url: string, options: ClientOptions): WebSocket {
  return new WebSocket(url, options);
}

function closeSocket(socket: WebSocket | null, clock: Clock): Promise<void> {
  if (socket === null || socket.readyState === WebSocket.CLOSED) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = clock.setTimer(2_000, () => socket.terminate());
    socket.once("close", () => {
      timer.cancel();
      resolve();
    });
    socket.close(1000);
  });
}

/** Frames of at most the allowed number of messages and bytes. */
export function* frames(messages: readonly unknown[]): Generator<Uint8Array> {
  for (let first = 0; first < messages.length; first += WIRE.messagesPerFrameMax) {
    yield* framesOf(messages.slice(first, first + WIRE.messagesPerFrameMax));
  }
}

function* framesOf(messages: readonly unknown[]): Generator<Uint8Array> {
  const frame = encode(messages);
  if (frame.length <= WIRE.frameBytesMax || messages.length === 1) {
    yield frame;
    return;
  }
  const half = Math.ceil(messages.length / 2);
  yield* framesOf(messages.slice(0, half));
  yield* framesOf(messages.slice(half));
}

function clientOptions(token: string, caFingerprint: string | null): ClientOptions {
  return {
    headers: { authorization: `Bearer ${token}` },
    perMessageDeflate: false,
    maxPayload: WIRE.frameBytesMax,
    handshakeTimeout: WIRE.handshakeTimeoutMs,
    ...(caFingerprint === null ? {} : pinned(caFingerprint)),
  };
}

/** With a pinned fingerprint the usual authorities do not count. Nothing is sent before the certificate was looked at. */
function pinned(caFingerprint: string): ClientOptions {
  return {
    rejectUnauthorized: false,
    finishRequest: (request) => {
      request.on("socket", (socket) => {
        if (!(socket instanceof TLSSocket))
          return void request.destroy(new Error("the connection is not encrypted"));
        socket.once("secureConnect", () => {
          if (isPinned(socket.getPeerX509Certificate(), caFingerprint)) request.end();
          else request.destroy(notPinned());
        });
      });
    },
  };
}
