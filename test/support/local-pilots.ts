/** The local driver with a shell script in place of pilots. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock, type Clock } from "../../common/clock.ts";
import type { SubmitRequest } from "../../harvester/driver.ts";
import { createLocalDriver } from "../../harvester/drivers/local.ts";
import type { BatchDriverBench } from "../contract/suites/batch-driver-suite.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/** Says who it is, then stays until it is told to end. $1 is the boot file. */
const OBEDIENT = `trap 'echo told to end; exit 0' TERM
env > environment
echo started
while [ ! -e end ]; do sleep 0.02; done
echo ended by itself
`;

/** Ends by SIGKILL only. */
export const STUBBORN = OBEDIENT.replace("'echo told to end; exit 0'", "''");

export interface LocalPilots extends BatchDriverBench {
  readonly directory: string;
  readonly pilotCommand: readonly [string, ...string[]];
  directoryOf(submissionId: string): string;
}

export interface LocalPilotsOptions {
  readonly script?: string;
  readonly clock?: Clock;
  readonly environment?: Readonly<Record<string, string>>;
}

export function localPilots(options: LocalPilotsOptions = {}): LocalPilots {
  const directory = temporaryDirectory();
  const script = join(directory.path, "pilot.sh");
  writeFileSync(script, options.script ?? OBEDIENT);
  const pilotCommand = ["/bin/sh", script] as const;
  const submitted: string[] = [];
  const directoryOf = (submissionId: string): string => join(directory.path, submissionId);
  const restarted = () =>
    createLocalDriver({
      pilotCommand,
      directoryOf,
      clock: options.clock ?? systemClock,
      environment: { PATH: process.env["PATH"], ...options.environment },
    });
  const end = (submissionId: string): void =>
    writeFileSync(join(directoryOf(submissionId), "end"), "");
  return {
    driver: restarted(),
    directory: directory.path,
    pilotCommand,
    directoryOf,
    restarted,
    end,
    request(submissionId): SubmitRequest {
      submitted.push(submissionId);
      mkdirSync(directoryOf(submissionId), { mode: 0o700 });
      const bootFile = join(directoryOf(submissionId), "boot.json");
      writeFileSync(bootFile, "{}", { mode: 0o600 });
      const queue = QueueConfig.parse({ name: "q" });
      return { queue, submissionId, directory: directoryOf(submissionId), bootFile };
    },
    async close() {
      for (const id of submitted) end(id);
      await Promise.all(submitted.map((id) => restarted().remove(id)));
      await directory.remove();
    },
  };
}
