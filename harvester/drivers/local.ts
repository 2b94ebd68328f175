/** Pilots as processes of this machine: the batch system of `hyperpilot up`. */
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { startDetached } from "../../common/child.ts";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError, errorText, systemErrorCode } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { BatchDriver, BatchTruth } from "../driver.ts";
import { BOOT_FILE } from "../submissions.ts";
import { capLog, lastLine } from "./pilot-log.ts";
import { sessionLeaderWith, signal, startTicksOf, type ProcessIdentity } from "./processes.ts";

export interface LocalDriverOptions {
  /** Starts a pilot when the path of its boot file is appended: [node, main.js, "pilot", "--boot"]. */
  readonly pilotCommand: readonly [string, ...string[]];
  /** Directory of a submission. */
  readonly directoryOf: (submissionId: string) => string;
  readonly clock: Clock;
  /** Environment of this process, from which the pilot's is chosen. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const ProcessFile = z.strictObject({ pid: z.number().int().positive(), startTicks: z.string() });

/** What a pilot may know of this process's environment: nothing that could hold a secret. */
const PASSED_ON = [
  "PATH",
  "LANG",
  "LC_ALL",
  "TMPDIR",
  "CUDA_VISIBLE_DEVICES",
  "HYPERPILOT_SCRATCH",
  "HYPERPILOT_IMAGE_CACHE",
  "HOME",
  "XDG_RUNTIME_DIR",
];

export function createLocalDriver(options: LocalDriverOptions): BatchDriver {
  const notes = processNotes(options.directoryOf);

  function truthOf(submissionId: string): BatchTruth {
    try {
      const identity = notes.identityOf(submissionId);
      if (identity === null) return { type: "ended", detail: "was never started" };
      const log = notes.fileOf(submissionId, "pilot.log");
      if (!isAlive(identity)) return { type: "ended", detail: lastLine(log) };
      capLog(log);
      return { type: "active", phase: "running", detail: `process ${identity.pid}` };
    } catch (error) {
      return { type: "unknown", detail: errorText(error) };
    }
  }

  async function isGoneWithin(identity: ProcessIdentity, ms: number): Promise<boolean> {
    const deadlineMs = options.clock.monotonicMs() + ms;
    while (isAlive(identity)) {
      if (options.clock.monotonicMs() > deadlineMs) return false;
      await options.clock.sleep(50);
    }
    return true;
  }

  return {
    async submit(request) {
      try {
        const pid = await startDetached([...options.pilotCommand, request.bootFile], {
          outputFile: join(request.directory, "pilot.log"),
          environment: passedOn(options.environment),
          cwd: request.directory,
        });
        notes.note(request.submissionId, { pid, startTicks: startTicksOf(pid) ?? "gone" });
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
      const identity = notes.identityOf(submissionId);
      if (identity === null || !isAlive(identity)) return;
      signal(identity.pid, "SIGTERM");
      if (await isGoneWithin(identity, PILOT.stopDeadlineMs + PILOT.killGraceMs)) return;
      signal(-identity.pid, "SIGKILL");
      await isGoneWithin(identity, PILOT.killedGoneMs);
    },
    capabilities: () => ({ restartsJobs: false, statusChunk: 10_000 }),
  };
}

function isAlive({ pid, startTicks }: ProcessIdentity): boolean {
  return startTicksOf(pid) === startTicks;
}

interface ProcessNotes {
  fileOf(submissionId: string, name: string): string;
  note(submissionId: string, identity: ProcessIdentity): void;
  identityOf(submissionId: string): ProcessIdentity | null;
}

/** Which process a submission became, kept in its directory. */
function processNotes(directoryOf: (submissionId: string) => string): ProcessNotes {
  const fileOf = (submissionId: string, name: string): string =>
    join(directoryOf(submissionId), name);

  function note(submissionId: string, identity: ProcessIdentity): void {
    const file = fileOf(submissionId, "process.json");
    writeFileSync(`${file}.new`, JSON.stringify(identity), { mode: 0o600, flush: true });
    renameSync(`${file}.new`, file);
  }

  /** Without a file the harvester may have ended between starting the pilot and noting it: the process table knows. */
  function identityOf(submissionId: string): ProcessIdentity | null {
    try {
      return ProcessFile.parse(
        JSON.parse(readFileSync(fileOf(submissionId, "process.json"), "utf8")),
      );
    } catch (error) {
      if (systemErrorCode(error) !== "ENOENT") throw error;
    }
    const found = sessionLeaderWith(fileOf(submissionId, BOOT_FILE));
    if (found !== null) note(submissionId, found);
    return found;
  }

  return { fileOf, note, identityOf };
}

function passedOn(from: LocalDriverOptions["environment"]): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of PASSED_ON) {
    const value = from[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
