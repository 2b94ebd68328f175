/** What the server must know of its sessions: who was heard when, which grants went where, which beats lacked what. */
import type { PilotId } from "../../protocol/ids.ts";

export interface SessionNote {
  readonly pilotId: PilotId;
  /** As its hello said; empty before. */
  readonly node: string;
  session: string | null;
  /** Simulated time of the last message. */
  heardMs: number;
  /** The pilot was told to take nothing further. */
  isDrained: boolean;
  grantNo: number;
  /** Number of the grant of the present session that carried a lease, by its name. */
  grantOf: Map<string, number>;
  /** Leases that the last beat lacked although their grant had been seen. */
  lacked: Set<string>;
  readonly specs: Set<number>;
}

type Pilot = Pick<SessionNote, "pilotId" | "node">;

export class SessionBook {
  readonly byPilot = new Map<PilotId, SessionNote>();
  readonly bySession = new Map<string, SessionNote>();

  /** The server waits for a pilot that it has not heard since its start. */
  await(pilotId: PilotId, nowMs: number): void {
    this.byPilot.set(pilotId, emptyNote(pilotId, "", null, nowMs));
  }

  open({ pilotId, node }: Pilot, session: string, nowMs: number): void {
    this.close(this.byPilot.get(pilotId)?.session ?? null);
    const note = emptyNote(pilotId, node, session, nowMs);
    this.byPilot.set(pilotId, note);
    this.bySession.set(session, note);
  }

  close(session: string | null): void {
    const note = session === null ? undefined : this.bySession.get(session);
    if (note === undefined || session === null) return;
    this.bySession.delete(session);
    note.session = null;
  }

  remove(pilotId: PilotId): void {
    this.close(this.byPilot.get(pilotId)?.session ?? null);
    this.byPilot.delete(pilotId);
  }
}

function emptyNote(
  pilotId: PilotId,
  node: string,
  session: string | null,
  nowMs: number,
): SessionNote {
  return {
    pilotId,
    node,
    session,
    heardMs: nowMs,
    isDrained: false,
    grantNo: 0,
    grantOf: new Map(),
    lacked: new Set(),
    specs: new Set(),
  };
}
