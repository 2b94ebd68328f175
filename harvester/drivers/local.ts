/** Pilots as processes of this machine: the batch system of `hyperpilot up`. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { startDetached } from "../../common/child.ts";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { BatchDriver, BatchTruth } from "../driver.ts";

export interface LocalDriverOptions {
  /** Starts a pilot when the path of its boot file is appended: [node, main.js, "pilot", "--boot"]. */
  readonly pilotCommand: readonly [string, ...string[]];
  /** Directory of a submission. */
  readonly directoryOf: (submissionId: string) => string;
  readonly clock: Clock;
  /** Environment of this process, from which the pilot's is chosen. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/** A process id alone may be used again by another process: the start time makes it an identity. */
const ProcessFile = z.strictObject({ pid: z.number().int().positive(), startTicks: z.string() });

/** What a pilot may know of this process's environment: nothing that could hold a secret. */
const PASSED_ON = [
  "PATH",
  "LANG",
  "LC_ALL",
  "TMPDIR",
  "CUDA_VISIBLE_DEVICES",
  "HYPERPILOT_SCRATCH",
];

export function createLocalDriver(options: LocalDriverOptions): BatchDriver {
  const processFile = (submissionId: string): string =>
    join(options.directoryOf(submissionId), "process.json");

  function truthOf(submissionId: string): BatchTruth {
    let known: z.infer<typeof ProcessFile>;
    try {
      known = ProcessFile.parse(JSON.parse(readFileSync(processFile(submissionId), "utf8")));
    } catch (error) {
      if (systemErrorCode(error) === "ENOENT")
        return { type: "ended", detail: "was never started" };
      return { type: "unknown", detail: `process.json: ${errorText(error)}` };
    }
    if (startTicksOf(known.pid) === known.startTicks) {
      return { type: "active", phase: "running", detail: `process ${known.pid}` };
    }
    return {
      type: "ended",
      detail: lastLine(join(options.directoryOf(submissionId), "pilot.log")),
    };
  }

  return {
    async submit(request) {
      const environment: Record<string, string> = {};
      for (const name of PASSED_ON) {
        const value = options.environment[name];
        if (value !== undefined) environment[name] = value;
      }
      try {
        const pid = await startDetached([...options.pilotCommand, request.bootFile], {
          outputFile: join(request.directory, "pilot.log"),
          environment,
          cwd: request.directory,
        });
        const startTicks = startTicksOf(pid) ?? "gone";
        writeFileSync(processFile(request.submissionId), JSON.stringify({ pid, startTicks }), {
          mode: 0o600,
        });
        return { batchId: String(pid) };
      } catch (error) {
        throw new HyperpilotError(
          {
            code: "E_RUNTIME",
            message: "A pilot could not be started on this machine.",
            why: errorText(error),
            remedy: "Check that Node is where it was when the harvester started.",
          },
          error,
        );
      }
    },
    statusOf: (ids) => Promise.resolve(new Map(ids.map((id) => [id, truthOf(id)]))),
    async remove(submissionId) {
      if (truthOf(submissionId).type !== "active") return;
      const { pid, startTicks } = ProcessFile.parse(
        JSON.parse(readFileSync(processFile(submissionId), "utf8")),
      );
      signal(pid, "SIGTERM");
      const deadlineMs = options.clock.monotonicMs() + 4 * PILOT.killGraceMs;
      while (startTicksOf(pid) === startTicks) {
        if (options.clock.monotonicMs() > deadlineMs) {
          signal(-pid, "SIGKILL");
          return;
        }
        await options.clock.sleep(50);
      }
    },
    capabilities: () => ({ restartsJobs: false, statusChunk: 10_000 }),
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (systemErrorCode(error) !== "ESRCH") throw error;
  }
}

/** Field 22 of /proc/PID/stat (proc(5)); null when there is no such process or only its zombie. */
function startTicksOf(pid: number): string | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? null : (fields[19] ?? null);
  } catch {
    return null;
  }
}

function lastLine(file: string): string {
  try {
    const lines = readFileSync(file, "utf8").trimEnd().split("\n");
    return (lines.at(-1) ?? "").slice(0, 1_000);
  } catch {
    return "ended without output";
  }
}
