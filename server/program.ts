/** The server, put together: journal, core, engine, sockets, routes. Knows no signals and ends no process. */
import { readFileSync } from "node:fs";
import { statfs } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { FastifyInstance } from "fastify";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import { queueFields, valueAt } from "../protocol/queue-fields.ts";
import { VERSION } from "../protocol/version.ts";
import type { Clock } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import { ensureLocalTokens, writeAccess } from "./access-files.ts";
import { createLeaseTokens } from "./auth/lease-tokens.ts";
import { createSessionTokens } from "./auth/session-tokens.ts";
import { sha256Hex } from "./auth/tokens.ts";
import { backupStream } from "./backup/backup-stream.ts";
import { createBatcher } from "./batch.ts";
import { openDiskBlobs } from "./blobs/disk-blobs.ts";
import { createKeptBlobs, startSweeping } from "./blobs/kept-blobs.ts";
import { createAddressCheck, isLoopback, type ServerConfig } from "./config.ts";
import { openDataDirectory, openServerKey } from "./data-directory.ts";
import type { Core } from "./core.ts";
import { createExecutor } from "./effects.ts";
import { openEndedPoints, startLettingGo } from "./ended-points.ts";
import { createEngine, startTicking, type RunningEngine } from "./engine-loop.ts";
import { createBootSecretIssuer, SERVER_PRINCIPAL } from "./gateway/boot-secrets.ts";
import { listenForPeers } from "./gateway/listener.ts";
import { Sessions } from "./gateway/sessions.ts";
import type { ReactorPorts } from "./inbox.ts";
import type { Journal } from "./journal/journal.ts";
import { createLevelJournal } from "./journal/level-journal.ts";
import { startSnapshotter } from "./journal/snapshotter.ts";
import { createLive } from "./live.ts";
import { createLogs } from "./logs.ts";
import { localQueueChanges, type Machine } from "./queues/local-queue.ts";
import type { RestDeps } from "./rest/context.ts";
import { createRestServer } from "./rest/server.ts";
import { restore } from "./restore.ts";
import { openRegistrySecrets } from "./secrets/registry-secrets.ts";
import { createAsker } from "./samplers/asker.ts";
import { systemDisk } from "./system-disk.ts";

export interface ProgramPorts {
  readonly clock: Clock;
  readonly log: Logger;
  readonly machine: Machine;
  /** Owner of the local administrator's token. */
  readonly user: string;
  /** The journal has failed: nothing may be answered any more, the process has to end. */
  readonly onFatal: (error: HyperpilotError) => void;
}

export interface RunningServer {
  /** Base address for programs on this machine. */
  readonly address: string;
  /** Closes sockets, lets batches and their effects finish, closes the journal. */
  close(): Promise<void>;
}

type Closer = () => Promise<void> | void;

