/** One WebSocket of a peer: frames in, batched frames out, pings. Knows nothing about what the messages mean. */
import { WebSocket, type RawData } from "ws";
import { z } from "zod";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import { errorText } from "../../protocol/errors.ts";
import { WIRE } from "../../protocol/limits.ts";
import { commonVersion, OUR_RANGE, type ProtocolRange } from "../../protocol/version.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { CLOSE, type InboxItem } from "../inbox.ts";
import type { SessionId } from "../live.ts";

/** What differs between pilots and harvesters. */
export interface Peer {
  readonly kind: "pilot" | "harvester";
  /** Who it is, for logs. */
  readonly name: string;
  /** The messages of one decoded frame as items for the reactor; null when a message has not its shape. */
  items(session: SessionId, frame: unknown): readonly InboxItem[] | null;
  closed(session: SessionId): InboxItem;
  /** A message that tells the peer why it is turned away; null when its protocol has none. */
  refusal(code: string, message: string): unknown;
}

/** What a connection needs of the server. */
export interface Inlet {
  post(item: InboxItem): void;
  isFull(): boolean;
}

export interface ConnectionOptions {
  readonly id: SessionId;
  readonly socket: WebSocket;
  readonly peer: Peer;
  readonly inlet: Inlet;
  readonly clock: Clock;
  readonly log: Logger;
  /** Called once, when no more messages will come or go. */
  readonly onEnd: (connection: Connection) => void;
  /** Called when the inbox is full and the socket was paused. */
  readonly onPause: (connection: Connection) => void;
}

/** Seen before anything else of a peer is parsed, because another version's hello may look different. */
const FirstFrame = z
  .tuple([
    z.looseObject({
      type: z.literal("hello"),
      protocol: z.object({ min: z.number().int(), max: z.number().int() }),
    }),
  ])
  .rest(z.unknown());

const PINGS_MISSED_MAX = 2;
/** RFC 6455 leaves 123 bytes for the reason of a close. */
const CLOSE_REASON_BYTES_MAX = 123;

export class Connection {
  readonly id: SessionId;
  readonly peer: Peer;
  readonly openedMs: number;
  private readonly options: ConnectionOptions;
  private queue: unknown[] = [];
  private saidHello = false;
  private hasEnded = false;
  private isPaused = false;
  private pingsMissed = 0;
  private pongWaiters: (() => void)[] = [];

  constructor(options: ConnectionOptions) {
    this.options = options;
    this.id = options.id;
    this.peer = options.peer;
    this.openedMs = options.clock.monotonicMs();
    const { socket } = options;
    socket.on("message", (data, isBinary) => this.receive(data, isBinary));
    socket.on("pong", () => this.heard());
    socket.on("error", (error) =>
      options.log.info("socketError", { session: this.id, error: errorText(error) }),
    );
    socket.on("close", () => this.end());
  }

  /** Appends messages to those that the next {@link flush} sends. */
  push(messages: readonly unknown[]): void {
    if (!this.hasEnded) for (const message of messages) this.queue.push(message);
  }

  /** Sends what was pushed, in as few frames as the bounds of the wire allow. */
  flush(): void {
    if (this.queue.length === 0) return;
    const messages = this.queue;
    this.queue = [];
    for (let first = 0; first < messages.length; first += WIRE.messagesPerFrameMax)
      this.sendFrame(messages.slice(first, first + WIRE.messagesPerFrameMax));
  }

  private sendFrame(messages: readonly unknown[]): void {
    const { socket, log } = this.options;
    if (this.hasEnded || socket.readyState !== WebSocket.OPEN) return;
    const bytes = encode(messages);
    if (bytes.length > WIRE.frameBytesMax) {
      if (messages.length === 1) {
        log.error("messageTooLarge", { session: this.id, bytes: bytes.length });
        this.close(CLOSE.tooSlow, "a message does not fit into a frame");
        return;
      }
      const half = Math.ceil(messages.length / 2);
      this.sendFrame(messages.slice(0, half));
      this.sendFrame(messages.slice(half));
      return;
    }
    if (socket.bufferedAmount + bytes.length > WIRE.sendBufferBytesMax) {
      log.warn("peerTooSlow", { session: this.id, bufferedBytes: socket.bufferedAmount });
      this.close(CLOSE.tooSlow, "reads too slowly");
      return;
    }
    socket.send(bytes, { binary: true });
  }

  /** Sends what is waiting, then closes; no message is taken from now on. */
  close(code: number, reason: string): void {
    if (this.hasEnded) return;
    this.flush();
    this.options.socket.close(code, cutBytes(reason, CLOSE_REASON_BYTES_MAX));
    this.end();
  }

  /** Cuts the connection at once. */
  terminate(): void {
    this.options.socket.terminate();
    this.end();
  }

