/** Recorded outputs of batch systems, and the wrong readings of them that other systems are known for. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { BatchTruth } from "../../../harvester/driver.ts";
import { condorTruth, parseJobs } from "../../../harvester/drivers/htcondor-states.ts";
import { gridEngineTruth, parseQstat } from "../../../harvester/drivers/gridengine-states.ts";
import { kubernetesTruth, parsePods } from "../../../harvester/drivers/kubernetes-states.ts";
import { lsfTruth, parseBjobs } from "../../../harvester/drivers/lsf-states.ts";
import { parseOpenPbs, parseTorque, pbsTruth } from "../../../harvester/drivers/pbs-states.ts";
import { parseSqueue, slurmTruth } from "../../../harvester/drivers/slurm-states.ts";

function recorded(name: string): string {
  return readFileSync(new URL(`../../fixtures/batch/${name}`, import.meta.url), "utf8");
}

/** "queued", "running", or the type of the truth. */
function short(truth: BatchTruth): string {
  return truth.type === "active" ? truth.phase : truth.type;
}

function slurmStates(text: string): string[] {
  return parseSqueue(text).map((job) => short(slurmTruth(job)));
}

describe("Slurm's answers", () => {
  it("follow a job through preemption and requeue to its end, which comes once", () => {
    assert.deepEqual(slurmStates(recorded("squeue-preempted.txt")), [
      "queued",
      "running",
      "running",
      "running",
      "queued",
      "running",
      "running",
      "ended",
    ]);
  });

  it("keep the reason, also with spaces in it", () => {
    const held = parseSqueue(recorded("squeue.txt")).filter((job) => job.reason.includes("held"));
    assert.equal(held.length, 2);
    const detail = held.map((job) => slurmTruth(job).detail);
    assert.match(detail.join(), /PENDING \(job requeued in held state\)/);
  });

  it("tell a time limit and a failure as ends with their cause", () => {
    const ends = [
      ...parseSqueue(recorded("squeue-timeout.txt")),
      ...parseSqueue(recorded("squeue.txt")),
    ]
      .map(slurmTruth)
      .filter((truth) => truth.type === "ended")
      .map((truth) => truth.detail);
    assert.match(ends.join("\n"), /TIMEOUT \(TimeLimit\)/);
    assert.match(ends.join("\n"), /FAILED \(RaisedSignal:9\(Killed\)\)/);
  });

  for (const [state, expected] of [
    ["CANCELLED by 1000", "ended"],
    ["CANCELLED+", "ended"],
    ["OUT_OF_MEMORY", "ended"],
    ["NODE_FAIL", "ended"],
    ["BOOT_FAIL", "ended"],
    ["DEADLINE", "ended"],
    ["SUSPENDED", "running"],
    ["REQUEUED", "queued"],
    ["REQUEUE_HOLD", "queued"],
    ["CONFIGURING", "queued"],
    ["A_STATE_OF_TOMORROW", "unknown"],
  ] as const) {
    it(`take ${state} for ${expected}`, () => {
      assert.deepEqual(slurmStates(`1|${state}|None|0|a|b|n|x`), [expected]);
    });
  }
});

describe("HTCondor's answers", () => {
  const truthIn = (name: string): BatchTruth => {
    const [job] = parseJobs(recorded(`condor-${name}.json`));
    assert.ok(job !== undefined);
    return condorTruth(job);
  };

  it("are empty, not a list, when there is no job", () => {
    assert.deepEqual(parseJobs(""), []);
  });

  it("take an evicted job that waits again, and a held one, for jobs", () => {
    assert.equal(short(truthIn("q-idle")), "queued");
    assert.equal(short(truthIn("q-running")), "running");
    assert.equal(short(truthIn("q-running-again-after-vacate")), "running");
    assert.equal(short(truthIn("q-held")), "queued");
    assert.match(truthIn("q-held").detail, /held: .*condor_hold.*code 1/);
  });

  it("take a job that is being removed for one that still runs, and its history for the end", () => {
    assert.equal(short(truthIn("q-removing")), "running");
    assert.equal(short(truthIn("history-removed")), "ended");
    assert.match(truthIn("history-removed").detail, /condor_rm/);
    assert.match(truthIn("history-completed").detail, /exit code 0/);
  });
});

describe("Grid Engine's answers", () => {
  const statesIn = (name: string): string[] =>
    parseQstat(recorded(name)).map((job) => short(gridEngineTruth(job)));

  it("tell running from waiting jobs, held, suspended and failed ones included", () => {
    assert.deepEqual(statesIn("qstat-running-and-pending.xml"), ["running", "queued"]);
    assert.deepEqual(statesIn("qstat-rescheduled-pending.xml").sort(), ["queued"]);
    assert.deepEqual(new Set(statesIn("qstat-finished.xml")), new Set(["ended"]));
    const states = statesIn("qstat-suspended-error-held.xml");
    assert.ok(!states.includes("ended") && !states.includes("unknown"), states.join());
    assert.equal(statesIn("qstat-deleting.xml")[0], "running");
  });

  it("take a job that is being transferred to its node for one that runs", () => {
    const job = { id: "1", name: "x", state: "t", queue: "" };
    assert.equal(short(gridEngineTruth(job)), "running");
    assert.equal(short(gridEngineTruth({ ...job, state: "hr" })), "running");
    assert.match(gridEngineTruth({ ...job, state: "Eqw" }).detail, /qmod -cj 1/);
  });
});

