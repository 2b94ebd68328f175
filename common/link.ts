/** Outgoing connection of pilots and harvesters: frames both ways, reconnecting. The only importer of ws besides the gateway. */
import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { WebSocket, type ClientOptions } from "ws";
import { errorText } from "../protocol/errors.ts";
import { decodeFrame, encode } from "../protocol/codec.ts";
import { WIRE } from "../protocol/limits.ts";
import { createBackoff } from "./backoff.ts";
import type { Clock, Timer } from "./clock.ts";

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
}

export interface Link<Outgoing> {
  /** Sends the messages of one tick in as few frames as fit. Returns false when there is no connection. */
  send(messages: readonly Outgoing[]): boolean;
  isOpen(): boolean;
  /** Ends the connection for good after what was sent has left. */
  close(): Promise<void>;
}

export function openLink<Incoming, Outgoing>(options: LinkOptions<Incoming>): Link<Outgoing> {
  const backoff = createBackoff(WIRE.reconnectDelayMsMin, WIRE.reconnectDelayMsMax, options.random);
  let socket: WebSocket | null = null;
  let outgoing: Outgoing[] = [];
  let closed = false;
  let retry: Timer | null = null;
  let silence: Timer | null = null;

  function connect(): void {
    retry = null;
    if (closed) return;
    const current = new WebSocket(
      options.url,
      clientOptions(options.token(), options.caFingerprint),
    );
    socket = current;
    current.on("open", () => {
      backoff.reset();
      heard(current);
      options.onOpen();
    });
    current.on("message", (data) => {
      heard(current);
      receive(current, data as Buffer);
    });
    current.on("ping", () => heard(current));
    current.on("unexpected-response", (request, response) => {
      request.destroy();
      if (!options.onRefused(response.statusCode ?? 0)) closed = true;
      gone(current, 0, `HTTP ${response.statusCode ?? 0}`);
    });
    current.on("error", (error) => gone(current, 0, errorText(error)));
    current.on("close", (code, reason) => gone(current, code, reason.toString()));
  }

  function gone(which: WebSocket, code: number, reason: string): void {
    if (socket !== which) return;
    socket = null;
    outgoing = [];
    silence?.cancel();
    which.terminate();
    options.onClosed(code, reason);
    if (!closed) retry = options.clock.setTimer(backoff.next(), connect);
  }

  /** The server pings every 25 s; silence for two and a half times that means that the connection is half open. */
  function heard(which: WebSocket): void {
    silence?.cancel();
    silence = options.clock.setTimer(2.5 * WIRE.pingIntervalMs, () =>
      gone(which, 0, "nothing heard from the server"),
    );
  }

  function receive(which: WebSocket, data: Buffer): void {
    let messages: readonly Incoming[];
    try {
      messages = options.parse(decodeFrame(data));
    } catch (error) {
      which.close(1007, "malformed frame");
      return gone(which, 1007, errorText(error));
    }
    for (const message of messages) options.onMessage(message);
  }

  function flush(): void {
    const messages = outgoing;
    outgoing = [];
    if (socket?.readyState !== WebSocket.OPEN) return;
    for (const frame of frames(messages)) socket.send(frame);
    if (socket.bufferedAmount > WIRE.sendBufferBytesMax)
      gone(socket, 1013, "the server reads too slowly");
  }

  connect();
  return {
    send(messages) {
      if (socket?.readyState !== WebSocket.OPEN) return false;
      if (outgoing.length === 0) queueMicrotask(flush);
      outgoing.push(...messages);
      return true;
    },
    isOpen: () => socket?.readyState === WebSocket.OPEN,
    close: () => {
      flush();
      closed = true;
      retry?.cancel();
      silence?.cancel();
      return closeSocket(socket, options.clock);
    },
  };
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

/** With a pinned fingerprint the usual authorities do not count: the chain must hold exactly that certificate. */
function pinned(caFingerprint: string): ClientOptions {
  const wanted = caFingerprint.replaceAll(":", "").toLowerCase();
  return {
    rejectUnauthorized: false,
    finishRequest: (request) => {
      request.on("socket", (raw) => {
        const socket = raw as TLSSocket;
        socket.once("secureConnect", () => {
          if (!chainHas(socket, wanted))
            request.destroy(new Error("the server's certificate is not the pinned one"));
          else request.end();
        });
      });
    },
  };
}

function chainHas(socket: TLSSocket, wanted: string): boolean {
  let certificate = socket.getPeerCertificate(true);
  for (let depth = 0; depth < 10; depth += 1) {
    if (createHash("sha256").update(certificate.raw).digest("hex") === wanted) return true;
    if (certificate.issuerCertificate === certificate) return false;
    certificate = certificate.issuerCertificate;
  }
  return false;
}
