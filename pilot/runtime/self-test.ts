/** A trivial payload, run for real: the only way to know that a runtime works on this node. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { PayloadCommand, PayloadRequest, Runtime, SelfTestResult } from "./runtime.ts";

const EXEC = [
  'test "$(pwd)" = /srv/workDir',
  "touch written",
  "! touch /usr/hyperpilot-self-test 2>/dev/null",
  "while read -r name value; do case $name in CapEff:) echo capabilities=$value;; esac; done </proc/self/status",
].join(" && ");

export interface SelfTestOptions {
  readonly name: string;
  readonly program: string;
  /** What to do where it does not work. */
  readonly remedy: string;
  readonly scratchDirectory: string;
  /** The command for this request with an image of the runtime's own choice; `directory` is private and removed afterwards. */
  command(
    request: Omit<PayloadRequest, "image">,
    directory: string,
  ): PayloadCommand | Promise<PayloadCommand>;
  readonly verdict: Runtime["verdict"];
}

/** Whether a payload gets its work directory, cannot write elsewhere and has no capability. Never throws. */
export async function runSelfTest(options: SelfTestOptions): Promise<SelfTestResult> {
  const { name, program, remedy } = options;
  const directory = mkdtempSync(join(options.scratchDirectory, "self-test-"));
  const run = promisify(execFile);
  const limits = {
    timeout: PILOT.runtimeProbeTimeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: PILOT.inlineLogBytesMax,
  } as const;
  try {
    const workDirectory = join(directory, "work");
    const temporaryDirectory = join(directory, "tmp");
    mkdirSync(workDirectory);
    mkdirSync(temporaryDirectory);
    const version = (await run(program, ["--version"], limits)).stdout.trim();
    const environment = { PATH: "/usr/bin:/bin" };
    const built = await options.command(
      { workDirectory, temporaryDirectory, exec: EXEC, environment, readOnlyPaths: [], gpus: [] },
      directory,
    );
    // Descriptor 3 is a file for the spawner; execFile has only three, so the shell gives it one.
    const status = join(directory, "status");
    const wrapped = ["-c", 'exec "$@" 3>"$0"', status, ...built.argv];
    const env = { ...built.environment };
    const { stdout } = await run("/bin/sh", wrapped, { ...limits, cwd: workDirectory, env });
    readFileSync(join(workDirectory, "written"));
    if (!/^capabilities=0+$/m.test(stdout))
      return { works: false, reason: `${name} leaves capabilities: ${stdout.trim()}` };
    const statusText = readFileSync(status, "utf8");
    const verdict = options.verdict({ exitCode: 0, outputTail: stdout, statusText });
    if (verdict.type === "runtimeFailed") return { works: false, reason: verdict.message };
    return { works: true, version: version.replace(/^\S+ (version )?/, "") };
  } catch (error) {
    const why = error instanceof HyperpilotError ? `: ${error.why ?? ""}` : "";
    const reason = `${name} failed its self-test: ${errorText(error)}${why}; ${remedy}`;
    return { works: false, reason };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
