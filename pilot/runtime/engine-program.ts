/** Calls of a container engine's program, each in a short process of its own. */
import { type ProgramResult, runProgram } from "../../common/child.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { EngineDialect } from "./engine-dialect.ts";
import { wordsOf } from "./program-words.ts";
import type { Environment } from "./runtime.ts";

/** What an engine's program finds its configuration, its store and its daemon with; no variable of a payload. */
const PASSED_ON = [
  "HOME",
  "USER",
  "LOGNAME",
  "XDG_RUNTIME_DIR",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "DBUS_SESSION_BUS_ADDRESS",
  "DOCKER_HOST",
  "DOCKER_CONTEXT",
  "CONTAINERS_CONF",
  "CONTAINERS_STORAGE_CONF",
  "CONTAINERS_REGISTRIES_CONF",
];
const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface EngineCall {
  readonly timeoutMs?: number;
  readonly environment?: Environment;
  /** Options before the verb, besides the program's own. */
  readonly globalOptions?: readonly string[];
  readonly signal?: AbortSignal;
}

export interface EngineProgram {
  /** Path and options before the verb. */
  readonly argv: readonly string[];
  readonly environment: Environment;
  readonly removeOptions: readonly string[];
  readonly dialect: EngineDialect;
  /** Never rejects. */
  run(args: readonly string[], call?: EngineCall): Promise<ProgramResult>;
  /** Its output. Errors: E_RUNTIME with the program's own words. */
  runOrThrow(args: readonly string[], call?: EngineCall): Promise<string>;
  /** Makes a tar archive of a directory. Errors: E_RUNTIME. */
  pack(directory: string, archive: string): Promise<void>;
}

export function createEngineProgram(options: {
  readonly path: string;
  readonly globalOptions: readonly string[];
  readonly dialect: EngineDialect;
}): EngineProgram {
  const { path, globalOptions, dialect } = options;
  const environment = ownEnvironment();

  const run: EngineProgram["run"] = (args, call = {}) =>
    runProgram([path, ...globalOptions, ...(call.globalOptions ?? []), ...args], {
      timeoutMs: call.timeoutMs ?? PILOT.runtimeProbeTimeoutMs,
      environment: { ...environment, ...call.environment },
      outputBytesMax: PILOT.engineOutputBytesMax,
      ...(call.signal === undefined ? {} : { signal: call.signal }),
    });

  return {
    argv: [path, ...globalOptions],
    environment,
    removeOptions: dialect.removeOptions,
    dialect,
    run,
    runOrThrow: async (args, call) => {
      const result = await run(args, call);
      if (result.exitCode === 0) return result.stdout;
      throw failure(`${dialect.name} ${args[0] ?? ""}`, result, dialect.remedy);
    },
    pack: async (directory, archive) => {
      const argv = ["tar", "-C", directory, "-cf", archive, "."] as const;
      const result = await runProgram(argv, { timeoutMs: PILOT.runtimeProbeTimeoutMs });
      if (result.exitCode !== 0) throw failure("tar", result, "install tar");
    },
  };
}

function failure(what: string, result: ProgramResult, remedy: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_RUNTIME",
    message: `${what} failed`,
    why: wordsOf(result),
    remedy,
  });
}

function ownEnvironment(): Environment {
  const environment: Record<string, string> = { PATH };
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
