/** The pilot's calls of the server by HTTP: its session, a task's files, long output. */
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HyperpilotError } from "../protocol/errors.ts";
import { PILOT, TASK } from "../protocol/limits.ts";
import { type BlobRef, type GrantedItem, PilotSessionAnswer } from "../protocol/pilot-messages.ts";
import { CredentialAnswer, type RegistryCredential } from "../protocol/rest.ts";
import type { LeaseFileKind } from "../protocol/routes.ts";
import {
  type ServerAddress,
  atMost,
  exchange,
  parsedJson,
  textOf,
  unreachable,
} from "./http-exchange.ts";

/**
 * Errors of all calls: E_UNREACHABLE when a later try may work (no connection, 5xx), else what the server answered, such as
 * E_STORAGE_FULL.
 */
export interface ServerApi {
  exchangeSecret(
    secret: string,
    instance: string,
    signal: AbortSignal,
  ): Promise<PilotSessionAnswer>;
  /** Writes the tarball to a file; its checksum is for the caller to look at. */
  getSandbox(sha256: string, call: LeaseCall): Promise<void>;
  /** Text of %IN, for the lease of a steering run. */
  getSteeringInput(token: string, signal: AbortSignal): Promise<string>;
  /** The task owner's credential for a registry, for a lease of the task; null when there is none. */
  getRegistryCredential(
    token: string,
    registry: string,
    signal: AbortSignal,
  ): Promise<RegistryCredential | null>;
  putLog(item: GrantedItem, file: string, signal: AbortSignal): Promise<void>;
  /** Uploads a file of these bytes; a message under the lease says what it is for. */
  putLeaseFile(kind: LeaseFileKind, blob: BlobRef, call: LeaseCall): Promise<void>;
  /** Writes the tarball to a file; its checksum is for the caller to look at. Errors: E_CHECKSUM when the server's copy is damaged. */
  getCheckpoint(sha256: string, call: LeaseCall): Promise<void>;
}

export interface LeaseCall {
  readonly token: string;
  readonly file: string;
  readonly signal: AbortSignal;
}

/** `wallMs`: the node's clock, told to the server, which refuses one that is far from its own. */
export function createServerApi(address: ServerAddress, wallMs?: () => number): ServerApi {
  return {
    exchangeSecret: (secret, instance, signal) =>
      exchangeSecret(address, secret, { instance, timeMs: wallMs?.(), signal }),
    getSandbox: (sha256, call) => {
      const bound = { bytesMax: TASK.sandboxBytesMax, what: "The task's files" };
      return download(address, `/sandboxes/${sha256}`, call, bound);
    },
    getCheckpoint: (sha256, call) => {
      const bound = { bytesMax: TASK.checkpointBytesMax, what: "The checkpoint's files" };
      return download(address, `/leases/checkpoints/${sha256}`, call, bound);
    },
    putLeaseFile: async (kind, { sha256, sizeBytes }, { token, file, signal }) => {
      const content = (): Readable => createReadStream(file, { end: Math.max(0, sizeBytes - 1) });
      const response = await exchange(address, {
        method: "PUT",
        path: `/leases/files/${kind}/${sha256}`,
        token,
        signal,
        body: { type: "application/octet-stream", sizeBytes, content },
      });
      response.resume();
    },
    getSteeringInput: async (token, signal) => {
      const path = "/leases/steering-input";
      const response = await exchange(address, { method: "GET", path, token, signal });
      return textOf(response, PILOT.steeringInputBytesMax);
    },
    getRegistryCredential: async (token, registry, signal) => {
      const query = new URLSearchParams({ registry });
      const path = `/leases/registry-credential?${query.toString()}`;
      const response = await exchange(address, { method: "GET", path, token, signal });
      const answer = CredentialAnswer.safeParse(parsedJson(await textOf(response)));
      if (answer.success) return answer.data.credential;
      throw new HyperpilotError({
        code: "E_PROTOCOL",
        message: "The server's answer about a registry could not be read.",
        remedy: "Check that server and pilot have compatible versions.",
      });
    },
    putLog: async (granted, file, signal) => {
      const { item, epoch, token } = granted;
      if (item.type !== "evaluation") return;
      const { size } = await stat(file);
      const query = new URLSearchParams({
        taskId: String(item.taskId),
        pointId: item.pointId,
        epoch: epoch.join("."),
      });
      const content = (): Readable => createReadStream(file, { end: Math.max(0, size - 1) });
      const response = await exchange(address, {
        method: "PUT",
        path: `/leases/log?${query.toString()}`,
        token,
        signal,
        body: { type: "application/octet-stream", sizeBytes: size, content },
      });
      response.resume();
    },
  };
}

async function exchangeSecret(
  address: ServerAddress,
  secret: string,
  hello: {
    readonly instance: string;
    readonly timeMs: number | undefined;
    readonly signal: AbortSignal;
  },
): Promise<PilotSessionAnswer> {
  const { instance, timeMs, signal } = hello;
  const body = Buffer.from(JSON.stringify({ instance, timeMs }));
  const response = await exchange(address, {
    method: "POST",
    path: "/pilot-sessions",
    token: secret,
    signal,
    body: {
      type: "application/json",
      sizeBytes: body.length,
      content: () => Readable.from([body]),
    },
  });
  const answer = PilotSessionAnswer.safeParse(parsedJson(await textOf(response)));
  if (answer.success) return answer.data;
  throw new HyperpilotError({
    code: "E_PROTOCOL",
    message: "The server's answer to the boot secret could not be read.",
    remedy: "Check that server and pilot have compatible versions.",
  });
}

async function download(
  address: ServerAddress,
  path: string,
  { token, file, signal }: LeaseCall,
  bound: { readonly bytesMax: number; readonly what: string },
): Promise<void> {
  const response = await exchange(address, { method: "GET", path, token, signal });
  const meter = atMost(bound.bytesMax, bound.what);
  try {
    await pipeline(response, meter, createWriteStream(file, { mode: 0o600 }), { signal });
  } catch (error) {
    throw error instanceof HyperpilotError ? error : unreachable(address, error);
  }
}
