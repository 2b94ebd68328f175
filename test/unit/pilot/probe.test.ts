import assert from "node:assert/strict";
import { type ProbeSources, probe } from "../../../pilot/probe.ts";
import type { Capacity } from "../../../protocol/resources.ts";

const GIB = 1_073_741_824;
type Files = Readonly<Record<string, string>>;

const HOST: Files = {
  "/proc/meminfo": `MemTotal:       ${(64 * GIB) / 1_024} kB\nMemFree: 1 kB\n`,
  "/proc/self/status": "Name:\tnode\nCpus_allowed_list:\t0-15\n",
};

/** A machine of version 2 only, as current distributions set it up. */
const V2: Files = {
  ...HOST,
  "/proc/self/cgroup": "0::/system.slice/batch.scope/job_7\n",
  "/proc/self/mountinfo":
    "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
};
const V2_JOB = "/sys/fs/cgroup/system.slice/batch.scope/job_7";

/** One hierarchy per controller. */
const V1: Files = {
  ...HOST,
  "/proc/self/cgroup": "9:memory:/slurm/job_7\n4:cpu,cpuacct:/slurm/job_7\n1:name=systemd:/x\n",
  "/proc/self/mountinfo": [
    "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct",
    "32 24 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory",
    "",
  ].join("\n"),
};

function probed(files: Files, change: Partial<ProbeSources> = {}): Capacity {
  return probe({
    environment: {},
    readFile: (path) => files[path] ?? null,
    node: "node1",
    hostCpus: 16,
    hostMemoryBytes: 0,
    scratchBytes: 5 * GIB,
    wallMs: 1_700_000_000_000,
    ageSeconds: 0,
    queueSeconds: null,
    told: null,
    gpus: { gpus: [], source: "no nvidia-smi" },
    runtimes: ["bubblewrap"],
    ...change,
  });
}

