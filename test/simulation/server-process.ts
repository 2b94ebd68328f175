/** The server's process: the real engine, reactor, batches and sessions, on a simulated disk and network. */
import { createHash } from "node:crypto";
import type { WebSocket } from "ws";
import { HyperpilotError } from "../../protocol/errors.ts";
import { itemKey, type Epoch, type Item } from "../../protocol/ids.ts";
import type { BlobRef, PilotSessionAnswer } from "../../protocol/pilot-messages.ts";
import { HARVESTER_SOCKET_PATH } from "../../protocol/routes.ts";
import { taskOfLease } from "../../server/auth/lease-tokens.ts";
import type { PilotClaims } from "../../server/auth/session-tokens.ts";
import { newIncarnation } from "../../server/backup/incarnation.ts";
import { createKeptBlobs, type KeptBlobs } from "../../server/blobs/kept-blobs.ts";
import { createBatcher, type Batcher } from "../../server/batch.ts";
import type { Core } from "../../server/core.ts";
import { createExecutor } from "../../server/effects.ts";
import { createEngine, startTicking, type RunningEngine } from "../../server/engine-loop.ts";
import { createBootSecretIssuer, exchangeBootSecret } from "../../server/gateway/boot-secrets.ts";
import { harvesterPeer } from "../../server/gateway/harvesters.ts";
import { pilotPeer } from "../../server/gateway/pilots.ts";
import { Sessions } from "../../server/gateway/sessions.ts";
import type { Command, CommandOf, CommandValues, Effect, Principal } from "../../server/inbox.ts";
import { createLive, type Live } from "../../server/live.ts";
import { restore } from "../../server/restore.ts";
import { askSampler } from "../../server/samplers/sampler.ts";
import { steeringInput } from "../../server/tasks/steering-files.ts";
import { startProcess, type Cluster } from "./cluster.ts";
import type { SocketRequest } from "./network.ts";
import type { Process } from "./process.ts";
import type { Socket } from "./socket.ts";
import { createStableJournal } from "./stable-journal.ts";
import { checkTold } from "./told-points.ts";

/** No whole part of any lease, so that no lease runs out at the very moment of a tick. */
const TICK_MS = 997;
const HOST = "server";

interface Middle {
  readonly live: Live;
  readonly process: Process;
  readonly core: Core;
  readonly engine: RunningEngine;
  readonly batcher: Batcher;
  readonly sessions: Sessions;
  readonly blobs: KeptBlobs;
}

