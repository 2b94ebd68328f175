/** The drivers' contract on real batch systems, each in a site of its own. */
import { chownSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Batch } from "../../protocol/batch.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { createDriver } from "../../harvester/drivers/create.ts";
import type { BatchDriver } from "../../harvester/driver.ts";
import { commandLaunch } from "../../harvester/launch.ts";
import {
  describeBatchDriver,
  type BatchDriverBench,
} from "../contract/suites/batch-driver-suite.ts";
import { requireSites, Site, SITE_USER, type SiteOptions } from "../support/site.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { noLocalDriver } from "../support/no-local-driver.ts";

const COMMANDS = {
  slurm: ["sbatch", "squeue", "scancel"],
  htcondor: ["condor_submit", "condor_q", "condor_history", "condor_rm"],
  gridengine: ["qsub", "qstat", "qdel"],
} as const;

const CONFIGURED = {
  slurm: { kind: "slurm", partition: "batch" },
  htcondor: { kind: "htcondor" },
  gridengine: { kind: "gridengine", queue: "batch", parallelEnvironment: "smp" },
} as const;

/** Stays until the file is there that the boot file names, which is the script's argument. */
const STAYING = 'end=$(cat "$1") && while [ ! -e "$end" ]; do sleep 0.2; done';

for (const [index, system] of (["slurm", "htcondor", "gridengine"] as const).entries()) {
  describe(`real ${system}`, function () {
    this.timeout(180_000);
    // Not in /tmp: HTCondor gives each job a /tmp of its own.
    const directory = temporaryDirectory("/srv");
    const site = new Site(siteOptions(system, index, directory.path));

    before(async function () {
      requireSites(this);
      await site.start();
    });
    after(async () => {
      await site.close();
      await directory.remove();
    });

    describeBatchDriver(system, () => Promise.resolve(bench(site, system, directory.path)));
  });
}

function siteOptions(system: keyof typeof COMMANDS, index: number, directory: string): SiteOptions {
  const shared = join(directory, "shared");
  mkdirSync(shared, { recursive: true });
  return {
    name: `drv${index}`,
    index: 101 + index,
    batchSystem: system,
    directory: join(directory, "site"),
    shared: [shared],
  };
}

function bench(site: Site, system: keyof typeof COMMANDS, directory: string): BatchDriverBench {
  const root = join(directory, "shared");
  const job = join(root, "job.sh");
  writeFileSync(job, STAYING, { mode: 0o755 });
  const batch = Batch.parse({
    ...CONFIGURED[system],
    commandDirectory: site.commandDirectory(COMMANDS[system], root),
  });
  const queue = QueueConfig.parse({ name: "real", batch, slot: { memoryMiB: 100 } });
  const launch = commandLaunch(["/bin/sh", job]);
  const make = (): BatchDriver =>
    createDriver(batch, { environment: process.env, launch, local: noLocalDriver });
  const driver = make();
  const submitted = new Set<string>();
  return {
    driver,
    restarted: make,
    request: (id: string) => {
      submitted.add(id);
      const own = join(root, id);
      mkdirSync(own, { recursive: true });
      chownSync(own, SITE_USER, SITE_USER);
      const bootFile = join(own, "boot.json");
      writeFileSync(bootFile, join(own, "end"), { mode: 0o600 });
      chownSync(bootFile, SITE_USER, SITE_USER);
      return { queue, submissionId: id, directory: own, bootFile };
    },
    end: (id: string) => writeFileSync(join(root, id, "end"), ""),
    close: async () => {
      for (const id of submitted) await driver.remove(id).catch(() => undefined);
    },
  };
}
