/** An orderly end: signals call closers in reverse order of registration, with a deadline. */
import type { Clock, Timer } from "./clock.ts";
import { errorText } from "../protocol/errors.ts";
import type { Logger } from "./log.ts";

export interface Shutdown {
  /** Registers what has to be closed; later ones are closed first. */
  onClose(name: string, close: () => Promise<void> | void): void;
  /** Closes everything once; resolves with the exit code. */
  close(reason: string, exitCode: number, deadlineMs?: number): Promise<number>;
  /** Resolves with the exit code when everything is closed. */
  readonly done: Promise<number>;
}

export interface ShutdownDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly deadlineMs: number;
  /** Signals that close it; by default SIGTERM and SIGINT. */
  readonly signals?: readonly NodeJS.Signals[];
  /** Subscribes to one of them: `process.on` in programs. */
  readonly onSignal: (signal: NodeJS.Signals, listener: () => void) => void;
}

const DEFAULT_SIGNALS = ["SIGTERM", "SIGINT"] as const;

export function createShutdown(deps: ShutdownDeps): Shutdown {
  const closers: { name: string; close: () => Promise<void> | void }[] = [];
  let closing: Promise<number> | null = null;
  let settle: (exitCode: number) => void = () => undefined;
  const done = new Promise<number>((resolve) => {
    settle = resolve;
  });

  async function closeAll(exitCode: number): Promise<number> {
    let result = exitCode;
    for (const { name, close } of closers.reverse()) {
      try {
        await close();
      } catch (error) {
        deps.log.error("closeFailed", { name, error: errorText(error) });
        result = result === 0 ? 1 : result;
      }
    }
    return result;
  }

  async function withDeadline(
    reason: string,
    exitCode: number,
    deadlineMs: number,
  ): Promise<number> {
    deps.log.info("stopping", { reason });
    let timer: Timer | null = null;
    const deadline = new Promise<number>((resolve) => {
      timer = deps.clock.setTimer(deadlineMs, () => {
        deps.log.error("stopDeadline", { seconds: deadlineMs / 1_000 });
        resolve(1);
      });
    });
    const code = await Promise.race([closeAll(exitCode), deadline]);
    // A timer that is left keeps the process alive.
    (timer as Timer | null)?.cancel();
    settle(code);
    return code;
  }

  const close: Shutdown["close"] = (reason, exitCode, deadlineMs = deps.deadlineMs) =>
    (closing ??= withDeadline(reason, exitCode, deadlineMs));
  for (const signal of deps.signals ?? DEFAULT_SIGNALS)
    deps.onSignal(signal, () => void close(signal, 0));
  return { onClose: (name, closer) => void closers.push({ name, close: closer }), close, done };
}
