/** WebSocket upgrades: who may open a session, decided before the handshake. */
import { STATUS_CODES, type IncomingMessage, type Server } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import { ERROR_KINDS, HyperpilotError, errorText, type ErrorParts } from "../../protocol/errors.ts";
import { WIRE } from "../../protocol/limits.ts";
import { HARVESTER_SOCKET_PATH, PILOT_SOCKET_PATH } from "../../protocol/routes.ts";
import type { Logger } from "../../common/log.ts";
import { authorize } from "../auth/access.ts";
import type { SessionTokens } from "../auth/session-tokens.ts";
import { bearerOf, tokenRecord } from "../auth/tokens.ts";
import type { Engine } from "../engine.ts";
import { harvesterPeer } from "./harvesters.ts";
import { pilotPeer } from "./pilots.ts";
import type { Identity, Sessions } from "./sessions.ts";

export interface ListenerDeps {
  readonly server: Server;
  readonly sessions: Sessions;
  readonly sessionTokens: SessionTokens;
  readonly engine: Pick<Engine, "read">;
  readonly log: Logger;
}

/** Answers the upgrades of an HTTP server. The server's owner closes it; the sockets belong to `sessions`. */
export function listenForPeers(deps: ListenerDeps): void {
  const upgrades = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: WIRE.frameBytesMax,
  });
  upgrades.on("error", (error) => deps.log.warn("upgradeError", { error: errorText(error) }));
  deps.server.on("upgrade", (request, socket, head) => {
    // Until the handshake nobody else listens, and an unheard error ends the process.
    const ignore = (): void => void socket.destroy();
    socket.on("error", ignore);
    identify(deps, request).then(
      (identity) => {
        if (socket.destroyed) return;
        if (deps.sessions.isFull) {
          refuse(socket, FULL);
          return;
        }
        upgrades.handleUpgrade(request, socket, head, (webSocket) => {
          socket.off("error", ignore);
          deps.sessions.add(webSocket, identity);
        });
      },
      (error: unknown) => {
        if (!(error instanceof HyperpilotError)) {
          deps.log.error("upgradeFailed", { error: errorText(error) });
          refuse(socket, INTERNAL);
          return;
        }
        deps.log.info("upgradeRefused", { code: error.code, message: error.message });
        refuse(socket, error.parts);
      },
    );
  });
}

async function identify(deps: ListenerDeps, request: IncomingMessage): Promise<Identity> {
  const address = request.url ?? "/";
  const { pathname, searchParams } = URL.canParse(address, ANY_HOST)
    ? new URL(address, ANY_HOST)
    : new URL(ANY_HOST);
  if (pathname !== PILOT_SOCKET_PATH && pathname !== HARVESTER_SOCKET_PATH)
    throw new HyperpilotError({ code: "E_NOT_FOUND", message: "There is no such socket." });
  checkOrigin(request);
  if (searchParams.has("token")) throw new HyperpilotError(TOKEN_IN_ADDRESS);
  const bearer = bearerOf(request.headers.authorization) ?? "";
  return pathname === PILOT_SOCKET_PATH ? ofPilot(deps, bearer) : ofHarvester(deps, bearer);
}

async function ofPilot(deps: ListenerDeps, bearer: string): Promise<Identity> {
  const claims = await deps.sessionTokens.verify(bearer);
  if (claims === null) {
    throw new HyperpilotError({
      code: "E_UNAUTHENTICATED",
      message: "This needs the session token of a pilot.",
      why: "The Authorization header has none, or one that is wrong or expired.",
      remedy: "Exchange the boot secret again, or end: the harvester submits new pilots.",
    });
  }
  return { peer: pilotPeer(claims), pilotId: claims.pilotId, tokenId: null };
}

async function ofHarvester(deps: ListenerDeps, bearer: string): Promise<Identity> {
  const record = await deps.engine.read((core) => tokenRecord(core, bearer));
  if (record === null) authorize({ type: "nobody" }, "harvester");
  else {
    authorize({ type: "user", principal: record.role, tokenId: record.id }, "harvester");
    const peer = harvesterPeer({ id: record.id, user: record.role.user });
    return { peer, pilotId: null, tokenId: record.id };
  }
  throw new Error("a harvester without a token was let in");
}

/** Pilots and harvesters send no Origin; a browser sends the page's, which must be from this server. */
function checkOrigin(request: IncomingMessage): void {
  const { origin, host } = request.headers;
  if (origin === undefined) return;
  if (URL.canParse(origin) && new URL(origin).host === host) return;
  throw new HyperpilotError({
    code: "E_FORBIDDEN",
    message: "Sockets are not opened for pages of other servers.",
  });
}

function refuse(socket: Duplex, parts: ErrorParts): void {
  const { http: status, exit } = ERROR_KINDS[parts.code];
  const body = JSON.stringify({ error: { exit, requestId: "", ...parts } });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n` +
      "Connection: close\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\n" +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

const ANY_HOST = "http://server.invalid";

/** A token in an address ends up in logs of proxies. */
export const TOKEN_IN_ADDRESS: ErrorParts = {
  code: "E_USAGE",
  message: "A token does not belong into the address.",
  remedy: "Send it in the header 'Authorization: Bearer ...', and revoke this one.",
};

const FULL: ErrorParts = {
  code: "E_UNREACHABLE",
  message: "The server has as many sessions as it takes.",
  remedy: "Try again later; the administrator sees the number in: hyperpilot admin status",
};

const INTERNAL: ErrorParts = {
  code: "E_INTERNAL",
  message: "The server could not open the session.",
};
