/** One search over a Slurm site and an HTCondor site, each with its own operating system, address and container runtime. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { chmodSync, chownSync, cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";
import { makeCertificate } from "../support/certificate.ts";
import { Deployment, LOSS_IS_X, PROGRAM } from "../support/deployment.ts";
import { unpackPilot } from "../support/packed-pilot.ts";
import { requireSites, Site, SITE_USER } from "../support/site.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

const REPOSITORY = dirname(dirname(dirname(PROGRAM)));
const POINTS = 40;

interface BatchSite {
  readonly site: Site;
  readonly queue: string;
  harvester: ChildProcess | null;
}

describe("two real sites", function () {
  this.timeout(420_000);
  // HTCondor gives each job a /tmp of its own.
  const directory = temporaryDirectory("/srv");
  const shared = join(directory.path, "shared");
  const closers: (() => Promise<unknown>)[] = [];
  let deployment: Deployment;
  let slurm: BatchSite;
  let htcondor: BatchSite;

  before(async function () {
    requireSites(this);
    chmodSync(directory.path, 0o755);
    mkdirSync(shared);
    cpSync(testbed.imageDirectory, join(shared, "image"), { recursive: true });
    unpackPilot(join(shared, "pilot"));
    slurm = makeSite("slurm", "twoA", 111);
    htcondor = makeSite("htcondor", "twoB", 112);
    await Promise.all([slurm.site.start(), htcondor.site.start()]);
    const addresses = [slurm.site.outsideAddress, htcondor.site.outsideAddress];
    deployment = new Deployment({
      directory: directory.path,
      serverArguments: [],
      certificate: await makeCertificate(directory.path, addresses),
    });
    closers.unshift(() => deployment.stop());
    await deployment.startServer();
    for (const one of [slurm, htcondor]) {
      await addQueue(one);
      await startHarvester(one);
    }
  });

  after(async () => {
    for (const close of closers.reverse()) await close();
    await directory.remove();
  });

  function makeSite(batchSystem: "slurm" | "htcondor", name: string, index: number): BatchSite {
    const state = join(directory.path, name);
    const site = new Site({
      name,
      index,
      batchSystem,
      directory: state,
      shared: [shared, REPOSITORY],
    });
    closers.push(() => site.close());
    return { site, queue: `${batchSystem}-queue`, harvester: null };
  }

  function addQueue({ queue }: BatchSite): Promise<unknown> {
    const isSlurm = queue.startsWith("slurm");
    const batch = isSlurm
      ? { kind: "slurm", partition: "batch", pollSeconds: 2 }
      : { kind: "htcondor", pollSeconds: 2, submitLines: ["job_lease_duration = 30"] };
    return deployment.request("PUT", `/queues/${queue}`, {
      name: queue,
      site: queue,
      batch,
      slot: { cpus: 1, memoryMiB: 256, walltimeSeconds: 3_600 },
      limits: { maxPilots: 3, maxQueued: 3, maxSlotsPerPilot: 1 },
      runtime: "apptainer",
      readOnlyPaths: [shared],
      idleSeconds: 5,
      leaseSeconds: 15,
      pilot: { noticeSeconds: 8, scratchDirectory: "/tmp" },
    });
  }

  async function startHarvester(one: BatchSite): Promise<void> {
    const own = join(shared, `harvester-${one.queue}`);
    mkdirSync(own, { recursive: true });
    const tokenFile = join(own, "token");
    const { token } = await deployment.request<{ token: string }>("POST", "/tokens", {
      name: one.queue,
      user: one.queue,
      roles: ["harvester"],
    });
    writeFileSync(tokenFile, token, { mode: 0o600 });
    for (const path of [own, tokenFile]) chownSync(path, SITE_USER, SITE_USER);
    const server = `https://${one.site.outsideAddress}:${new URL(deployment.address).port}`;
    const words = ["harvester", "--server", server, "--tokenFile", tokenFile];
    const options = ["--directory", own, "--name", one.queue, "--site", one.queue];
    options.push("--pilotPackage", join(shared, "pilot"));
    one.harvester = one.site.spawn(
      ["node", PROGRAM, ...words, ...options, "--caFingerprint", deployment.fingerprint],
      SITE_USER,
    );
    one.harvester.stderr?.on("data", (chunk: Buffer) => deployment.errors.push(chunk.toString()));
  }

  async function doneOn(taskId: number, queue: string): Promise<number> {
    const { items } = await deployment.request<{ items: { state: string; node: string }[] }>(
      "GET",
      `/tasks/${taskId}/points?limit=1000`,
    );
    const node = queue === slurm.queue ? "twoA" : "twoB";
    return items.filter((point) => point.state === "done" && point.node.includes(node)).length;
  }

  it("end a search with losses from both, through requeue, vacate and the loss of a whole site, and nothing is lost", async () => {
    const taskId = await deployment.submit(
      {
        evaluation: { container: join(shared, "image"), exec: `sleep 2; ${LOSS_IS_X}` },
      },
      { maxPoints: POINTS, nParallelEvaluation: 6 },
    );
    let queues: unknown = null;
    for (const { queue } of [slurm, htcondor]) {
      await waitUntil(
        `a loss from ${queue}`,
        async () => {
          queues = await deployment.request("GET", "/queues");
          return (await doneOn(taskId, queue)) > 0;
        },
        { timeoutMs: 120_000, intervalMs: 500, state: () => queues },
      );
    }
    await slurm.site.run([
      "sh",
      "-c",
      "scontrol requeue $(squeue -h -t running -o %i | head -n 1)",
    ]);
    await htcondor.site.run([
      "sh",
      "-c",
      "condor_vacate_job $(condor_q -all -run -af:j ClusterId | awk 'NR == 1 { print $1 }')",
    ]);
    const doneBefore = (await deployment.task(taskId)).points.done;
    await waitUntil(
      "the search goes on",
      async () => (await deployment.task(taskId)).points.done >= doneBefore + 4,
      { timeoutMs: 120_000, intervalMs: 500 },
    );
    await slurm.site.lose();
    await waitUntil(
      "the search goes on at the other site",
      async () => (await doneOn(taskId, htcondor.queue)) >= 8,
      { timeoutMs: 120_000, intervalMs: 500 },
    );
    await slurm.site.start();
    await startHarvester(slurm);
    const task = await deployment.untilEnded(taskId, 240_000);
    assert.equal(task.state, "finished");
    assert.equal(task.points.done, POINTS);
    const events = await deployment.journalAfterStop();
    assertOneLossEach(events);
    assert.equal(attempts(events).length, POINTS, "no interruption used an attempt");
  });
});

function attempts(events: readonly HyperpilotEvent[]): EventOf<"attemptEnded">[] {
  return events.filter((event) => event.type === "attemptEnded");
}

function assertOneLossEach(events: readonly HyperpilotEvent[]): void {
  const finals = events.filter((event) => event.type === "pointFinal");
  assert.equal(new Set(finals.map((event) => event.pointId)).size, finals.length);
}
