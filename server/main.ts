/** The server as a process: options, signals, exit codes. */
import { availableParallelism, totalmem, userInfo } from "node:os";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { systemClock } from "../common/clock.ts";
import { jsonLineLogger, type Logger } from "../common/log.ts";
import { createShutdown } from "../common/shutdown.ts";
import { readServerConfig, type ServerOptionsInput } from "./config.ts";
import { startServer } from "./program.ts";
import type { Machine } from "./queues/local-queue.ts";

const SHUTDOWN_DEADLINE_MS = 10_000;
const CLOSED_GRACE_MS = 1_000;

/**
 * Runs a server until SIGTERM or SIGINT; resolves with the exit code. Errors of the start are thrown: E_CONFIG, E_JOURNAL_*.
 * A journal that fails later ends the process at once with exit code 1, because nothing after it would be certain.
 */
export async function runServer(options: ServerOptionsInput, log?: Logger): Promise<number> {
  const logger =
    log ?? jsonLineLogger(process.stderr, { program: "server" }, () => systemClock.wallMs());
  const config = readServerConfig(options);
  const onFatal = (error: HyperpilotError): void => endProcess(logger, error);
  process.on("uncaughtException", (error) => {
    endProcess(logger, asFatal(error));
  });
  const shutdown = createShutdown({
    clock: systemClock,
    log: logger,
    deadlineMs: SHUTDOWN_DEADLINE_MS,
    onSignal: (signal, listener) => void process.on(signal, listener),
  });
  const ports = { clock: systemClock, log: logger, machine: thisMachine(), user: userName() };
  const server = await startServer(config, { ...ports, onFatal });
  shutdown.onClose("server", () => server.close());
  const exitCode = await shutdown.done;
  // Whatever could not be closed in time must not keep the process.
  setTimeout(() => process.exit(exitCode), CLOSED_GRACE_MS).unref();
  return exitCode;
}

/** Fail-stop: says why and what to do, then ends without closing anything, so that nothing more is answered. */
function endProcess(log: Logger, error: HyperpilotError): never {
  const { code, message, why = "unknown", remedy = "Look at the log." } = error;
  log.error("fatal", { code, message, why, remedy });
  process.stderr.write(`error[${code}]: ${message}\n  why: ${why}\n  do:  ${remedy}\n`);
  process.exit(1);
}

function asFatal(error: unknown): HyperpilotError {
  if (error instanceof HyperpilotError) return error;
  return new HyperpilotError(
    {
      code: "E_INTERNAL",
      message: "The server met a fault of its own and stops.",
      why: error instanceof Error ? (error.stack ?? error.message) : errorText(error),
      remedy: "Start it again: everything that was accepted is on disk. Report the lines above.",
    },
    error,
  );
}

/** CPUs and memory that this process may use, not all that the machine has. */
function thisMachine(): Machine {
  const constrained = process.constrainedMemory();
  const memoryBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem();
  return { cores: availableParallelism(), memoryBytes };
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without a name, as in some containers.
    return "local";
  }
}
