/** One end of a simulated WebSocket: the part of the interface of `ws` that the programs use. */
import { RETRANSMITTED_MS, type Network, type Path } from "./network.ts";
import type { Process } from "./process.ts";

/** From the host to the server, or back. */
export type Direction = "up" | "down";

export type Frame =
  | { readonly kind: "open" | "ping" | "pong" | "reset" }
  | { readonly kind: "data"; readonly bytes: Uint8Array }
  | {
      readonly kind: "close";
      readonly code: number;
      readonly reason: string;
      readonly isReply: boolean;
    };

interface InFlight {
  readonly frame: Frame;
  readonly dueMs: number;
}

export interface SocketOptions {
  readonly network: Network;
  readonly process: Process;
  readonly path: Path;
  /** In which it sends. */
  readonly direction: Direction;
}

const CONNECTING = 0;
const OPEN = 1;
const CLOSING = 2;
const CLOSED = 3;
/** After this long without the peer's answer a closing socket is dropped, as `ws` does. */
const CLOSE_TIMEOUT_MS = 30_000;

type Listener = (...values: never[]) => void;

export class Socket {
  readonly process: Process;
  readonly path: Path;
  readyState = CONNECTING;
  readonly bufferedAmount = 0;
  readonly #network: Network;
  readonly #direction: Direction;
  readonly #listeners = new Map<string, Set<Listener>>();
  #peer: Socket | null = null;
  #queue: InFlight[] = [];
  #isPumping = false;
  /** Nothing that is sent arrives any more, and nobody says so. */
  #isBroken = false;
  #isPaused = false;
  #held: Frame[] = [];
  #framesSent = 0;

  constructor(options: SocketOptions) {
    this.#network = options.network;
    this.process = options.process;
    this.path = options.path;
    this.#direction = options.direction;
  }

  get isGone(): boolean {
    return this.readyState === CLOSED || !this.process.isAlive;
  }

  on(event: string, listener: Listener): this {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()));
    listeners.add(listener);
    return this;
  }

  once(event: string, listener: Listener): this {
    const once = (...values: never[]): void => {
      this.off(event, once);
      listener(...values);
    };
    return this.on(event, once);
  }

  off(event: string, listener: Listener): this {
    this.#listeners.get(event)?.delete(listener);
    return this;
  }

  send(bytes: Uint8Array): void {
    if (this.readyState === OPEN) this.transmit({ kind: "data", bytes });
  }

  ping(): void {
    if (this.readyState === OPEN) this.transmit({ kind: "ping" });
  }

  close(code = 1005, reason = ""): void {
    if (this.readyState === CONNECTING) return this.terminate();
    if (this.readyState !== OPEN) return;
    this.readyState = CLOSING;
    this.transmit({ kind: "close", code, reason, isReply: false });
    this.process.after(CLOSE_TIMEOUT_MS, () => this.#closed(1006, ""));
  }

  terminate(): void {
    if (this.readyState === CLOSED) return;
    if (this.readyState !== CONNECTING) this.transmit({ kind: "reset" });
    this.#closed(1006, "");
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    const held = this.#held;
    this.#held = [];
    for (const frame of held) this.#take(frame);
  }

  /** Makes this the server's end of a connection whose client waits for it. */
  openWith(client: Socket): void {
    this.readyState = OPEN;
    this.#peer = client;
    client.#peer = this;
  }

  failHandshake(why: string): void {
    if (this.readyState !== CONNECTING) return;
    this.readyState = CLOSED;
    this.#emit("error", new Error(why));
    this.#emit("close", 1006, Buffer.alloc(0));
  }

  refuse(httpStatus: number): void {
    if (this.readyState !== CONNECTING) return;
    this.readyState = CLOSED;
    this.#emit("unexpected-response", { destroy: () => undefined }, { statusCode: httpStatus });
  }

  /** The connection broke and this side is told. */
  lost(): void {
    const { scheduler } = this.#network;
    scheduler.after(this.#network.delayMs(this.path, this.#direction), () =>
      this.inProcess(() => this.#closed(1006, "")),
    );
  }

  /** Whatever was sent and has not arrived is lost, and whatever will be sent. */
  loseAll(): void {
    this.#isBroken = true;
    this.#queue = [];
  }

  transmit(frame: Frame): void {
    if (this.#isBroken) return;
    const { scheduler } = this.#network;
    const last = this.#queue.at(-1)?.dueMs ?? 0;
    const dueMs = Math.max(
      last,
      scheduler.nowMs + this.#network.delayMs(this.path, this.#direction),
    );
    this.#queue.push({ frame, dueMs });
    if (frame.kind === "data") {
      this.#framesSent += 1;
      // A first frame greets; nothing in between could send it again within one connection.
      if (this.#framesSent > 1 && this.#network.doubles(this.path))
        this.#queue.push({ frame, dueMs });
    }
    this.#pump();
  }

  #pump(): void {
    const head = this.#queue[0];
    if (head === undefined || this.#isPumping) return;
    this.#isPumping = true;
    const { scheduler } = this.#network;
    scheduler.after(head.dueMs - scheduler.nowMs, () => this.#arrive());
  }

  #arrive(): void {
    const { scheduler } = this.#network;
    const waitMs = this.path.blockedUntilMs[this.#direction] - scheduler.nowMs;
    if (waitMs > 0 && this.#queue.length > 0) {
      scheduler.after(Math.min(waitMs, RETRANSMITTED_MS) + 1, () => this.#arrive());
      return;
    }
    this.#isPumping = false;
    while (this.#queue[0] !== undefined && this.#queue[0].dueMs <= scheduler.nowMs) {
      const { frame } = this.#queue.shift()!;
      const peer = this.#peer;
      peer?.inProcess(() => peer.#receive(frame));
    }
    this.#pump();
  }

  inProcess(fire: () => void): void {
    const { process } = this;
    if (!process.isAlive) return;
    if (process.isFrozen) process.postpone(fire);
    else fire();
  }

  #receive(frame: Frame): void {
    if (this.readyState === CLOSED) return;
    if (this.#isPaused && (frame.kind === "data" || this.#held.length > 0)) this.#held.push(frame);
    else this.#take(frame);
  }

  #take(frame: Frame): void {
    if (this.readyState === CLOSED) return;
    switch (frame.kind) {
      case "open":
        if (this.readyState !== CONNECTING) return;
        this.readyState = OPEN;
        return this.#emit("open");
      case "data":
        return this.#emit("message", frame.bytes, true);
      case "ping":
        this.transmit({ kind: "pong" });
        return this.#emit("ping");
      case "pong":
        return this.#emit("pong");
      case "reset":
        return this.#closed(1006, "");
      case "close":
        if (!frame.isReply) this.transmit({ ...frame, isReply: true });
        return this.#closed(frame.code, frame.reason);
    }
  }

  #closed(code: number, reason: string): void {
    if (this.readyState === CLOSED) return;
    this.readyState = CLOSED;
    this.#emit("close", code, Buffer.from(reason));
  }

  #emit(event: string, ...values: unknown[]): void {
    for (const listener of [...(this.#listeners.get(event) ?? [])])
      listener(...(values as never[]));
  }
}
