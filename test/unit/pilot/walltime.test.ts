import assert from "node:assert/strict";
import type { ProgramResult } from "../../../common/child.ts";
import {
  askWalltime,
  clockSeconds,
  walltimeFindings,
  walltimeQuestion,
  type WalltimeSources,
} from "../../../pilot/walltime.ts";

const NOTHING: WalltimeSources = {
  environment: {},
  readFile: () => null,
  wallMs: 1_700_000_000_000,
  ageSeconds: 40,
  queueSeconds: null,
  told: null,
};

function found(change: Partial<WalltimeSources>): [number, string][] {
  return walltimeFindings({ ...NOTHING, ...change }).map(({ value, source }) => [value, source]);
}

/** What a batch system's command would be asked, and what its answer means. */
async function asked(
  environment: Record<string, string>,
  answer: Partial<ProgramResult>,
): Promise<{ argv: readonly string[]; left: number | null; source: string | null }> {
  let argv: readonly string[] = [];
  const told = await askWalltime(
    environment,
    (words) => {
      argv = words;
      const ended = { exitCode: 0, signal: null, stdout: "", stderr: "" };
      return Promise.resolve({ ...ended, timedOut: false, missing: false, ...answer });
    },
    () => 40,
  );
  return { argv, left: told?.value ?? null, source: told?.source ?? null };
}

describe("the walltime that a pilot has left", () => {
  it("is stated by nobody where there is no batch system and no walltime of the queue", () => {
    assert.deepEqual(found({}), []);
    assert.equal(walltimeQuestion({}), null);
  });

  it("is at most that of the queue from the pilot's start on, also where the batch system says nothing", () => {
    assert.deepEqual(found({ queueSeconds: 3_600 }), [[3_560, "walltime of the queue"]]);
  });

  it("is what the environment says: of Slurm the end, of Torque the whole", () => {
    const slurm = { SLURM_JOB_ID: "7", SLURM_JOB_END_TIME: "1700000600" };
    assert.deepEqual(found({ environment: slurm }), [[600, "SLURM_JOB_END_TIME"]]);
    assert.equal(walltimeQuestion(slurm), null);
    const torque = { PBS_JOBID: "7.server", PBS_WALLTIME: "3600" };
    assert.deepEqual(found({ environment: torque }), [[3_560, "PBS_WALLTIME"]]);
    assert.equal(walltimeQuestion(torque), null);
  });

  it("is what HTCondor's job ad allows", () => {
    const environment = { _CONDOR_JOB_AD: "/ad" };
    const readFile = (path: string): string | null =>
      path === "/ad" ? 'Cmd = "pilot.sh"\nAllowedJobDuration = 1800\n' : null;
    assert.deepEqual(found({ environment, readFile }), [[1_760, "HTCondor job ad"]]);
  });

  it("is asked of squeue by a Slurm that does not put it into the environment", async () => {
    const environment = { SLURM_JOB_ID: "4711" };
    const told = await asked(environment, { stdout: "1-02:03:04\n" });
    assert.deepEqual(told.argv, ["squeue", "-h", "-j", "4711", "-o", "%L"]);
    assert.deepEqual([told.left, told.source], [93_784, "squeue"]);
    assert.equal((await asked(environment, { stdout: "UNLIMITED\n" })).left, null);
  });

  it("is asked of PBS: the limit, less what was used of it", async () => {
    const stdout =
      "Job Id: 7.server\n    resources_used.walltime = 00:10:00\n    Resource_List.walltime = 01:00:00\n";
    const told = await asked({ PBS_JOBID: "7.server" }, { stdout });
    assert.deepEqual(told.argv, ["qstat", "-f", "7.server"]);
    assert.deepEqual([told.left, told.source], [3_000, "qstat"]);
    const fresh = "Job Id: 7.server\n    Resource_List.walltime = 01:00:00\n";
    assert.equal((await asked({ PBS_JOBID: "7.server" }, { stdout: fresh })).left, 3_560);
  });

  it("is asked of LSF and Grid Engine", async () => {
    const lsf = await asked({ LSB_JOBID: "7" }, { stdout: "1:30 L\n" });
    assert.deepEqual([lsf.argv[0], lsf.left], ["bjobs", 5_400]);
    const environment = { JOB_ID: "9", SGE_ROOT: "/sge" };
    const stdout = "job_number:  9\nhard resource_list:         h_rt=3600,s_rt=3480\n";
    const sge = await asked(environment, { stdout });
    assert.deepEqual([sge.argv, sge.left], [["qstat", "-j", "9"], 3_560]);
    const other = "hard_resource_list: mem=1G,h_rt=0:10:00\n";
    assert.equal((await asked(environment, { stdout: other })).left, 560);
  });

  it("is unknown where the command fails or is not there", async () => {
    for (const answer of [{ exitCode: 1 }, { exitCode: null, missing: true }])
      assert.equal((await asked({ SLURM_JOB_ID: "1" }, { stdout: "10:00", ...answer })).left, null);
  });

  it("is asked only for ids that are such", () => {
    for (const id of ["", "-x", "1 2", "1;rm"])
      assert.equal(walltimeQuestion({ SLURM_JOB_ID: id, PBS_JOBID: id, LSB_JOBID: id }), null);
    assert.notEqual(walltimeQuestion({ PBS_JOBID: "12[3].server-1.site" }), null);
  });

  it("is read from every form of time", () => {
    const texts = ["10:00", "1:00:00", "2-00:00:10", "1-12", "INVALID", "NOT_SET", ""];
    assert.deepEqual(texts.map(clockSeconds), [600, 3_600, 172_810, 129_600, null, null, null]);
  });
});
