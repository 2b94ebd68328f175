/**
 * Pilots on real WebSockets that evaluate nothing and lose nothing: each keeps its leases and results over every crash of the server,
 * comes back, and says what it has until it is answered. Now and then one is a zombie: it forgets a lease, and sends its result
 * long after the point may have been granted again.
 */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { WebSocket } from "ws";
import { decodeFrame, encode } from "../../protocol/codec.ts";
import {
  PilotSessionAnswer,
  ToPilotFrame,
  type FromPilot,
  type FromPilotOf,
  type HeldLease,
  type ToPilot,
} from "../../protocol/pilot-messages.ts";
import { API_ROOT } from "../../protocol/rest.ts";
import { PILOT_SOCKET_PATH } from "../../protocol/routes.ts";
import { OUR_RANGE } from "../../protocol/version.ts";
import { openSocket } from "../../scripts/bench/pilot-swarm.ts";

const RECONNECT_MS = 20;
const ZOMBIE_SHARE = 0.05;
const ZOMBIE_MS = 700;

type Result = FromPilotOf<"result">;

/** What became of one result, by lease: `taskId/pointId@epoch`. */
export interface Ledger {
  /** Loss that was sent for the lease. */
  readonly sent: Map<string, number>;
  readonly accepted: Set<string>;
  readonly stale: Set<string>;
}

export function leaseName({ item, epoch }: Pick<Result, "item" | "epoch">): string {
  return item.type === "evaluation"
    ? `${item.taskId}/${item.pointId}@${epoch.join(".")}`
    : `${item.taskId}/run-${item.run}@${epoch.join(".")}`;
}

export class StubbornPilot {
  private readonly server: () => string;
  private readonly secret: string;
  private readonly ledger: Ledger;
  private readonly thinkMs: () => number;
  private readonly instance = randomUUID();
  private token = "";
  private socket: WebSocket | null = null;
  private requestNo = 0;
  private held: HeldLease[] = [];
  private outbox: Result[] = [];
  private stopped = false;

  constructor(options: {
    readonly server: () => string;
    readonly secret: string;
    readonly ledger: Ledger;
    readonly thinkMs: () => number;
  }) {
    this.server = options.server;
    this.secret = options.secret;
    this.ledger = options.ledger;
    this.thinkMs = options.thinkMs;
  }

  stop(): void {
    this.stopped = true;
    this.socket?.terminate();
  }

  /** Comes back until it is stopped. */
  async run(): Promise<void> {
    while (!this.stopped) {
      try {
        await this.session();
      } catch {
        // The server is away: killed, or not there yet.
      }
      await delay(RECONNECT_MS);
    }
  }

  private async session(): Promise<void> {
    if (this.token === "") this.token = await this.exchange();
    const socket = await openSocket(this.server(), PILOT_SOCKET_PATH, this.token);
    this.socket = socket;
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.on("error", () => undefined);
    socket.on("message", (data: Buffer) => {
      for (const message of ToPilotFrame.parse(decodeFrame(data))) this.take(message);
    });
    this.hello();
    await closed;
    this.socket = null;
  }

  private async exchange(): Promise<string> {
    const response = await fetch(`${this.server()}${API_ROOT}/pilot-sessions`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.secret}`, "content-type": "application/json" },
      body: JSON.stringify({ instance: this.instance }),
    });
    if (!response.ok) throw new Error(`pilot-sessions: ${response.status}`);
    return PilotSessionAnswer.parse(await response.json()).token;
  }

  private send(...messages: FromPilot[]): void {
    if (this.socket?.readyState === 1) this.socket.send(encode(messages));
  }

  private hello(): void {
    const slot = { cpus: 1, memoryBytes: 4e9, gpus: [] };
    const waiting = this.outbox.map(({ item, epoch }) => ({ item, epoch, slot: 0 }));
    this.send({
      type: "hello",
      protocol: OUR_RANGE,
      instance: this.instance,
      capacity: {
        node: "swarm",
        ...slot,
        scratchBytes: 1e12,
        runtimes: ["none"],
        walltimeLeftSeconds: null,
        sources: {},
      },
      slots: [slot],
      leases: [...this.held, ...waiting],
    });
    for (const result of this.outbox) this.send(result);
    if (this.held.length === 0 && this.outbox.length === 0) this.request();
  }

  private request(): void {
    this.requestNo += 1;
    this.send({ type: "request", slot: 0, requestNo: this.requestNo, want: 1 });
  }

  private take(message: ToPilot): void {
    switch (message.type) {
      case "grant":
        for (const { item, epoch, slot } of message.items) this.begin({ item, epoch, slot });
        return;
      case "stop":
        this.held = this.held.filter((lease) => leaseName(lease) !== leaseName(message));
        return this.request();
      case "accepted":
      case "stale":
        this.ledger[message.type].add(leaseName(message));
        this.outbox = this.outbox.filter((one) => leaseName(one) !== leaseName(message));
        return;
      case "refused":
        throw new Error(message.message);
      default:
        return;
    }
  }

  private begin(lease: HeldLease): void {
    this.held.push(lease);
    const isZombie = Math.random() < ZOMBIE_SHARE;
    setTimeout(() => this.end(lease, isZombie), this.thinkMs());
  }

  private end(lease: HeldLease, isZombie: boolean): void {
    if (this.stopped || !this.held.includes(lease)) return;
    this.held = this.held.filter((one) => one !== lease);
    const name = leaseName(lease);
    const loss = Math.random();
    this.ledger.sent.set(name, loss);
    this.requestNo += 1;
    const next = { slot: 0, requestNo: this.requestNo, want: 1 };
    const result: Result = {
      type: "result",
      item: lease.item,
      epoch: lease.epoch,
      seq: 1,
      outcome: { type: "loss", loss, exitCode: 0, message: "" },
      durationSeconds: 0.1,
      log: "",
      next: isZombie ? null : next,
    };
    if (!isZombie) {
      this.outbox.push(result);
      return this.send(result);
    }
    // A hello without the lease gives it back; the server grants the point to somebody else.
    this.socket?.terminate();
    setTimeout(() => {
      this.outbox.push(result);
      this.send(result);
    }, ZOMBIE_MS);
  }
}