/** The machine on which one server runs after the other. */
export class ServerHost {
  readonly #cluster: Cluster;
  #middle: Middle | null = null;
  #process: Process | null = null;
  #starts = 0;
  /** A start waits for its time. */
  #isStarting = false;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  get process(): Process | null {
    return this.#process?.isAlive === true ? this.#process : null;
  }

  get isUp(): boolean {
    return this.#middle?.process.isAlive === true;
  }

  get core(): Core | null {
    return this.isUp ? (this.#middle?.core ?? null) : null;
  }

  /** The running parts; throws when the server is down. */
  get middle(): Middle {
    if (this.#middle?.process.isAlive !== true) throw new Error("the server is down");
    return this.#middle;
  }

  get sessionCount(): number {
    return this.isUp ? this.middle.sessions.count : 0;
  }

  /** Starts a server after a while, unless one runs or is about to. */
  startAfter(ms: number): void {
    if (this.#isStarting || this.process !== null) return;
    this.#isStarting = true;
    this.#cluster.scheduler.after(ms, () => {
      this.#isStarting = false;
      this.start();
    });
  }

  start(): void {
    this.#starts += 1;
    const process = startProcess(this.#cluster, `server-${this.#starts}`);
    this.#process = process;
    void this.#run(process).catch((error: unknown) => this.#startFailed(error));
  }

  #startFailed(error: unknown): void {
    if (error instanceof HyperpilotError && error.code === "E_JOURNAL_WRITE") {
      this.crash(error.message);
      return this.startAfter(2_000);
    }
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#cluster.oracle.report("chain", `the server does not start: ${text}`);
  }

  /** The process is killed, or its machine loses its power: what was not synced is gone. */
  crash(why: string): void {
    const { process } = this;
    if (process === null) return;
    const { network, disk, random, oracle, trace } = this.#cluster;
    trace.note(HOST, () => `dies: ${why}, ${disk.unsynced.length} records are not synced`);
    process.end();
    network.listener = null;
    network.ended(process);
    const kept = disk.crash(random.fork(`crash of ${process.name}`));
    if (kept > 0) oracle.reached("records kept that nobody was told of");
    this.#middle = null;
    oracle.onCrash();
  }

  /** Yesterday's journal takes the place of today's, while pilots of today live. */
  restoreBackup(): void {
    const { disk, blobs, oracle, trace } = this.#cluster;
    if (disk.backup === null) return;
    this.crash("to restore a backup");
    blobs.restoreBackup();
    const events = disk.restoreBackup();
    trace.note(HOST, () => `is put back to event ${events}`);
    oracle.onBackupRestored(events);
  }

  async #run(process: Process): Promise<void> {
    const cluster = this.#cluster;
    const { disk, blobs, network, oracle, random, trace } = cluster;
    const { clock } = process;
    const log = trace.logger(HOST);
    const journal = createStableJournal(disk, process, random.fork(`disk of ${process.name}`));
    const restored = await restore(journal);
    const { term } = restored;
    // A start from a snapshot must come to the same state.
    const snapshotted = random.fork(`start of ${process.name}`).chance(0.5);
    const core = (snapshotted ? oracle.coreFromSnapshot() : null) ?? restored.core;
    if (disk.isRestored && disk.backup !== null) {
      const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
      const firstSeq = core.seq + 1;
      const events = newIncarnation(core, now, disk.backup.atMs);
      await journal.append({ firstSeq, events }, term);
      disk.isRestored = false;
      oracle.onCrash();
      oracle.reached("backup restored");
    }
    oracle.onRestored(core);
    trace.note(HOST, () => `starts at event ${core.seq}`);
    const live = createLive();
    const onFatal = (error: HyperpilotError): void => {
      // The program ends in this moment; whatever it would still do is not done.
      oracle.mute(process.name);
      process.after(0, () => {
        this.crash(error.message);
        this.startAfter(random.between(500, 8_000));
      });
    };
    const batcher = createBatcher({ journal, term, clock, nextSeq: core.seq + 1, onFatal });
    const engine = createEngine({
      reactor: { core, live, ports: { sha256, leaseToken } },
      clock,
      batcher,
      execute: (effect) => {
        oracle.onEffect(effect, process.name);
        execute(effect);
      },
      defer: (work) => void process.after(0, work),
      onTurn: (item, turn) => {
        if (turn.events.length > 0 || turn.effects.length > 0)
          trace.note(HOST, () => traced(item, turn));
        oracle.onTurn(item, turn, core, live);
      },
    });
    const keptBlobs = createKeptBlobs({
      blobs: blobs.portFor(process, random.fork(`blobs of ${process.name}`)),
      referencesTo: (digest) => core.blobs.get(digest) ?? 0,
      clock,
      log,
    });
    const sessions = new Sessions({ engine, clock, log, prefix: process.name });
    let drawn = 0;
    const drawSecrets = createBootSecretIssuer({
      engine: () => engine,
      peers: {
        toHarvester: (session, messages) => {
          for (const message of messages) oracle.onSecrets(message);
          sessions.toHarvester(session, messages);
        },
      },
      log,
      draw: () => {
        drawn += 1;
        const id = `sub-${createHash("sha256").update(`${process.name} ${drawn}`).digest("hex").slice(0, 12)}`;
        const secret = `hp_boot_${id}_${"s".repeat(32)}`;
        return { id, secret, sha256: sha256(secret) };
      },
    });
    const execute = createExecutor({
      core,
      peers: sessions,
      asker: createPretendedAsker(cluster, process, core),
      log,
      blobs: keptBlobs,
      appendLog: () => undefined,
      drawSecrets,
      engine: () => engine,
    });
    this.#middle = { process, core, live, engine, batcher, sessions, blobs: keptBlobs };
    network.listener = { process, accept: (request, open) => this.#accept(request, open) };
    engine.post({ type: "started" });
    startTicking(engine, clock, TICK_MS);
  }

  async #accept({ url, bearer }: SocketRequest, open: () => Socket): Promise<number | null> {
    const { engine, sessions } = this.middle;
    const isHarvester = url.endsWith(HARVESTER_SOCKET_PATH);
    const claims = isHarvester ? null : claimsOf(bearer);
    if (!isHarvester && claims === null) return 401;
    // As the listener does for harvesters, so that a server that owes the disk much lets nobody in early.
    await engine.read((core) => core.seq);
    const socket = open() as unknown as WebSocket;
    const peer =
      claims === null ? harvesterPeer({ id: "harvester", user: "harvester" }) : pilotPeer(claims);
    sessions.add(socket, { peer, pilotId: claims?.pilotId ?? null, tokenId: null });
    return null;
  }

  /** A command of a user, as the REST routes carry it out. */
  async execute<T extends Command["type"]>(
    principal: Principal,
    command: CommandOf<T>,
  ): Promise<CommandValues[T]> {
    const { engine } = this.middle;
    const { oracle } = this.#cluster;
    // Each time that it is sent it is another one.
    const received = { ...command };
    try {
      const value = await engine.execute<T>(principal, received);
      oracle.onReply(received, `answer to ${command.type}`);
      return value;
    } catch (error) {
      if (error instanceof HyperpilotError && error.code !== "E_UNREACHABLE")
        oracle.onReply(received, `refusal of ${command.type}`);
      throw error;
    }
  }

  /** A user's look at the state. */
  async read<T>(view: (core: Core) => T): Promise<T> {
    const { oracle } = this.#cluster;
    const key = {};
    const seen = await this.middle.engine.read((core) => {
      oracle.onView(key, core);
      return view(core);
    });
    oracle.onReply(key, "a view");
    return seen;
  }

  async exchangeSecret(secret: string, instance: string): Promise<PilotSessionAnswer> {
    const { engine, sessions } = this.middle;
    const { trace, oracle } = this.#cluster;
    const { random } = this.#cluster;
    const value = await exchangeBootSecret(
      {
        engine,
        sessions,
        sessionTokens: { issue: (claims) => Promise.resolve(tokenOf(claims)) },
        log: trace.logger(HOST),
        newPilotId: () => `pilot-${instance}-${random.fork(`id of ${instance}`).below(1_000)}`,
      },
      secret,
      instance,
    );
    oracle.onPilotSession(value.pilotId);
    return value;
  }

  steeringInput(token: string): Promise<string> {
    const { item, epoch } = JSON.parse(token) as { item: Item; epoch: Epoch };
    return this.read((core) => {
      const task = taskOfLease(core, item, epoch);
      const text = steeringInput(task);
      checkTold(this.#cluster.oracle, task.id, text);
      return text;
    });
  }

  /** As the route of lease files does: an upload under a lease that is still the newest of its point. */
  async putCheckpoint(token: string, blob: BlobRef, text: string): Promise<void> {
    const { item, epoch } = JSON.parse(token) as { item: Item; epoch: Epoch };
    const { blobs } = this.middle;
    await this.read((core) => taskOfLease(core, item, epoch).id);
    await this.#cluster.blobs.put(blobs, blob, text);
  }

  /** As the route of checkpoints does: what is lost or damaged is dropped. */
  async getCheckpoint(token: string, sha256: string): Promise<string> {
    const { item, epoch } = JSON.parse(token) as { item: Item; epoch: Epoch };
    if (item.type !== "evaluation") throw new Error("no checkpoint of a run");
    const { taskId, pointId } = item;
    const isKnown = await this.read((core) => {
      const checkpoints = taskOfLease(core, item, epoch).points.get(pointId)?.files?.checkpoints;
      return checkpoints?.some((one) => one.sha256 === sha256) === true;
    });
    if (!isKnown) throw new HyperpilotError({ code: "E_NOT_FOUND", message: "no such checkpoint" });
    const text = this.#cluster.blobs.textOf(sha256);
    if (text !== null) return text;
    const command = { type: "dropCheckpoint", taskId, pointId, sha256, reason: "damaged" } as const;
    await this.execute({ user: "server", roles: ["admin"] }, command);
    throw new HyperpilotError({ code: "E_CHECKSUM", message: "the checkpoint is damaged" });
  }

  /** Whether nothing waits for the disk. */
  get isIdle(): boolean {
    return (
      this.isUp &&
      this.middle.batcher.pendingEvents() === 0 &&
      this.middle.engine.statistics().inboxItems === 0
    );
  }
}

