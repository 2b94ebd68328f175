/** The built server as a process of its own, in a temporary data directory, for benchmarks. */
import { readFileSync, rmSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Deployment } from "../../test/support/deployment.ts";

export interface ServerUnderTest {
  readonly deployment: Deployment;
  readonly harvesterToken: string;
  /** CPU seconds used so far by the server's process. */
  cpuSeconds(): number;
  remove(): Promise<void>;
}

/** Starts the server; `withPilots` also starts a harvester, which starts real pilots. */
export async function startServerUnderTest(options: {
  readonly withPilots: boolean;
}): Promise<ServerUnderTest> {
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-bench-"));
  const deployment = new Deployment({ directory });
  if (options.withPilots) await deployment.start();
  else await deployment.startServer();
  return {
    deployment,
    harvesterToken: readFileSync(join(deployment.data, "harvester-token"), "utf8").trim(),
    cpuSeconds: () => cpuSecondsOf(deployment.serverPid),
    async remove() {
      await deployment.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** User and system time, fields 14 and 15 of /proc/PID/stat in ticks of 10 ms (proc(5)). */
export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** The value below which the given share of the samples lies. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
