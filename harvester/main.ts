/** The harvester: submits pilots where there is demand. Outbound connections only; its state is its submissions on disk. */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { systemClock, type Clock } from "../common/clock.ts";
import { openLink, type Link } from "../common/link.ts";
import { jsonLineLogger, type Logger } from "../common/log.ts";
import { createShutdown } from "../common/shutdown.ts";
import { HyperpilotError } from "../protocol/errors.ts";
import {
  ToHarvesterFrame,
  type FromHarvester,
  type ToHarvester,
} from "../protocol/harvester-messages.ts";
import { HARVESTER_SOCKET_PATH } from "../protocol/routes.ts";
import { OUR_RANGE, VERSION } from "../protocol/version.ts";
import { createDriver } from "./drivers/create.ts";
import { createLocalDriver } from "./drivers/local.ts";
import { createFleet } from "./fleet.ts";
import { harvesterId } from "./identity.ts";
import { commandLaunch, packageLaunch } from "./launch.ts";
import { createHarvester, type Harvester } from "./program.ts";
import { openSubmissions } from "./submissions.ts";

export interface HarvesterOptions {
  /** http:// or https:// base address of the server. */
  readonly server: string;
  /** 0600 file that holds a token with role harvester. */
  readonly tokenFile: string;
  /** Directory of submissions and their output. */
  readonly directory: string;
  readonly name: string;
  readonly sites: readonly string[];
  readonly caFingerprint: string | null;
  /** Starts a local pilot when a boot file's path is appended. */
  readonly pilotCommand: readonly [string, ...string[]];
  /** Directory of the packed pilot, for batch systems; null: they start pilots by `pilotCommand` too. */
  readonly pilotPackage: string | null;
  /** Remove all local pilots at the end instead of leaving them to themselves. */
  readonly stopPilots: boolean;
}

/** Runs until SIGTERM or SIGINT; resolves with the exit code. Errors: E_UNAUTHENTICATED when the server refuses the token. */
export async function runHarvester(options: HarvesterOptions): Promise<number> {
  const clock = systemClock;
  const log = jsonLineLogger(process.stderr, { program: "harvester", name: options.name }, () =>
    clock.wallMs(),
  );
  const token = readFileSync(options.tokenFile, "utf8").trim();
  const submissions = openSubmissions(
    join(options.directory, "submissions"),
    options.caFingerprint,
  );
  const local = createLocalDriver({
    pilotCommand: options.pilotCommand,
    directoryOf: (id) => submissions.directoryOf(id),
    clock,
    environment: process.env,
  });
  const launch =
    options.pilotPackage === null
      ? commandLaunch(options.pilotCommand)
      : packageLaunch(options.pilotPackage);
  const driver = createFleet({
    clock,
    batchOf: (id) => submissions.batchOf(id),
    createDriver: (batch) => createDriver(batch, { environment: process.env, launch, local }),
  });
  const harvester = createHarvester({
    clock,
    log,
    submissions,
    driver,
    server: options.server,
  });
  const shutdown = createShutdown({
    clock,
    log,
    deadlineMs: 40_000,
    onSignal: (signal, listener) => void process.on(signal, listener),
  });
  const link = connect(options, {
    clock,
    log,
    token,
    harvester,
    onRefused: () => void shutdown.close("refused", 4),
  });
  harvester.start((messages) => link.send(messages));
  shutdown.onClose("link", () => link.close());
  if (options.stopPilots) shutdown.onClose("pilots", () => harvester.removeAll());
  shutdown.onClose("cycle", () => harvester.stop());
  const exitCode = await shutdown.done;
  if (exitCode !== 4) return exitCode;
  throw new HyperpilotError({
    code: "E_UNAUTHENTICATED",
    message: "The server refuses this harvester's token.",
    remedy:
      "Issue a new one: hyperpilot admin tokens issue --role harvester, and put it into the token file.",
  });
}

interface Connection {
  readonly clock: Clock;
  readonly log: Logger;
  readonly token: string;
  readonly harvester: Harvester;
  readonly onRefused: () => void;
}

function connect(options: HarvesterOptions, connection: Connection): Link<FromHarvester> {
  const { clock, log, token, harvester } = connection;
  const identity = {
    harvester: options.name,
    sites: [...options.sites],
    id: harvesterId(options.directory),
    instance: randomUUID(),
    version: VERSION,
    host: hostname(),
  };
  const link: Link<FromHarvester> = openLink<ToHarvester, FromHarvester>({
    url: options.server.replace(/^http/, "ws").replace(/\/$/, "") + HARVESTER_SOCKET_PATH,
    token: () => token,
    caFingerprint: options.caFingerprint,
    clock,
    random: Math.random,
    parse: (value) => ToHarvesterFrame.parse(value),
    onOpen: () => {
      log.info("connected");
      link.send([{ type: "hello", protocol: OUR_RANGE, ...identity }]);
      harvester.onConnected();
    },
    onMessage: (message) => harvester.onMessage(message),
    onClosed: (code, reason) => {
      log.warn("disconnected", { code, reason });
      harvester.onDisconnected();
    },
    onRefused: (httpStatus) => {
      if (httpStatus !== 401 && httpStatus !== 403) return true;
      connection.onRefused();
      return false;
    },
  });
  return link;
}
