/** An orderly end: signals call closers in reverse order of registration, with a deadline. */
import type { Clock, Timer } from "./clock.ts";
import { errorText } from "../protocol/errors.ts";
import type { Logger } from "./log.ts";

export interface Shutdown {
  /** Registers what has to be closed; later ones are closed first. */
  onClose(name: string, close: () => Promise<void> | void): void;
  /** Closes everything once; resolves with the exit code. */
  close(reason: string, exitCode: number): Promise<number>;
  /** Resolves with the exit code when everything is closed. */
  readonly done: Promise<number>;
}

export interface ShutdownDeps {
  readonly clock: Clock;
  readonly log: Logger;
  readonly deadlineMs: number;
  /** Subscribes to SIGTERM and SIGINT: `process.on` in programs. */
  readonly onSignal: (signal: "SIGTERM" | "SIGINT", listener: () => void) => void;
}

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

  async function withDeadline(reason: string, exitCode: number): Promise<number> {
    deps.log.info("stopping", { reason });
    let timer: Timer | null = null;
    const deadline = new Promise<number>((resolve) => {
      timer = deps.clock.setTimer(deps.deadlineMs, () => {
        deps.log.error("stopDeadline", { seconds: deps.deadlineMs / 1_000 });
        resolve(1);
      });
    });
    const code = await Promise.race([closeAll(exitCode), deadline]);
    // A timer that is left keeps the process alive.
    (timer as Timer | null)?.cancel();
    settle(code);
    return code;
  }

  const close = (reason: string, exitCode: number): Promise<number> =>
    (closing ??= withDeadline(reason, exitCode));
  deps.onSignal("SIGTERM", () => void close("SIGTERM", 0));
  deps.onSignal("SIGINT", () => void close("SIGINT", 0));
  return { onClose: (name, closer) => void closers.push({ name, close: closer }), close, done };
}