  /** Closes a peer that has not said hello in time. */
  checkHello(): void {
    const silentMs = this.options.clock.monotonicMs() - this.openedMs;
    if (!this.saidHello && silentMs > WIRE.helloTimeoutMs)
      this.turnAway(CLOSE.tooSlow, "no hello in time");
  }

  /** Pings; a peer that left two pings unanswered is cut. */
  checkPing(): void {
    const { socket, log } = this.options;
    // A paused socket cannot hear its pongs.
    if (this.hasEnded || this.isPaused) return;
    if (this.pingsMissed >= PINGS_MISSED_MAX) {
      log.info("peerSilent", { session: this.id, peer: this.peer.name });
      this.terminate();
      return;
    }
    this.pingsMissed += 1;
    socket.ping();
  }

  /** Pings and resolves true when an answer came within `timeoutMs`. */
  answersPing(timeoutMs: number): Promise<boolean> {
    if (this.hasEnded) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer: Timer = this.options.clock.setTimer(timeoutMs, () => resolve(false));
      this.pongWaiters.push(() => {
        timer.cancel();
        resolve(!this.hasEnded);
      });
      this.options.socket.ping();
    });
  }

  /** Resolves when the socket is gone; after `timeoutMs` it is cut. */
  async gone(timeoutMs: number): Promise<void> {
    const { socket, clock } = this.options;
    if (socket.readyState === WebSocket.CLOSED) return;
    await new Promise<void>((resolve) => {
      const timer = clock.setTimer(timeoutMs, () => socket.terminate());
      socket.once("close", () => {
        timer.cancel();
        resolve();
      });
    });
  }

  /** Reads on after a pause. */
  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.pingsMissed = 0;
    this.options.socket.resume();
  }

  private heard(): void {
    this.pingsMissed = 0;
    const waiters = this.pongWaiters;
    this.pongWaiters = [];
    for (const waiter of waiters) waiter();
  }

  private receive(data: RawData, isBinary: boolean): void {
    if (this.hasEnded) return;
    this.pingsMissed = 0;
    if (!isBinary || !(data instanceof Uint8Array)) {
      this.turnAway(CLOSE.malformed, "frames are binary msgpack");
      return;
    }
    let frame: unknown;
    try {
      frame = decodeFrame(data);
    } catch (error) {
      this.turnAway(CLOSE.malformed, `undecodable frame: ${errorText(error)}`);
      return;
    }
    if (!this.saidHello && !this.greet(frame)) return;
    const items = this.peer.items(this.id, frame);
    if (items === null) {
      this.turnAway(CLOSE.protocolViolation, "a message has not the shape of its type");
      return;
    }
    const { inlet, socket, onPause } = this.options;
    for (const item of items) inlet.post(item);
    if (!inlet.isFull()) return;
    this.isPaused = true;
    socket.pause();
    onPause(this);
  }

  /** Takes the first frame: it must begin with a hello of a version that both sides speak. */
  private greet(frame: unknown): boolean {
    const first = FirstFrame.safeParse(frame);
    if (!first.success) {
      this.turnAway(CLOSE.protocolViolation, "the first message must be hello");
      return false;
    }
    const theirs = first.data[0].protocol;
    if (commonVersion(OUR_RANGE, theirs) !== null) return (this.saidHello = true);
    const message = noCommonVersion(theirs, this.peer.kind);
    const refusal = this.peer.refusal("E_PROTOCOL_VERSION", message);
    if (refusal !== null) this.push([refusal]);
    this.turnAway(CLOSE.protocolViolation, message);
    return false;
  }

  private turnAway(code: number, reason: string): void {
    this.options.log.warn("peerTurnedAway", {
      session: this.id,
      peer: this.peer.name,
      code,
      reason,
    });
    this.close(code, reason);
  }

  private end(): void {
    if (this.hasEnded) return;
    this.hasEnded = true;
    this.queue = [];
    this.resume();
    this.heard();
    this.options.onEnd(this);
  }
}

function noCommonVersion(theirs: ProtocolRange, kind: Peer["kind"]): string {
  const older = theirs.max < OUR_RANGE.min ? kind : "server";
  const range = ({ min, max }: ProtocolRange): string => `${min} to ${max}`;
  return `No common protocol version: server ${range(OUR_RANGE)}, ${kind} ${range(theirs)}. Upgrade the ${older}.`;
}

/** The longest beginning of `text` with at most this many UTF-8 bytes. */
function cutBytes(text: string, bytesMax: number): string {
  let bytes = 0;
  let kept = "";
  for (const character of text) {
    bytes += Buffer.byteLength(character);
    if (bytes > bytesMax) return kept;
    kept += character;
  }
  return kept;
}
