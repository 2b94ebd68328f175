/** The network between the server and everybody else: frames in order per connection, late, lost with it, or doubled. */
import { HyperpilotError, type ErrorParts } from "../../protocol/errors.ts";
import { WIRE } from "../../protocol/limits.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";
import { Socket, type Direction, type Frame } from "./socket.ts";

const REQUEST_TIMEOUT_MS = 30_000;
/** What a partition keeps is tried again this often. */
export const RETRANSMITTED_MS = 2_000;

/** The way between one host and the server. */
export class Path {
  readonly host: string;
  /** Until then nothing arrives in this direction; what was sent arrives later. */
  readonly blockedUntilMs = { up: 0, down: 0 };
  /** Until then everything takes this much longer. */
  readonly slow = { up: { untilMs: 0, ms: 0 }, down: { untilMs: 0, ms: 0 } };
  /** Until then frames may arrive twice. */
  doublesUntilMs = 0;

  constructor(host: string) {
    this.host = host;
  }
}

/** What a server offers to the network while it listens. */
export interface Listener {
  readonly process: Process;
  /** Lets a socket in, or answers an HTTP status. */
  accept(request: SocketRequest, open: () => Socket): Promise<number | null>;
}

export interface SocketRequest {
  readonly url: string;
  readonly bearer: string;
}

interface Connection {
  readonly client: Socket;
  readonly server: Socket;
  readonly path: Path;
}

export class Network {
  readonly scheduler: Scheduler;
  readonly #random: Random;
  readonly #paths = new Map<string, Path>();
  readonly #connections = new Set<Connection>();
  readonly #calls = new Set<{ readonly server: Process; readonly fail: () => void }>();
  listener: Listener | null = null;
  /** HTTP requests that have not come to a server yet, those included that nobody waits for any more. */
  requestsUnderWay = 0;

  constructor(scheduler: Scheduler, random: Random) {
    this.scheduler = scheduler;
    this.#random = random;
  }

  path(host: string): Path {
    let path = this.#paths.get(host);
    if (path === undefined) this.#paths.set(host, (path = new Path(host)));
    return path;
  }

  paths(): readonly Path[] {
    return [...this.#paths.values()];
  }

  /** Milliseconds that something sent now travels: mostly few, sometimes many. */
  delayMs(path: Path, direction: Direction): number {
    const { nowMs } = this.scheduler;
    const slow = path.slow[direction];
    const usual = this.#random.between(0.5, this.#random.chance(0.02) ? 400 : 15);
    return usual + (slow.untilMs > nowMs ? slow.ms * this.#random.next() : 0);
  }

  doubles(path: Path): boolean {
    return path.doublesUntilMs > this.scheduler.nowMs && this.#random.chance(0.3);
  }

  /** All connections that are open on at least one side, in the order in which they were opened. */
  connections(): readonly Connection[] {
    for (const connection of this.#connections) {
      const { client, server } = connection;
      if (client.isGone && server.isGone) this.#connections.delete(connection);
    }
    return [...this.#connections];
  }

  /** Opens a socket from a process to the server, as a WebSocket of the machine would. */
  connect(process: Process, host: string, request: SocketRequest): Socket {
    const path = this.path(host);
    const client = new Socket({ network: this, process, path, direction: "up" });
    process.after(WIRE.handshakeTimeoutMs, () => client.failHandshake("handshake timed out"));
    this.#travel(path, "up", () => {
      const { listener } = this;
      if (listener?.process.isAlive !== true)
        return this.#travel(path, "down", () =>
          client.inProcess(() => client.failHandshake("refused")),
        );
      inProcess(listener.process, () => this.#accept(listener, client, request));
    });
    return client;
  }

  #accept(listener: Listener, client: Socket, request: SocketRequest): void {
    const { path } = client;
    if (client.isGone || !client.process.isAlive) return;
    const open = (): Socket => {
      const server = new Socket({
        network: this,
        process: listener.process,
        path,
        direction: "down",
      });
      server.openWith(client);
      this.#connections.add({ client, server, path });
      server.transmit({ kind: "open" });
      return server;
    };
    void listener.accept(request, open).then((status) => {
      if (status === null || !listener.process.isAlive) return;
      this.#travel(path, "down", () => client.inProcess(() => client.refuse(status)));
    });
  }

  /** Breaks a connection: in `told` stands who learns of it now. What was on its way is lost. */
  cut({ client, server }: Connection, told: "both" | "client" | "server"): void {
    client.loseAll();
    server.loseAll();
    if (told !== "server") client.lost();
    if (told !== "client") server.lost();
  }

  /** The host of these processes has lost its power: nobody is told. */
  unplug(process: Process): void {
    for (const { client, server } of this.connections()) {
      if (client.process !== process && server.process !== process) continue;
      client.loseAll();
      server.loseAll();
    }
  }

  /** One HTTP exchange. Errors: E_UNREACHABLE when no answer came, whatever has become of the request. */
  call<T>(process: Process, host: string, handle: () => Promise<T>): Promise<T> {
    const path = this.path(host);
    return new Promise<T>((resolve, reject) => {
      let isOver = false;
      const settle = (finish: () => void): void => {
        if (isOver) return;
        isOver = true;
        inProcess(process, finish);
      };
      const fail = (): void => settle(() => reject(new HyperpilotError(UNREACHABLE)));
      process.after(REQUEST_TIMEOUT_MS, fail);
      this.requestsUnderWay += 1;
      this.#travel(path, "up", () => {
        this.requestsUnderWay -= 1;
        const { listener } = this;
        if (listener?.process.isAlive !== true) return this.#travel(path, "down", fail);
        const call = { server: listener.process, fail: () => this.#travel(path, "down", fail) };
        this.#calls.add(call);
        const answer = (finish: () => void): void => {
          if (!this.#calls.delete(call) || !listener.process.isAlive) return;
          this.#travel(path, "down", () => settle(finish));
        };
        inProcess(listener.process, () => {
          handle().then(
            (value) => answer(() => resolve(value)),
            (error: unknown) => answer(() => reject(asError(error))),
          );
        });
      });
    });
  }

  /** Requests that a server, or the way to it, still holds. */
  get openRequests(): number {
    return this.#calls.size + this.requestsUnderWay;
  }

  /** The connections of a process that has ended are closed by its machine. */
  ended(process: Process): void {
    for (const call of this.#calls) {
      if (call.server !== process) continue;
      this.#calls.delete(call);
      call.fail();
    }
    for (const { client, server } of this.connections()) {
      if (client.process === process) client.transmit({ kind: "reset" });
      if (server.process === process) server.transmit({ kind: "reset" });
    }
  }

  /** Fires when something sent now has arrived. */
  #travel(path: Path, direction: Direction, arrive: () => void): void {
    const attempt = (): void => {
      const waitMs = path.blockedUntilMs[direction] - this.scheduler.nowMs;
      if (waitMs > 0)
        this.scheduler.after(Math.min(waitMs, RETRANSMITTED_MS) + this.#random.next(), attempt);
      else arrive();
    };
    this.scheduler.after(this.delayMs(path, direction), attempt);
  }
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

/** Does something in a process now, or when it goes on, or never when it is gone. */
export function inProcess(process: Process, fire: () => void): void {
  if (!process.isAlive) return;
  if (process.isFrozen) process.postpone(fire);
  else fire();
}

const UNREACHABLE: ErrorParts = {
  code: "E_UNREACHABLE",
  message: "The server cannot be reached.",
};

export type { Direction, Frame };
