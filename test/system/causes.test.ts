/**
 * Causes of "nothing runs", each produced for real, and what `site why` and `task why` say: the right one, and a wrong one at no
 * moment on the way. The tables below are the list of causes.
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  mkdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import type { QueueConfig } from "../../protocol/queue.ts";
import { CauseRig, endChild, type SearchChange } from "../support/cause-rig.ts";
import { PROGRAM } from "../support/deployment.ts";
import { fakeBatch } from "../support/fake-batch.ts";
import { requireSites, Site, SITE_USER } from "../support/site.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

type QueueInput = z.input<typeof QueueConfig>;

interface CauseCase {
  /** What is broken, for the title. */
  readonly what: string;
  /** Code in the table of causes. */
  readonly code: string;
  /** What must stand in the system's own words; where there are some. */
  readonly words?: RegExp;
  readonly queue: Partial<QueueInput>;
  readonly search?: SearchChange;
  /** Where `task why` sees another side of it; null: it is the site's alone. */
  readonly taskCode?: string | null;
}

/** Codes that say "nothing is broken, it takes time". */
const PATIENCE: ReadonlySet<string> = new Set([
  "notSubmittedYet",
  "harvesterSilent",
  "harvesterHandover",
  "pilotStarting",
  "waitsForTurn",
  "jobWaits",
  "noDemand",
  "slotsIdle",
  "noneEndedYet",
]);

const REPOSITORY = dirname(dirname(dirname(PROGRAM)));
const START_SCRIPT = fileURLToPath(new URL("../../pilot/start.sh", import.meta.url));

