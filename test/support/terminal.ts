/** A program in a terminal of its own: what a person types and sees. */
import { spawn, type ChildProcess } from "node:child_process";
import { waitUntil } from "./wait-until.ts";

/** Copies between the pipes of this process and a new terminal of 24 lines and 100 columns, which the program gets. */
const DRIVER = `
import fcntl, os, pty, select, struct, sys, termios
child, terminal = pty.fork()
if child == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
inputs = [0, terminal]
while True:
    for ready in select.select(inputs, [], [])[0]:
        try:
            data = os.read(ready, 65536)
        except OSError:
            data = b""
        if ready == terminal and data == b"":
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 255)
        if ready == 0 and data == b"":
            inputs.remove(0)
        os.write(terminal if ready == 0 else 1, data)
`;
const LIMIT_MS = 90_000;

export interface Terminal {
  readonly child: ChildProcess;
  /** All that was written so far, cursor movements included. */
  screen(): string;
  type(text: string): void;
  /** Waits for a text that comes after all that was seen by the last call. */
  see(pattern: RegExp, timeoutMs?: number): Promise<void>;
  readonly ended: Promise<number | null>;
}

export function openTerminal(
  argv: readonly string[],
  options: { readonly cwd: string; readonly environment: Readonly<Record<string, string>> },
): Terminal {
  const child = spawn("python3", ["-c", DRIVER, ...argv], {
    stdio: ["pipe", "pipe", "inherit"],
    cwd: options.cwd,
    env: { PATH: process.env["PATH"], LANG: "C.UTF-8", TERM: "xterm", ...options.environment },
    timeout: LIMIT_MS,
    killSignal: "SIGKILL",
  });
  let text = "";
  let seen = 0;
  child.stdout.setEncoding("utf8").on("data", (part: string) => (text += part));
  child.stdin.on("error", () => undefined);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (exitCode) => resolve(exitCode));
  });
  return {
    child,
    screen: () => text,
    type: (words) => void child.stdin.write(words),
    async see(pattern, timeoutMs = 20_000) {
      await waitUntil(
        `the terminal shows ${String(pattern)}`,
        () => {
          const match = pattern.exec(text.slice(seen));
          if (match === null) return false;
          seen += match.index + match[0].length;
          return true;
        },
        { timeoutMs, state: () => text.slice(-2_000) },
      );
    },
    ended,
  };
}
