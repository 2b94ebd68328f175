/** All open connections: the Peers port, one connection per pilot, pings spread over time. */
import { randomBytes } from "node:crypto";
import type { WebSocket } from "ws";
import { SERVER, WIRE } from "../../protocol/limits.ts";
import type { PilotId } from "../../protocol/ids.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import type { Engine, Peers } from "../engine.ts";
import { CLOSE } from "../inbox.ts";
import type { SessionId } from "../live.ts";
import { Connection, type Peer } from "./connection.ts";

/** Connections are checked in groups, one group per step, so that no step pings all of them. */
const CHECK_STEP_MS = 1_000;
const CHECK_STEPS = Math.round(WIRE.pingIntervalMs / CHECK_STEP_MS);

/** How long a peer may take to answer our close before it is cut. */
const CLOSE_GRACE_MS = 1_000;

export interface SessionsDeps {
  readonly engine: Pick<Engine, "post" | "isFull" | "onDrained">;
  readonly clock: Clock;
  readonly log: Logger;
  /** Begins the ids of sessions; drawn when it is not given. Ids of another process's sessions must never be taken for ours. */
  readonly prefix?: string;
}

/** What a new connection is registered under. */
export interface Identity {
  readonly peer: Peer;
  /** At most one connection per pilot. */
  readonly pilotId: PilotId | null;
  /** Token whose revocation closes the connection. */
  readonly tokenId: string | null;
}

interface Entry extends Identity {
  readonly connection: Connection;
  /** Number of the group in which it is checked. */
  readonly step: number;
}

export class Sessions implements Peers {
  private readonly deps: SessionsDeps;
  private readonly entries = new Map<SessionId, Entry>();
  private readonly byPilot = new Map<PilotId, Entry>();
  private readonly dirty = new Set<Connection>();
  private readonly paused = new Set<Connection>();
  private readonly prefix: string;
  private nextNumber = 0;
  private step = 0;
  private timer: Timer;
  private isFlushScheduled = false;

  constructor(deps: SessionsDeps) {
    this.deps = deps;
    this.prefix = deps.prefix ?? randomBytes(6).toString("hex");
    deps.engine.onDrained(() => this.resumeAll());
    this.timer = deps.clock.setTimer(CHECK_STEP_MS, () => this.checkGroup());
  }

  get count(): number {
    return this.entries.size;
  }

  get isFull(): boolean {
    return this.entries.size >= SERVER.sessionsMax;
  }

  /** Registers an open socket. A pilot's former connection is closed. */
  add(socket: WebSocket, identity: Identity): void {
    const { engine, clock, log } = this.deps;
    const former = identity.pilotId === null ? undefined : this.byPilot.get(identity.pilotId);
    former?.connection.close(CLOSE.replaced, "replaced by a newer connection");
    this.nextNumber += 1;
    const id = `${this.prefix}-${this.nextNumber}`;
    const connection = new Connection({
      id,
      socket,
      peer: identity.peer,
      inlet: engine,
      clock,
      log,
      onEnd: () => this.remove(entry),
      onPause: (paused) => void this.paused.add(paused),
    });
    const entry: Entry = { ...identity, connection, step: this.nextNumber % CHECK_STEPS };
    this.entries.set(id, entry);
    if (identity.pilotId !== null) this.byPilot.set(identity.pilotId, entry);
    log.info("connected", { session: id, kind: identity.peer.kind, peer: identity.peer.name });
  }

  toPilot(session: SessionId, messages: readonly unknown[]): void {
    this.push(session, messages);
  }

  toHarvester(session: SessionId, messages: readonly unknown[]): void {
    this.push(session, messages);
  }

  close(session: SessionId, code: number, reason: string): void {
    this.entries.get(session)?.connection.close(code, reason);
  }

  /** Whether the pilot's connection answers a ping; false when it has none. */
  isAlive(pilotId: PilotId, timeoutMs: number): Promise<boolean> {
    return this.byPilot.get(pilotId)?.connection.answersPing(timeoutMs) ?? Promise.resolve(false);
  }

  /** Cuts the pilot's connection, if any. */
  cut(pilotId: PilotId): void {
    this.byPilot.get(pilotId)?.connection.terminate();
  }

  /** Closes every connection that was opened with this token. */
  closeOfToken(tokenId: string): void {
    for (const entry of [...this.entries.values()])
      if (entry.tokenId === tokenId)
        entry.connection.close(CLOSE.protocolViolation, "token revoked");
  }

  /** Closes all connections; resolves when they are gone. */
  async stop(): Promise<void> {
    this.timer.cancel();
    const connections = [...this.entries.values()].map(({ connection }) => connection);
    for (const connection of connections)
      connection.close(CLOSE.shuttingDown, "the server is stopping");
    await Promise.all(connections.map((connection) => connection.gone(CLOSE_GRACE_MS)));
  }

  private push(session: SessionId, messages: readonly unknown[]): void {
    const connection = this.entries.get(session)?.connection;
    if (connection === undefined) return;
    connection.push(messages);
    this.dirty.add(connection);
    if (this.isFlushScheduled) return;
    // The effects of one batch run in one go: what they send to a session travels in one frame.
    this.isFlushScheduled = true;
    queueMicrotask(() => this.flushAll());
  }

  private flushAll(): void {
    this.isFlushScheduled = false;
    for (const connection of this.dirty) connection.flush();
    this.dirty.clear();
  }

  private remove(entry: Entry): void {
    const { connection, peer, pilotId } = entry;
    this.entries.delete(connection.id);
    this.dirty.delete(connection);
    this.paused.delete(connection);
    if (pilotId !== null && this.byPilot.get(pilotId) === entry) this.byPilot.delete(pilotId);
    this.deps.log.info("disconnected", { session: connection.id, peer: peer.name });
    this.deps.engine.post(peer.closed(connection.id));
  }

  private resumeAll(): void {
    const paused = [...this.paused];
    this.paused.clear();
    for (const connection of paused) connection.resume();
  }

  private checkGroup(): void {
    this.step = (this.step + 1) % CHECK_STEPS;
    for (const { connection, step } of [...this.entries.values()]) {
      connection.checkHello();
      if (step === this.step) connection.checkPing();
    }
    this.timer = this.deps.clock.setTimer(CHECK_STEP_MS, () => this.checkGroup());
  }
}