describe("causes", function () {
  this.timeout(180_000);
  const directory = temporaryDirectory("/srv");
  const at = (name: string): string => join(directory.path, name);
  const closers: (() => Promise<unknown>)[] = [];
  const named = new Set<string>();
  let rig: CauseRig;

  before(async function () {
    if (process.getuid?.() !== 0) {
      console.log("        skipped: broken nodes are made as root");
      this.skip();
    }
    chmodSync(directory.path, 0o755);
    mkdirSync(at("scratch"), { mode: 0o777 });
    rig = await CauseRig.start(directory.path, ["10.77.121.1"]);
    closers.push(() => rig.stop());
  });

  after(async () => {
    for (const close of closers.reverse()) await close();
    await directory.remove();
  });

  /** Asks until the cause is named; what else is named on the way may be an "it takes time" only. */
  async function assertNamed<T>(
    expected: string,
    ask: () => Promise<{ readonly code: string | null; readonly all: T }>,
  ): Promise<T> {
    let last: unknown = null;
    const answer = await waitUntil(
      `the cause ${expected}`,
      async () => {
        const { code, all } = await ask();
        last = all;
        if (code === expected) return { all };
        const isPatience = code === null || PATIENCE.has(code);
        assert.ok(isPatience, `a wrong cause is named: ${JSON.stringify(all)}`);
        return null;
      },
      { timeoutMs: 150_000, intervalMs: 500, state: () => last },
    );
    named.add(expected);
    return answer.all;
  }

  async function assertSiteWhy(
    queue: string,
    { code, words }: Pick<CauseCase, "code" | "words">,
  ): Promise<void> {
    const { cause, output } = await assertNamed(code, async () => {
      const all = await rig.siteWhy(queue);
      return { code: all.cause?.code ?? null, all };
    });
    assert.ok((cause?.remedy.length ?? 0) > 10, "there is something to do");
    if (words !== undefined) assert.match(`${cause?.words ?? ""}\n${output}`, words);
  }

  async function assertTaskWhy(taskId: number, code: string): Promise<void> {
    await assertNamed(code, async () => {
      const all = await rig.taskWhy(taskId);
      return { code: all.cause, all };
    });
  }

  /** One queue and one search per case; all of them break at the same time. */
  function describeCases(title: string, site: string, cases: () => readonly CauseCase[]): void {
    describe(title, () => {
      const searches = new Map<string, number>();
      const nameOf = (one: CauseCase): string => `${site}-${one.code}`.toLowerCase();

      before(async () => {
        for (const one of cases()) {
          const queue = nameOf(one);
          const limits = { maxPilots: 2, maxSlotsPerPilot: 4 };
          await rig.addQueue({ site, limits, leaseSeconds: 20, ...one.queue, name: queue });
          searches.set(one.code, await rig.search(queue, one.search));
        }
      });

      for (const one of cases()) {
        it(`names ${one.code}: ${one.what}`, async () => {
          await assertSiteWhy(nameOf(one), one);
          const { taskCode = one.code } = one;
          if (taskCode !== null) await assertTaskWhy(searches.get(one.code) ?? 0, taskCode);
        });
      }
    });
  }

  /** A Slurm whose commands are fakes and whose jobs are processes of this machine. */
  function fakeSlurm(name: string, words?: string): NonNullable<QueueInput["batch"]> {
    const fake = fakeBatch("slurm", at(`slurm-${name}`));
    if (words !== undefined) fake.setBroken(true, words);
    return { kind: "slurm", commandDirectory: fake.commands, pollSeconds: 1 };
  }

  /** The job starts again in other namespaces, where its node is broken by these lines. */
  function onNode(unshare: string, lines: readonly string[] = []): string[] {
    const again = [...lines, 'exec /bin/sh "$0"'].join("; ").replaceAll("'", "'\\''");
    return [`[ -n "$BROKEN" ] || BROKEN=1 exec unshare ${unshare} /bin/sh -c '${again}' "$0"`];
  }

  describe("at a site whose nodes are this machine", () => {
    const packed = at("package");

    before(async () => {
      makePackage(packed);
      await rig.harvester({ name: "fake", site: "fake" });
      await rig.harvester({ name: "packed", site: "packed", pilotPackage: packed });
    });

    describeCases("before a job exists", "fake", () => [
      {
        what: "the harvester's host has no sbatch",
        code: "batchCommandMissing",
        words: /sbatch: command not found/,
        queue: { batch: { kind: "slurm", commandDirectory: at("nowhere"), pollSeconds: 1 } },
      },
      {
        what: "the user has as many jobs as the site allows",
        code: "submitQuota",
        words: /QOSMaxSubmitJobPerUserLimit/,
        queue: {
          batch: fakeSlurm(
            "quota",
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
          ),
        },
      },
      {
        what: "the account is not known",
        code: "invalidAccount",
        words: /account/i,
        queue: {
          batch: fakeSlurm(
            "account",
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n",
          ),
        },
      },
      { what: "the queue is offline", code: "queueOffline", queue: { state: "offline" } },
      {
        what: "limits.maxPilots is 0",
        code: "noPilotsAllowed",
        queue: { limits: { maxPilots: 0 } },
        taskCode: "noPilotsAllowed",
      },
      {
        what: "the search asks for a GPU",
        code: "noGpuForTask",
        queue: {},
        search: { needs: { gpus: { count: 1 } } },
      },
      {
        what: "the search asks for more memory than a slot has",
        code: "memoryForTask",
        queue: { slot: { memoryMiB: 1_024 } },
        search: { needs: { memoryBytes: 64e9 } },
      },
      {
        what: "the search needs the internet",
        code: "internetNeeded",
        queue: {},
        search: { needs: { internet: true, cpus: 0.1, memoryBytes: 1e8 } },
      },
      {
        what: "one evaluation may take longer than pilots live",
        code: "noWalltimeForTask",
        queue: { slot: { walltimeSeconds: 600 } },
        search: {
          evaluation: { container: "host:", exec: "sleep 1", timeoutSeconds: 3_600 },
        },
      },
    ]);

    describeCases("on the node, before the pilot connects", "fake", () => [
      {
        what: "it has no way to the server",
        code: "serverUnreachable",
        words: /ENETUNREACH|ECONNREFUSED/,
        queue: { batch: fakeSlurm("net"), pilot: { preamble: onNode("--net") } },
      },
      {
        what: "something else answers under the server's address",
        code: "certificateRefused",
        words: /certificate is not the one that was pinned/,
        queue: {
          batch: fakeSlurm("certificate"),
          pilot: {
            preamble: [`sed -i 's/"caFingerprint":"[^"]*"/"caFingerprint":"00:11"/' boot.json`],
          },
        },
      },
      {
        what: "its clock is an hour ahead",
        code: "clockWrong",
        words: /clock of this node is 3\d{3} s ahead/,
        queue: {
          batch: fakeSlurm("clock"),
          pilot: {
            preamble: [
              "NODE_OPTIONS='--import data:text/javascript,const%20now=Date.now;Date.now=()=>now()+3600000'; export NODE_OPTIONS",
            ],
          },
        },
      },
      {
        what: "its scratch directory is full",
        code: "scratchFull",
        words: /is full: .* are free/,
        queue: {
          batch: fakeSlurm("full"),
          pilot: {
            scratchDirectory: at("scratch"),
            preamble: onNode("--mount", [`mount -t tmpfs -o size=1m none ${at("scratch")}`]),
          },
        },
      },
      {
        what: "users may not make namespaces",
        code: "noUserNamespaces",
        words: /namespace/,
        queue: {
          batch: fakeSlurm("namespaces"),
          pilot: {
            preamble: onNode("--user --map-root-user", [
              "echo 0 >/proc/sys/user/max_user_namespaces",
            ]),
          },
        },
      },
      {
        what: "it has not the runtime that the queue names",
        code: "noRuntime",
        words: /the runtime "singularity" of the queue does not work/,
        queue: { batch: fakeSlurm("runtime"), runtime: "singularity" },
      },
      {
        what: "a command of the preamble is missing",
        code: "preambleFailed",
        words: /module: not found/,
        queue: {
          batch: fakeSlurm("preamble"),
          pilot: { preamble: ["module load apptainer || exit 1"] },
        },
      },
      {
        what: "the site's own check ends the job",
        code: "pilotNeverConnected",
        words: /node health: disk failing/,
        queue: {
          batch: fakeSlurm("check"),
          pilot: { preamble: ['echo "node health: disk failing"; exit 3'] },
        },
      },
    ]);

    describeCases("with the packed pilot", "packed", () => [
      {
        what: "the node does not see the package",
        code: "pilotPackageMissing",
        words: /start\.sh/,
        queue: {
          batch: fakeSlurm("package"),
          pilot: { preamble: onNode("--mount", [`mount -t tmpfs none ${packed}`]) },
        },
      },
      {
        what: "the node does not see the boot file",
        code: "bootFileMissing",
        words: /boot file \S+ cannot be read/,
        queue: { batch: fakeSlurm("boot"), pilot: { preamble: ["rm boot.json"] } },
      },
      {
        what: "the node's system is too old for the packed Node.js, and it has none itself",
        code: "nodeMissing",
        words: /GLIBC_2\.28' not found/,
        queue: {
          batch: fakeSlurm("old"),
          pilot: { preamble: [`PATH=${join(packed, "bin")}; export PATH`] },
        },
      },
    ]);

    describeCases("once pilots have connected", "fake", () => [
      {
        what: "the search's image is not there",
        code: "imageMissing",
        words: /no-such-image/,
        queue: { idleSeconds: 600 },
        search: { evaluation: { container: at("no-such-image.sif"), exec: "true" } },
      },
      {
        what: "the search's program fails",
        code: "evaluationFails",
        words: /E_PAYLOAD exit 3/,
        queue: { idleSeconds: 600 },
        search: { evaluation: { container: "host:", exec: "exit 3" } },
        taskCode: "failFast",
      },
      {
        what: "numbers of the search keep slots idle",
        code: "noneEndedYet",
        queue: { idleSeconds: 600, slot: { cpus: 0.1, memoryMiB: 128 } },
        search: { limits: { maxPoints: 20, nParallelEvaluation: 4, nPointsPerIteration: 1 } },
        taskCode: "limitsKeepSlotsIdle",
      },
    ]);

    describe("with nodes, sites and harvesters that are gone", () => {
      it("names taskPaused: its owner has paused the search", async () => {
        await rig.addQueue({ name: "paused", site: "fake" });
        const taskId = await rig.search("paused");
        await rig.deployment.request("POST", `/tasks/${taskId}/control`, { action: "pause" });
        await assertTaskWhy(taskId, "taskPaused");
        await assertSiteWhy("paused", { code: "taskPaused" });
      });

      it("names nodesDrained: the only node is drained", async () => {
        await rig.addQueue({ name: "drained", site: "fake" });
        const taskId = await rig.search("drained");
        const { items } = await waitUntil(
          "a pilot is there",
          async () => {
            const pilots = await rig.deployment.request<{
              items: { capacity: { node: string } }[];
            }>("GET", "/pilots?queue=drained");
            return pilots.items.length > 0 ? pilots : null;
          },
          { timeoutMs: 60_000 },
        );
        const node = items[0]?.capacity.node ?? "";
        await rig.drainNode("drained", node);
        // What runs there goes on; after that, nothing does.
        await rig.deployment.request("POST", `/tasks/${taskId}/control`, { action: "hardFinish" });
        const next = await rig.search("drained");
        await assertSiteWhy("drained", { code: "nodesDrained", words: /test \(by / });
        await assertTaskWhy(next, "nodesDrained");
      });

      it("names queueUnknown: the search names a queue that there is not", async () => {
        const taskId = await rig.search("fake-imagemising");
        await assertTaskWhy(taskId, "queueUnknown");
        assert.match((await rig.taskWhy(taskId)).remedy, /Did you mean 'fake-imagemissing'\?/);
      });

      it("names siteNotServed: the queue's site is mistyped", async () => {
        await rig.addQueue({ name: "typo", site: "fakes" });
        const taskId = await rig.search("typo");
        await assertSiteWhy("typo", { code: "siteNotServed" });
        assert.match((await rig.siteWhy("typo")).cause?.remedy ?? "", /Did you mean 'fake'\?/);
        await assertTaskWhy(taskId, "siteNotServed");
      });

      it("names harvesterNotRunning: the harvester has ended", async () => {
        const { child } = await rig.harvester({ name: "short", site: "short" });
        await rig.addQueue({ name: "short", site: "short", limits: { maxPilots: 0 } });
        await endChild(child);
        await rig.addQueue({ name: "short", site: "short" });
        const taskId = await rig.search("short");
        await assertSiteWhy("short", { code: "harvesterNotRunning" });
        await assertTaskWhy(taskId, "harvesterNotRunning");
      });

      it("names harvesterTokenRevoked: the harvester's token was revoked", async () => {
        const { tokenId, child } = await rig.harvester({ name: "revoked", site: "revoked" });
        await rig.addQueue({ name: "revoked", site: "revoked" });
        await rig.deployment.command("DELETE", `/tokens/${tokenId}`);
        await waitUntil("the harvester has ended", () => child.exitCode !== null);
        assert.equal(child.exitCode, 4);
        const taskId = await rig.search("revoked");
        await assertSiteWhy("revoked", { code: "harvesterTokenRevoked" });
        await assertTaskWhy(taskId, "harvesterTokenRevoked");
      });
    });
  });

  describe("at a real Slurm", () => {
    let site: Site;

    before(async function () {
      requireSites(this);
      site = new Site({
        name: "causes",
        index: 121,
        batchSystem: "slurm",
        directory: at("site"),
        shared: [directory.path, REPOSITORY],
      });
      closers.push(() => site.close());
      await site.start();
      await site.run(["scontrol", "create", "PartitionName=hep", "Nodes=ALL", "AllowGroups=root"]);
      await site.run(["scontrol", "create", "PartitionName=broken", "Nodes=ALL", "State=DOWN"]);
      const { file } = await rig.token("slurm");
      for (const path of [dirname(file), file]) chownSync(path, SITE_USER, SITE_USER);
      const options = { name: "slurm", site: "slurm" };
      const words = rig.harvesterWords(options, file, site.outsideAddress);
      await rig.watchHarvester(site.spawn(["node", ...words], SITE_USER), "slurm");
    });

    const slurm = (
      change: Readonly<Record<string, unknown>> = {},
    ): NonNullable<QueueInput["batch"]> => ({
      kind: "slurm",
      partition: "batch",
      pollSeconds: 1,
      ...change,
    });
    const slot = { cpus: 1, memoryMiB: 256, walltimeSeconds: 600 };

    describeCases("in Slurm's own words", "slurm", () => [
      {
        what: "there is no such partition",
        code: "wrongPartition",
        words: /invalid partition/i,
        queue: { slot, batch: slurm({ partition: "bacth" }) },
      },
      {
        what: "the partition is for another group of users",
        code: "notPermitted",
        words: /permi/i,
        queue: { slot, batch: slurm({ partition: "hep" }) },
      },
      {
        what: "pilots ask for more walltime than the partition allows",
        code: "noWalltimeFits",
        words: /PartitionTimeLimit/,
        queue: { batch: slurm(), slot: { ...slot, walltimeSeconds: 172_800 } },
      },
      {
        what: "pilots ask for more memory than any node has",
        code: "memoryTooLarge",
        words: /memory specification/i,
        queue: { batch: slurm(), slot: { ...slot, memoryMiB: 900_000 } },
      },
      {
        what: "pilots ask for more CPUs than any node has",
        code: "requestNeverFits",
        queue: { batch: slurm(), slot: { ...slot, cpus: 64 } },
      },
      {
        what: "the job is held",
        code: "jobHeld",
        words: /JobHeldUser/,
        queue: { slot, batch: slurm({ submitArguments: ["--hold"] }) },
      },
      {
        what: "pilots ask for GPUs that Slurm does not know",
        code: "noGpuAtSite",
        words: /gres/i,
        queue: { batch: slurm(), slot: { ...slot, gpus: 1 } },
      },
      {
        what: "the partition is down",
        code: "nodeDownAtSite",
        words: /PartitionDown/,
        queue: { slot, batch: slurm({ partition: "broken" }) },
      },
      {
        what: "the job has to wait for its time, which is no fault",
        code: "waitsForTurn",
        words: /BeginTime/,
        queue: { slot, batch: slurm({ submitArguments: ["--begin=now+1hour"] }) },
      },
    ]);

    // After the others: suites within one come after its tests.
    describe("when its controller has ended", () => {
      it("names batchSystemDown: slurmctld does not answer", async () => {
        await site.run(["scontrol", "shutdown", "slurmctld"]);
        await rig.addQueue({ name: "slurm-down", site: "slurm", slot, batch: slurm() });
        const taskId = await rig.search("slurm-down");
        await assertSiteWhy("slurm-down", { code: "batchSystemDown" });
        await assertTaskWhy(taskId, "batchSystemDown");
      });
    });
  });

  describe("together", () => {
    it("are named in at least 24 of 25 cases, and no wrong one at any moment", () => {
      assert.ok(named.size >= 25, [...named].join(" "));
    });
  });
});

/** A packed pilot as far as it comes on a node that cannot run it: the real start script beside a Node.js for another system. */
function makePackage(directory: string): void {
  mkdirSync(join(directory, "bin"), { recursive: true });
  cpSync(START_SCRIPT, join(directory, "start.sh"));
  writeFileSync(join(directory, "pilot.mjs"), "");
  const words = "node: /lib64/libc.so.6: version `GLIBC_2.28' not found (required by node)";
  writeFileSync(
    join(directory, "node"),
    `#!/bin/sh\necho "${words.replace("`", "\\`")}" >&2\nexit 1\n`,
    {
      mode: 0o755,
    },
  );
  const lines = ["pilot.mjs", "start.sh", "node"].map((name) => {
    const sha256 = createHash("sha256")
      .update(readFileSync(join(directory, name)))
      .digest("hex");
    return `${sha256}  ${name}\n`;
  });
  writeFileSync(join(directory, "SHA256SUMS"), lines.join(""));
  // A PATH without Node.js.
  for (const name of ["sh", "dirname", "grep", "sha256sum", "tail", "env"])
    symlinkSync(join("/usr/bin", name), join(directory, "bin", name));
}
