/** What the commands are given by the process that they run in. */
import { homedir } from "node:os";
import { isatty } from "node:tty";
import { EXIT } from "../protocol/errors.ts";
import type { Programs } from "./programs.ts";
import type { World } from "./run.ts";

export function processWorld(programs: Programs): World {
  const [node = process.execPath, script = "", ...words] = process.argv;
  return {
    words,
    environment: process.env,
    workingDirectory: process.cwd(),
    homeDirectory: homedir(),
    // With the loader of the sources, where they run without having been built.
    selfArgv: [node, ...process.execArgv, script],
    isInputTty: isatty(0),
    stdout: process.stdout,
    stderr: process.stderr,
    programs,
    onInterrupt(listener) {
      process.once("SIGINT", listener);
      return () => void process.removeListener("SIGINT", listener);
    },
  };
}

/** Ends with the exit code once it is there. A process that ends without it has forgotten to wait for something: that is a failure. */
export function endProcessWith(exitCode: Promise<number>): void {
  process.exitCode = EXIT.failed;
  void exitCode.then((code) => {
    process.exitCode = code;
  });
}

/** A reader that has read enough, such as head, is no error; nor is a terminal that was closed. */
export function endQuietlyOnClosedPipe(): void {
  const end = (error: NodeJS.ErrnoException): void => {
    if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
    // Who listens for signals has something to end in order, programs of `up` for example.
    if (process.listenerCount("SIGTERM") === 0) process.exit(0);
    process.kill(process.pid, "SIGTERM");
  };
  process.stdout.on("error", end);
  process.stderr.on("error", end);
}
