/** The server's outside with a real reactor behind it, in memory: for tests of routes. */
import { randomBytes } from "node:crypto";
import type { AddressInfo } from "node:net";
import { systemClock } from "../../common/clock.ts";
import { silentLogger } from "../../common/log.ts";
import { API_ROOT } from "../../protocol/rest.ts";
import { createLeaseTokens, type LeaseTokens } from "../../server/auth/lease-tokens.ts";
import { createSessionTokens, type SessionTokens } from "../../server/auth/session-tokens.ts";
import { drawToken, sha256Hex } from "../../server/auth/tokens.ts";
import { backupStream } from "../../server/backup/backup-stream.ts";
import { createBatcher } from "../../server/batch.ts";
import { createMemoryBlobs } from "../../server/blobs/memory-blobs.ts";
import type { Blobs } from "../../server/blobs/blobs.ts";
import { createKeptBlobs } from "../../server/blobs/kept-blobs.ts";
import { createCore, type Core } from "../../server/core.ts";
import { createEngine, type RunningEngine } from "../../server/engine-loop.ts";
import type { Role } from "../../server/events.ts";
import { createBootSecretIssuer, SERVER_PRINCIPAL } from "../../server/gateway/boot-secrets.ts";
import { listenForPeers } from "../../server/gateway/listener.ts";
import { Sessions } from "../../server/gateway/sessions.ts";
import type { Effect } from "../../server/inbox.ts";
import { createMemoryDisk, createMemoryJournal } from "../../server/journal/memory-journal.ts";
import { createLive } from "../../server/live.ts";
import type { Logs } from "../../server/logs.ts";
import { openRegistrySecrets } from "../../server/secrets/registry-secrets.ts";
import { temporaryDirectory } from "./temporary-directory.ts";
import { createRestServer } from "../../server/rest/server.ts";
import { systemDisk } from "../../server/system-disk.ts";

export interface SmallServer {
  readonly origin: string;
  readonly core: Core;
  readonly engine: RunningEngine;
  readonly blobs: Blobs;
  readonly leaseTokens: LeaseTokens;
  readonly sessionTokens: SessionTokens;
  /** Output by "<task>/<point>". */
  readonly output: Map<string, string>;
  readonly secretsDirectory: string;
  /** Everything that was journaled, as text. */
  journaled(): string;
  token(roles: Role["roles"], user?: string): Promise<string>;
  call(
    token: string | null,
    method: string,
    path: string,
    body?: unknown,
  ): Promise<{ status: number; headers: Headers; body: unknown }>;
  close(): Promise<void>;
}

export async function startSmallServer(): Promise<SmallServer> {
  const disk = createMemoryDisk();
  const journal = createMemoryJournal({ disk });
  const { term } = await journal.open();
  const core = createCore();
  const clock = systemClock;
  const log = silentLogger;
  const key = randomBytes(32);
  const leaseTokens = createLeaseTokens(key);
  const sessionTokens = createSessionTokens(key, clock);
  const onFatal = (error: Error): void => {
    throw error;
  };
  const engine = createEngine({
    reactor: {
      core,
      live: createLive(),
      ports: { sha256: sha256Hex, leaseToken: (item, epoch) => leaseTokens.issue(item, epoch) },
    },
    clock,
    batcher: createBatcher({ journal, term, clock, nextSeq: 1, onFatal }),
    execute: (effect) => execute(effect),
    defer: (work) => void setImmediate(work),
  });
  const sessions = new Sessions({ engine, clock, log });
  const drawSecrets = createBootSecretIssuer({ engine: () => engine, peers: sessions, log });
  let proposed = 0;
  const execute = (effect: Effect): void => {
    if (effect.type === "toPilot") sessions.toPilot(effect.session, [effect.message]);
    if (effect.type === "toHarvester") sessions.toHarvester(effect.session, [effect.message]);
    if (effect.type === "close") sessions.close(effect.session, effect.code, effect.reason);
    if (effect.type === "blobs") blobs.settle(effect.referred, effect.unreferenced);
    if (effect.type === "drawSecrets") drawSecrets(effect);
    if (effect.type === "ask") {
      const asked = core.tasks.get(effect.taskId)?.run?.asked.values() ?? [];
      const parts = [...asked].map(({ segment, wanted }) => ({
        segment,
        texts: Array.from({ length: wanted }, () => `{"x":${(proposed += 1)}.0}`),
        exhausted: null,
      }));
      engine.post({ ...effect, type: "proposed", answer: { ok: true, parts } });
    }
  };
  const output = new Map<string, string>();
  const logs: Logs = {
    append: (taskId, pointId, _epoch, text) => {
      output.set(`${taskId}/${pointId}`, Buffer.from(text).toString());
      return Promise.resolve();
    },
    read: (taskId, pointId) => Promise.resolve(output.get(`${taskId}/${pointId}`) ?? ""),
    removeTask: () => Promise.resolve(),
  };
  const directory = temporaryDirectory();
  const blobs = createKeptBlobs({
    blobs: createMemoryBlobs(),
    referencesTo: (sha256) => core.blobs.get(sha256) ?? 0,
    clock,
    log,
  });
  const gauges = () =>
    Promise.resolve({
      version: "test",
      startedAtMs: 0,
      dataDirectory: "/nowhere",
      memoryBytes: 1,
      eventLoopLagMsP99: 0,
      freeBytes: 1e12,
    });
  const wallMs = (): number => clock.wallMs();
  const backup = (seq: number) =>
    backupStream({ journal, blobs, disk: systemDisk, dataDirectory: "/nowhere", wallMs, seq });
  const stores = { blobs, logs, journal, backup };
  const rest = createRestServer(
    {
      ...{ engine, ...stores, sessions, sessionTokens, leaseTokens, clock, log, gauges },
      secrets: await openRegistrySecrets(directory.path, clock),
    },
    { tls: null, behindProxy: [] },
  );
  listenForPeers({ server: rest.server, sessions, sessionTokens, engine, log });
  await rest.listen({ host: "127.0.0.1", port: 0 });
  const origin = `http://127.0.0.1:${(rest.server.address() as AddressInfo).port}`;
  return {
    origin,
    core,
    engine,
    blobs,
    leaseTokens,
    sessionTokens,
    output,
    secretsDirectory: directory.path,
    journaled: () => disk.records.map(({ value }) => Buffer.from(value).toString("latin1")).join(),
    token: async (roles, user = "anna") => {
      const { id, secret, sha256 } = drawToken();
      const role = { user, roles };
      const command = { type: "issueToken", id, sha256, role, name: "test" } as const;
      await engine.execute<"issueToken">(SERVER_PRINCIPAL, command);
      return secret;
    },
    call: async (token, method, path, body) => {
      const isBytes = body instanceof Uint8Array;
      const response = await fetch(origin + API_ROOT + path, {
        method,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(body === undefined
            ? {}
            : { "content-type": isBytes ? "application/gzip" : "application/json" }),
        },
        ...(body === undefined
          ? {}
          : { body: isBytes ? body : typeof body === "string" ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      const isJson = response.headers.get("content-type")?.startsWith("application/json") === true;
      return {
        status: response.status,
        headers: response.headers,
        body: isJson ? JSON.parse(text) : text,
      };
    },
    close: async () => {
      await sessions.stop();
      await rest.close();
      await engine.stop();
      await journal.close();
      await directory.remove();
    },
  };
}