describe("PBS's answers", () => {
  const job = { id: "1.s", name: "x", exitStatus: null, comment: "", node: "" };

  for (const [state, expected] of [
    ["Q", "queued"],
    ["H", "queued"],
    ["W", "queued"],
    ["T", "queued"],
    ["R", "running"],
    ["S", "running"],
    ["E", "running"],
    ["F", "ended"],
    ["C", "ended"],
    ["?", "unknown"],
  ] as const) {
    it(`take ${state} for ${expected}`, () => {
      assert.equal(short(pbsTruth({ ...job, state })), expected);
    });
  }

  it("tell the server's own ends from exit codes and signals", () => {
    const detailOf = (exitStatus: number): string =>
      pbsTruth({ ...job, state: "F", exitStatus }).detail;
    assert.match(detailOf(-29), /its walltime was over/);
    assert.match(detailOf(271), /signal 15/);
    assert.match(detailOf(3), /exit code 3/);
  });

  it("are read although the list of variables is no valid JSON", () => {
    const text = `{"timestamp":1,"Jobs":{"7.srv":{"Job_Name":"hyperpilot-a","job_state":"Q","comment":"Not Running: Insufficient amount of resource",
      "Variable_List":{
        "PS1":"\\u\\h\\$ "broken"
      },
      "exec_host":"n1/0"}}}`;
    const [found] = parseOpenPbs(text);
    assert.equal(found?.name, "hyperpilot-a");
    assert.match(pbsTruth(found).detail, /Insufficient amount of resource/);
  });

  it("are read from Torque's XML as well", () => {
    const text =
      "<Data><Job><Job_Id>8.srv</Job_Id><Job_Name>x</Job_Name><job_state>C</job_state><exit_status>1</exit_status></Job></Data>";
    const [found] = parseTorque(text);
    assert.ok(found !== undefined);
    assert.match(pbsTruth(found).detail, /exit code 1/);
  });
});

describe("LSF's answers", () => {
  const record = (stat: string): string =>
    JSON.stringify({
      RECORDS: [
        { JOBID: "9", JOB_NAME: "x", STAT: stat, EXIT_CODE: "3", PEND_REASON: "Not enough hosts;" },
      ],
    });

  for (const [state, expected] of [
    ["PEND", "queued"],
    ["PSUSP", "queued"],
    ["USUSP", "running"],
    ["SSUSP", "running"],
    ["RUN", "running"],
    ["DONE", "ended"],
    ["EXIT", "ended"],
    ["UNKWN", "unknown"],
    ["ZOMBI", "unknown"],
  ] as const) {
    it(`take ${state} for ${expected}`, () => {
      assert.deepEqual(parseBjobs(record(state)).map(lsfTruth).map(short), [expected]);
    });
  }

  it("keep the reason of waiting and the exit code", () => {
    assert.match(parseBjobs(record("PEND")).map(lsfTruth)[0]?.detail ?? "", /Not enough hosts/);
    assert.match(parseBjobs(record("EXIT")).map(lsfTruth)[0]?.detail ?? "", /exit code 3/);
    assert.deepEqual(parseBjobs("No job found"), []);
  });
});

describe("Kubernetes' answers", () => {
  const truthOf = (status: object): BatchTruth => {
    const metadata = {
      name: "hyperpilot-a-x",
      labels: { "hyperpilot/submission": "hyperpilot-a" },
    };
    const [pod] = parsePods(JSON.stringify({ items: [{ metadata, spec: {}, status }] }));
    assert.ok(pod !== undefined);
    return kubernetesTruth(pod);
  };

  it("say why a pod waits: no node, or no image", () => {
    const unschedulable = truthOf({
      phase: "Pending",
      conditions: [
        {
          type: "PodScheduled",
          status: "False",
          reason: "Unschedulable",
          message: "0/3 nodes are available",
        },
      ],
    });
    assert.equal(short(unschedulable), "queued");
    assert.match(unschedulable.detail, /Unschedulable: 0\/3 nodes/);
    const noImage = truthOf({
      phase: "Pending",
      containerStatuses: [
        { state: { waiting: { reason: "ImagePullBackOff", message: "not found" } } },
      ],
    });
    assert.match(noImage.detail, /ImagePullBackOff/);
  });

  it("tell an eviction from a failure, and a silent node from an end", () => {
    const evicted = truthOf({
      phase: "Failed",
      conditions: [
        { type: "DisruptionTarget", status: "True", reason: "PreemptionByScheduler", message: "" },
      ],
      containerStatuses: [{ state: { terminated: { reason: "Error", exitCode: 143 } } }],
    });
    assert.equal(short(evicted), "ended");
    assert.match(evicted.detail, /PreemptionByScheduler/);
    assert.equal(short(truthOf({ phase: "Unknown" })), "unknown");
  });
});