/** Requests of a process to whichever server answers. */
export function requestsOf(cluster: Cluster, process: Process, host: string) {
  const { network } = cluster;
  return {
    exchangeSecret: (secret: string, instance: string) =>
      network.call(process, host, () => cluster.server.exchangeSecret(secret, instance)),
    steeringInput: (token: string) =>
      network.call(process, host, () => cluster.server.steeringInput(token)),
    putCheckpoint: (token: string, blob: BlobRef, text: string) =>
      network.call(process, host, () => cluster.server.putCheckpoint(token, blob, text)),
    getCheckpoint: (token: string, sha256: string) =>
      network.call(process, host, () => cluster.server.getCheckpoint(token, sha256)),
    execute: <T extends Command["type"]>(principal: Principal, command: CommandOf<T>) =>
      network.call(process, host, () => cluster.server.execute<T>(principal, command)),
    read: <T>(view: (core: Core) => T) =>
      network.call(process, host, () => cluster.server.read(view)),
  };
}

/** Built-in steering in the place of the worker thread: the real samplers, after a while, or a failure. */
function createPretendedAsker(cluster: Cluster, process: Process, core: Core) {
  const random = cluster.random.fork(`asker of ${process.name}`);
  return {
    ask: async (request: Parameters<typeof askSampler>[0]) => {
      const taskId = [...core.tasks.values()].find(
        (task) => request.seed === `${task.spec.seed}:run:${task.run?.run}`,
      )?.id;
      if (taskId !== undefined) checkTold(cluster.oracle, taskId, request);
      await process.clock.sleep(random.between(5, random.chance(0.1) ? 20_000 : 300));
      if (!cluster.isCalm && random.chance(0.05)) throw new Error("the sampler broke");
      return askSampler(request);
    },
    close: () => Promise.resolve(),
  };
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function leaseToken(item: Item, epoch: Epoch): string {
  return JSON.stringify({ item, epoch, key: itemKey(item) });
}

function tokenOf(claims: PilotClaims): string {
  return JSON.stringify(claims);
}

function claimsOf(bearer: string): PilotClaims | null {
  return bearer.startsWith("{") ? (JSON.parse(bearer) as PilotClaims) : null;
}

function traced(
  item: { readonly type: string },
  { events, effects }: { readonly events: readonly object[]; readonly effects: readonly Effect[] },
): string {
  const told = effects.filter(({ type }) => type !== "toPilot" && type !== "toHarvester");
  return `${item.type}: ${[...events, ...told].map((one) => JSON.stringify(one, brief)).join(" ")}`;
}

function brief(key: string, value: unknown): unknown {
  return ["spec", "v", "atMs", "specSha256", "previousSeq", "by", "config"].includes(key)
    ? undefined
    : value;
}