/** Starts a server. Whatever fails on the way, nothing is left open. Errors: E_CONFIG, E_JOURNAL_*. */
export async function startServer(
  config: ServerConfig,
  ports: ProgramPorts,
): Promise<RunningServer> {
  const closers: Closer[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const address = await open(config, ports, closers);
    return { address, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function open(config: ServerConfig, ports: ProgramPorts, closers: Closer[]): Promise<string> {
  const { clock, log } = ports;
  await openDataDirectory(config.data);
  const key = await openServerKey(config.data);
  const middle = await openMiddle(config, ports, { key, closers });
  const { engine, sessions } = middle;
  const lag = monitorEventLoopDelay({ resolution: 20 });
  lag.enable();
  closers.push(() => void lag.disable());
  const rest: RestDeps = {
    ...middle,
    secrets: await openRegistrySecrets(join(config.data, "secrets"), clock),
    sessionTokens: createSessionTokens(key, clock),
    clock,
    log,
    backup: (seq) =>
      backupStream({
        journal: middle.journal,
        blobs: middle.blobs,
        disk: systemDisk,
        dataDirectory: config.data,
        wallMs: () => clock.wallMs(),
        seq,
      }),
    gauges: gaugesOf(config.data, clock, () => lag.percentile(99) / 1e6),
  };
  const app = createRestServer(rest, config);
  guardPlainSockets(app, config);
  listenForPeers({ server: app.server, sessions, sessionTokens: rest.sessionTokens, engine, log });
  closers.push(() => app.close());
  closers.push(() => sessions.stop());
  engine.post({ type: "started" });
  const ticking = startTicking(engine, clock);
  closers.push(() => ticking.cancel());
  const token = await ensureLocalTokens({ dataDirectory: config.data, engine, user: ports.user });
  await keepLocalQueue(config, ports.machine, engine);
  const address = await listen(app, config);
  await writeAccess(config.data, { server: address, token, caFingerprint: null });
  log.info("listening", { address, version: VERSION });
  return address;
}

interface Middle extends Pick<RestDeps, "engine" | "sessions" | "blobs" | "logs" | "leaseTokens"> {
  readonly journal: Journal;
  readonly engine: RunningEngine;
  readonly sessions: Sessions;
}

/** Journal, core, engine and everything that effects reach. */
async function openMiddle(
  config: ServerConfig,
  ports: ProgramPorts,
  { key, closers }: { readonly key: Uint8Array; readonly closers: Closer[] },
): Promise<Middle> {
  const { clock, log, onFatal } = ports;
  const directory = join(config.data, "journal");
  const journal = createLevelJournal({ directory, clock, onHeadFailed: onFatal });
  closers.push(() => journal.close());
  const snapshots = { disk: systemDisk, directory: join(directory, "snapshots") };
  const { core, term, startedFrom, skipped } = await restore(journal, snapshots);
  for (const { path, why } of skipped) log.warn("snapshotPassedOver", { path, why });
  const fromSnapshotSeq = startedFrom?.seq ?? null;
  log.info("restored", { seq: core.seq, fromSnapshotSeq, tasks: core.tasks.size, term });
  const snapshotter = startSnapshotter({
    journal,
    directory: snapshots.directory,
    clock,
    log,
    seq: () => core.seq,
    startedFrom,
    onBroken: onFatal,
  });
  closers.push(() => snapshotter.stop());
  const blobs = createKeptBlobs({
    blobs: await openDiskBlobs(join(config.data, "blobs")),
    referencesTo: (sha256) => core.blobs.get(sha256) ?? 0,
    clock,
    log,
  });
  const sweeping = startSweeping({ blobs, clock, log });
  closers.push(() => sweeping.stop());
  const lettingGo = await letEndedPointsGo(core, config, ports);
  closers.push(() => lettingGo.stop());
  const logs = createLogs(join(config.data, "evaluation-logs"));
  const leaseTokens = createLeaseTokens(key);
  const asker = createAsker();
  closers.push(() => asker.close());
  const batcher = createBatcher({ journal, term, clock, nextSeq: core.seq + 1, onFatal });
  const leaseToken: ReactorPorts["leaseToken"] = (item, epoch) => leaseTokens.issue(item, epoch);
  const reactorPorts = { sha256: sha256Hex, leaseToken };
  const engine: RunningEngine = createEngine({
    reactor: { core, live: createLive(), ports: reactorPorts },
    clock,
    batcher,
    execute: (effect) => execute(effect),
    defer: (work) => void setImmediate(work),
  });
  closers.push(() => engine.stop());
  const sessions = new Sessions({ engine, clock, log });
  const drawSecrets = createBootSecretIssuer({ engine: () => engine, peers: sessions, log });
  const appendLog = (taskId: number, pointId: string, epoch: string, text: string): void => {
    logs.append(taskId, pointId, epoch, text).catch((error: unknown) => {
      log.error("logNotKept", { taskId, pointId, error: errorText(error) });
    });
  };
  const execute = createExecutor({
    core,
    peers: sessions,
    asker,
    log,
    blobs,
    appendLog,
    drawSecrets,
    engine: () => engine,
  });
  return { engine, sessions, journal, blobs, logs, leaseTokens };
}

async function letEndedPointsGo(
  core: Core,
  config: ServerConfig,
  { clock, log }: ProgramPorts,
): Promise<{ stop(): Promise<void> }> {
  const directory = join(config.data, "ended-points");
  const readNow = (path: string): Uint8Array => readFileSync(path);
  const freeBytes = (): Promise<number> => freeBytesIn(config.data);
  const disk = systemDisk;
  const ended = await openEndedPoints({ core, directory, disk, readNow, freeBytes, clock });
  return startLettingGo(ended, { clock, log });
}

/** Without a certificate, only this machine and the proxies are heard at all. */
function guardPlainSockets(app: FastifyInstance, config: ServerConfig): void {
  if (config.tls !== null || isLoopback(config.host)) return;
  const mayConnect = createAddressCheck(config.behindProxy);
  app.server.on("connection", (socket) => {
    if (!mayConnect(socket.remoteAddress)) socket.destroy();
  });
}

/** Fields that have another value than the default. */
function chosenFields(queue: QueueConfig): string[] {
  return queueFields(queue.batch.kind)
    .filter((field) => {
      const value = JSON.stringify(valueAt(queue, field.path));
      return value !== JSON.stringify(field.default);
    })
    .map(({ path }) => path);
}

async function keepLocalQueue(
  config: ServerConfig,
  machine: Machine,
  engine: RunningEngine,
): Promise<void> {
  if (config.localQueue === null) return;
  const { readOnlyPaths } = config.localQueue;
  const changed = await engine.read((core) =>
    localQueueChanges(core.queues, machine, readOnlyPaths),
  );
  for (const queue of changed)
    await engine.execute<"putQueue">(SERVER_PRINCIPAL, {
      type: "putQueue",
      config: queue,
      given: chosenFields(queue),
      source: "server",
    });
}

async function listen(app: FastifyInstance, config: ServerConfig): Promise<string> {
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (error) {
    const isTaken = systemErrorCode(error) === "EADDRINUSE";
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: `The server cannot listen on ${config.host}, port ${config.port}.`,
        why: isTaken ? "Another program has this port." : errorText(error),
        remedy: isTaken
          ? "End the other program, or choose another port: --port 0 takes any free one."
          : "Check --host and --port.",
      },
      error,
    );
  }
  const { port } = app.server.address() as AddressInfo;
  const everywhere = config.host === "0.0.0.0" || config.host === "::";
  const host = everywhere ? "127.0.0.1" : config.host;
  return `${config.tls === null ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

function gaugesOf(dataDirectory: string, clock: Clock, lagMsP99: () => number): RestDeps["gauges"] {
  const startedAtMs = clock.wallMs();
  return async () => {
    const freeBytes = await freeBytesIn(dataDirectory);
    return {
      version: VERSION,
      startedAtMs,
      dataDirectory,
      memoryBytes: process.memoryUsage.rss(),
      eventLoopLagMsP99: Math.max(0, lagMsP99()),
      freeBytes,
    };
  };
}

async function freeBytesIn(directory: string): Promise<number> {
  const { bavail, bsize } = await statfs(directory);
  return bavail * bsize;
}
