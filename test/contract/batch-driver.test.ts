/** The contract of drivers: pilots of this machine, and every batch system by fake commands. Real systems: test/system/batch-systems. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { BatchDriver } from "../../harvester/driver.ts";
import { createDriver } from "../../harvester/drivers/create.ts";
import { commandLaunch } from "../../harvester/launch.ts";
import { Batch } from "../../protocol/batch.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { fakeBatch, type FakeKind } from "../support/fake-batch.ts";
import { localPilots } from "../support/local-pilots.ts";
import { noLocalDriver } from "../support/no-local-driver.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { describeBatchDriver, type BatchDriverBench } from "./suites/batch-driver-suite.ts";

describeBatchDriver("local", () => Promise.resolve(localPilots()));

const SECRET = "a-boot-secret-that-nobody-else-may-see";
/** Stays until the file beside its boot file is there. */
const STAYING = 'while [ ! -e "$1.end" ]; do sleep 0.05; done';

const SYSTEMS: readonly {
  readonly name: string;
  readonly batch: object;
  readonly kind: FakeKind;
}[] = [
  { name: "slurm", kind: "slurm", batch: { kind: "slurm", partition: "short" } },
  { name: "htcondor", kind: "htcondor", batch: { kind: "htcondor" } },
  { name: "gridengine", kind: "gridengine", batch: { kind: "gridengine", queue: "all.q" } },
  { name: "openpbs", kind: "pbs", batch: { kind: "pbs", queue: "workq" } },
  { name: "torque", kind: "pbs", batch: { kind: "pbs", flavour: "torque" } },
  { name: "lsf", kind: "lsf", batch: { kind: "lsf", queue: "normal" } },
  { name: "kubernetes", kind: "kubernetes", batch: { kind: "kubernetes", image: "pilot:1" } },
];

for (const system of SYSTEMS) {
  let current: FakeBench;
  describeBatchDriver(`${system.name} by fake commands`, () => {
    current = new FakeBench(system.kind, system.batch);
    return Promise.resolve(current);
  });

  describe(`what ${system.name} is given`, () => {
    beforeEach(() => {
      current = new FakeBench(system.kind, system.batch);
    });
    afterEach(() => current.close());

    it("holds the boot secret nowhere but in the boot file", async () => {
      await current.driver.submit(current.request("sub-1"));
      const holders = current.filesWith(SECRET).filter((file) => !file.includes("/jobs/s"));
      assert.deepEqual(holders, [join(current.root, "sub-1", "boot.json")]);
    });

    it("says that the command failed, in its own words, which is no end of a job", async () => {
      await current.driver.submit(current.request("sub-1"));
      current.batch.setBroken(true);
      const truth = (await current.driver.statusOf(["sub-1"])).get("sub-1");
      assert.equal(truth?.type, "commandFailed");
      assert.match(truth.detail, /cannot connect to server/);
      await assert.rejects(current.driver.submit(current.request("sub-2")), { code: "E_BATCH" });
      current.batch.setBroken(false);
    });
  });
}

class FakeBench implements BatchDriverBench {
  readonly batch: ReturnType<typeof fakeBatch>;
  readonly driver: BatchDriver;
  readonly root: string;
  readonly #directory: TemporaryDirectory = temporaryDirectory();
  readonly #config: Batch;
  readonly #job: string;

  constructor(kind: FakeKind, config: object) {
    this.root = join(this.#directory.path, "submissions");
    mkdirSync(this.root);
    this.#job = join(this.#directory.path, "start.sh");
    writeFileSync(this.#job, STAYING);
    this.batch = fakeBatch(kind, this.#directory.path);
    const pilotDirectory = kind === "kubernetes" ? { pilotDirectory: this.#directory.path } : {};
    const commandDirectory = this.batch.commands;
    this.#config = Batch.parse({ ...config, ...pilotDirectory, commandDirectory });
    this.driver = this.restarted();
  }

  restarted(): BatchDriver {
    const launch = commandLaunch(["/bin/sh", this.#job]);
    return createDriver(this.#config, { environment: process.env, launch, local: noLocalDriver });
  }

  request(submissionId: string) {
    const directory = join(this.root, submissionId);
    mkdirSync(directory, { recursive: true });
    const bootFile = join(directory, "boot.json");
    writeFileSync(bootFile, JSON.stringify({ secret: SECRET }), { mode: 0o600 });
    const queue = QueueConfig.parse({ name: "fake", batch: this.#config });
    return { queue, submissionId, directory, bootFile };
  }

  end(submissionId: string): void {
    const pod = join(this.#directory.path, "jobs", `scratch-hyperpilot-${submissionId}`);
    const directory = existsSync(pod) ? pod : join(this.root, submissionId);
    writeFileSync(join(directory, "boot.json.end"), "");
  }

  filesWith(text: string): string[] {
    return readdirSync(this.#directory.path, { recursive: true, encoding: "utf8" })
      .map((name) => join(this.#directory.path, name))
      .filter((file) => isFileWith(file, text));
  }

  async close(): Promise<void> {
    this.batch.setBroken(false);
    for (const id of readdirSync(this.root)) this.end(id);
    for (const id of readdirSync(this.root)) await this.driver.remove(id);
    await this.#directory.remove();
  }
}

function isFileWith(file: string, text: string): boolean {
  try {
    return existsSync(file) && readFileSync(file, "utf8").includes(text);
  } catch {
    return false;
  }
}