describe("what a pilot was granted", () => {
  it("is the host where nothing limits it", () => {
    const { cpus, memoryBytes, sources } = probed(HOST);
    assert.equal(cpus, 16);
    assert.equal(memoryBytes, 64 * GIB);
    assert.equal(sources["memory"], "host");
  });

  it("is the smallest quota of its control group and those above it (version 2)", () => {
    const { cpus, memoryBytes, sources } = probed({
      ...V2,
      [`${V2_JOB}/cpu.max`]: "max 100000\n",
      [`${V2_JOB}/memory.max`]: "max\n",
      "/sys/fs/cgroup/system.slice/batch.scope/cpu.max": "150000 100000\n",
      "/sys/fs/cgroup/system.slice/memory.max": `${3 * GIB}\n`,
    });
    assert.equal(cpus, 1.5);
    assert.equal(memoryBytes, 3 * GIB);
    assert.equal(sources["cpus"], "cgroup v2 cpu.max");
    assert.equal(sources["memory"], "cgroup v2 memory.max");
  });

  it("is the smallest quota of its control group and those above it (version 1)", () => {
    const { cpus, memoryBytes, sources } = probed({
      ...V1,
      "/sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_quota_us": "-1\n",
      "/sys/fs/cgroup/cpu,cpuacct/slurm/job_7/cpu.cfs_period_us": "100000\n",
      "/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_quota_us": "400000\n",
      "/sys/fs/cgroup/cpu,cpuacct/slurm/cpu.cfs_period_us": "100000\n",
      // The largest number of whole pages: no limit.
      "/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": "9223372036854771712\n",
      "/sys/fs/cgroup/memory/slurm/memory.limit_in_bytes": `${2 * GIB}\n`,
    });
    assert.equal(cpus, 4);
    assert.equal(memoryBytes, 2 * GIB);
    assert.equal(sources["cpus"], "cgroup v1 cpu.cfs_quota_us");
  });

  it("is the smallest of both versions where a machine has both", () => {
    const hybrid: Files = {
      ...V1,
      "/proc/self/cgroup": `${V1["/proc/self/cgroup"] ?? ""}0::/user.slice\n`,
      "/proc/self/mountinfo": `${V1["/proc/self/mountinfo"] ?? ""}33 24 0:29 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n`,
      "/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": `${8 * GIB}\n`,
      "/sys/fs/cgroup/unified/user.slice/cpu.max": "50000 100000\n",
    };
    const { cpus, memoryBytes } = probed(hybrid);
    assert.equal(cpus, 0.5);
    assert.equal(memoryBytes, 8 * GIB);
  });

  it("is found in a container that sees the host's path of its group", () => {
    const { memoryBytes } = probed({
      ...HOST,
      "/proc/self/cgroup": "9:memory:/docker/abc\n",
      "/proc/self/mountinfo":
        "32 24 0:28 /docker/abc /sys/fs/cgroup/memory ro - cgroup c rw,memory\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": `${GIB}\n`,
    });
    assert.equal(memoryBytes, GIB);
  });

  it("is found under a mount whose path holds a space", () => {
    const { memoryBytes } = probed({
      ...HOST,
      "/proc/self/cgroup": "0::/\n",
      "/proc/self/mountinfo": "30 24 0:26 / /my\\040groups rw - cgroup2 cgroup2 rw\n",
      "/my groups/memory.max": `${GIB}\n`,
    });
    assert.equal(memoryBytes, GIB);
  });

  it("is not more CPUs than the process may run on", () => {
    const status = "Cpus_allowed_list:\t0-1,8\n";
    const { cpus, sources } = probed({ ...HOST, "/proc/self/status": status });
    assert.equal(cpus, 3);
    assert.equal(sources["cpus"], "affinity");
  });

  it("is what Slurm says of the job on this node", () => {
    const environment = { SLURM_CPUS_ON_NODE: "4", SLURM_MEM_PER_CPU: "2048" };
    const { cpus, memoryBytes, sources } = probed(HOST, { environment });
    assert.equal(cpus, 4);
    assert.equal(memoryBytes, 8 * GIB);
    assert.equal(sources["memory"], "Slurm");
    assert.equal(probed(HOST, { environment: { SLURM_CPUS_PER_TASK: "2" } }).cpus, 2);
  });

  it("is all of the node's memory where Slurm says 0", () => {
    const environment = { SLURM_MEM_PER_NODE: "0" };
    assert.equal(probed(HOST, { environment }).memoryBytes, 64 * GIB);
  });

  it("is what HTCondor's machine ad says of the slot", () => {
    const files = { ...HOST, "/ad": 'Name = "slot1"\nCpus = 2\nTotalCpus = 64.0\nMemory = 4096\n' };
    const { cpus, memoryBytes } = probed(files, { environment: { _CONDOR_MACHINE_AD: "/ad" } });
    assert.equal(cpus, 2);
    assert.equal(memoryBytes, 4 * GIB);
  });

  const asked = { cpus: 2, memoryMiB: 1_024, gpus: 0, walltimeSeconds: 600 };

  it("is what its job asked for where the batch system states nothing: the node is others' too", () => {
    const { cpus, memoryBytes, sources } = probed(HOST, { asked });
    assert.deepEqual([cpus, memoryBytes], [2, GIB]);
    assert.equal(sources["cpus"], "asked for");
  });

  it("is what the batch system states where that is more than was asked for", () => {
    const slurm = { SLURM_JOB_ID: "7", SLURM_CPUS_ON_NODE: "8", SLURM_MEM_PER_NODE: "0" };
    const onSlurm = probed(HOST, { asked, environment: slurm });
    assert.deepEqual([onSlurm.cpus, onSlurm.memoryBytes], [8, 64 * GIB]);
    const jobs = [
      { JOB_ID: "7", NSLOTS: "4" },
      { PBS_JOBID: "7.s", NCPUS: "4" },
      { LSB_JOBID: "7", LSB_DJOB_NUMPROC: "4" },
    ];
    for (const environment of jobs) assert.equal(probed(HOST, { asked, environment }).cpus, 4);
    assert.equal(probed(HOST, { asked, environment: { NCPUS: "4" } }).cpus, 2, "no job of PBS");
  });

  it("does not follow hints about threads, which are none about grants", () => {
    assert.equal(probed(HOST, { environment: { OMP_NUM_THREADS: "1" } }).cpus, 16);
  });

  it("is not changed by figures that are no numbers", () => {
    const environment = { SLURM_CPUS_ON_NODE: "4(x2)", SLURM_MEM_PER_NODE: "lots" };
    const { cpus, memoryBytes } = probed(HOST, { environment });
    assert.deepEqual([cpus, memoryBytes], [16, 64 * GIB]);
  });

  it("is the memory that another source tells where there is no /proc", () => {
    assert.equal(probed({}, { hostMemoryBytes: 7 * GIB }).memoryBytes, 7 * GIB);
  });
});

describe("the walltime left", () => {
  it("is unknown where nothing states it", () => {
    assert.equal(probed(HOST).walltimeLeftSeconds, null);
  });

  it("is counted from Slurm's end of the job, and is never negative", () => {
    const at = (end: string) =>
      probed(HOST, { environment: { SLURM_JOB_END_TIME: end } }).walltimeLeftSeconds;
    assert.equal(at("1700000600"), 600);
    assert.equal(at("1600000000"), 0);
  });

  it("is the smaller one where the queue's script states one too", () => {
    const environment = {
      SLURM_JOB_END_TIME: "1700000600",
      HYPERPILOT_WALLTIME_SECONDS: "300",
    };
    const { walltimeLeftSeconds, sources } = probed(HOST, { environment });
    assert.equal(walltimeLeftSeconds, 300);
    assert.equal(sources["walltime"], "HYPERPILOT_WALLTIME_SECONDS");
  });
});
