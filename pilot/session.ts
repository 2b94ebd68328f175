/** A pilot's way to its server: a session token for the boot secret, then the link under that token. */
import { createBackoff } from "../common/backoff.ts";
import type { Clock } from "../common/clock.ts";
import { type Link, type LinkOptions, openLink } from "../common/link.ts";
import type { Logger } from "../common/log.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import type { BootFile } from "../protocol/harvester-messages.ts";
import { WIRE } from "../protocol/limits.ts";
import {
  type FromPilot,
  type PilotSessionAnswer,
  ToPilotFrame,
} from "../protocol/pilot-messages.ts";
import { PILOT_SOCKET_PATH } from "../protocol/routes.ts";
import type { PilotProgram } from "./program.ts";
import type { ServerApi } from "./server-api.ts";

export interface SessionDeps {
  readonly boot: Pick<BootFile, "server" | "secret" | "caFingerprint">;
  /** Made anew by each pilot process. */
  readonly instance: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Uniform in [0, 1): spreads the tries. */
  readonly random: () => number;
  /** How long the server may be out of reach before the pilot gives up: a restart of the server should not cost the pilots. */
  readonly patienceMs: number;
  readonly openSocket?: NonNullable<LinkOptions<never>["openSocket"]>;
}

/**
 * Exchanges the boot secret, again and again while the server cannot be reached, but not for ever: what the pilot printed reaches
 * people at some sites only when its job ends. Errors: E_UNREACHABLE then, and what else the server answers.
 */
export async function startSession(
  deps: SessionDeps,
  api: Pick<ServerApi, "exchangeSecret">,
  signal: AbortSignal,
): Promise<PilotSessionAnswer> {
  const { boot, instance, clock, log, random } = deps;
  const deadlineMs = clock.monotonicMs() + deps.patienceMs;
  const backoff = createBackoff(WIRE.reconnectDelayMsMin, WIRE.reconnectDelayMsMax, random);
  for (;;) {
    try {
      return await api.exchangeSecret(boot.secret, instance, signal);
    } catch (error) {
      if (!(error instanceof HyperpilotError) || error.code !== "E_UNREACHABLE") throw error;
      log.warn("serverUnreachable", { server: boot.server, error: error.why ?? error.message });
      if (clock.monotonicMs() > deadlineMs) throw error;
    }
    await clock.sleep(backoff.next(), signal);
  }
}

/** Connects the program to the server, again after every loss, until the server does not let it in any more. */
export function connectProgram(
  deps: SessionDeps,
  session: Pick<PilotSessionAnswer, "pilotId" | "token">,
  program: PilotProgram,
): Link<FromPilot> {
  const { boot, clock, log, random, openSocket } = deps;
  log.info("session", { pilotId: session.pilotId });
  return openLink({
    url: boot.server.replace(/^http/, "ws").replace(/\/$/, "") + PILOT_SOCKET_PATH,
    token: () => session.token,
    caFingerprint: boot.caFingerprint,
    clock,
    random,
    parse: (value) => ToPilotFrame.parse(value),
    onOpen: () => program.onConnected(),
    onMessage: (message) => program.onMessage(message),
    onClosed: (code, reason) => program.onClosed(code, reason),
    onRefused: (httpStatus) => {
      if (![401, 403, 426].includes(httpStatus)) return true;
      program.onRefused(httpStatus);
      return false;
    },
    ...(openSocket === undefined ? {} : { openSocket }),
  });
}
