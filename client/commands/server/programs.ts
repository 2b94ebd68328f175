/** `hyperpilot server`, `pilot`, `harvester`: from a command line to the program's options. */
import { join, resolve } from "node:path";
import type { ExitCode } from "../../../protocol/errors.ts";
import { EXIT } from "../../../protocol/errors.ts";
import type { Invocation, Run } from "../../command.ts";
import { readAccess } from "../../connection.ts";
import { usageError } from "../../errors.ts";
import { countOption, flagOption, textOption, textsOption } from "../../option-values.ts";

export const runServer: Run = async ({ options, context }) => {
  const absolute = (path: string): string => resolve(context.workingDirectory, path);
  const host = textOption(options, "host");
  const port = countOption(options, "port", 0);
  const certificate = textOption(options, "certificate");
  const key = textOption(options, "key");
  const proxies = textsOption(options, "behindProxy");
  const readOnlyPaths = textsOption(options, "readOnlyPath").map(absolute);
  endWithParent({ options });
  return exitCode(
    await context.programs.server({
      data: absolute(context.dataDirectory),
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(certificate === undefined ? {} : { certificateFile: absolute(certificate) }),
      ...(key === undefined ? {} : { keyFile: absolute(key) }),
      ...(proxies.length === 0 ? {} : { behindProxy: [...proxies] }),
      ...(flagOption(options, "localQueue")
        ? { localQueue: readOnlyPaths.length === 0 ? {} : { readOnlyPaths } }
        : {}),
    }),
  );
};

export const runPilot: Run = async ({ options, context }) => {
  const boot = textOption(options, "boot");
  if (boot === undefined) {
    throw usageError(
      "A pilot needs --boot FILE.",
      "Pilots are started by a harvester, which writes that file: hyperpilot harvester --help",
    );
  }
  return exitCode(
    await context.programs.pilot({ bootFile: resolve(context.workingDirectory, boot) }),
  );
};

export const runHarvester: Run = async ({ options, context }) => {
  const absolute = (path: string): string => resolve(context.workingDirectory, path);
  const data = absolute(context.dataDirectory);
  const tokenFile = textOption(options, "tokenFile");
  const access = tokenFile === undefined ? readAccess(data) : null;
  const server =
    textOption(options, "server") ?? context.environment["HYPERPILOT_SERVER"] ?? access?.server;
  if (server === undefined) {
    throw usageError(
      "It is not known which server the harvester works for.",
      "Write --server https://host:port --tokenFile FILE, or --data DIR of a server on this machine.",
    );
  }
  if (tokenFile === undefined && server !== access?.server) {
    throw usageError(
      `There is no token for ${server}.`,
      "Write --tokenFile FILE; make one with: hyperpilot admin tokens issue NAME --role harvester",
    );
  }
  const sites = textsOption(options, "site");
  const pilotPackage = textOption(options, "pilotPackage");
  const [node = process.execPath, ...selfArgs] = context.selfArgv;
  endWithParent({ options });
  return exitCode(
    await context.programs.harvester({
      server,
      tokenFile: tokenFile === undefined ? join(data, "harvester-token") : absolute(tokenFile),
      directory: absolute(textOption(options, "directory") ?? join(data, "harvester")),
      name: textOption(options, "name") ?? "local",
      sites: sites.length === 0 ? ["local"] : sites,
      caFingerprint: textOption(options, "caFingerprint") ?? access?.caFingerprint ?? null,
      pilotCommand: [node, ...selfArgs, "pilot", "--boot"],
      pilotPackage: pilotPackage === undefined ? null : absolute(pilotPackage),
      stopPilots: flagOption(options, "stopPilots"),
    }),
  );
};

/** A supervisor that was killed cannot end its programs; they notice by the end of the pipe that it held. */
function endWithParent({ options }: Pick<Invocation, "options">): void {
  if (!flagOption(options, "endWithParent")) return;
  const end = (): void => void process.kill(process.pid, "SIGTERM");
  process.stdin.on("end", end);
  process.stdin.on("error", end);
  process.stdin.resume();
  process.stdin.unref();
}

function exitCode(code: number): ExitCode {
  return Object.values(EXIT).find((one) => one === code) ?? EXIT.failed;
}
