/** A site without its harvester, and evaluations whose container alone is killed. */
import assert from "node:assert/strict";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireTool } from "../support/requires.ts";
import { signalled, SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

const POINTS = 12;

describe("a site that loses one of its parts", function () {
  this.timeout(90_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let site: SmallSite | null = null;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path, serverArguments: [] });
    await deployment.startServer();
  });
  afterEach(async () => {
    await site?.close();
    site = null;
    await deployment.stop();
    await directory.remove();
  });

  it("goes on working after kill -9 of its harvester; the next one takes its pilots over and submits no others for them", async () => {
    const limits = { maxPilots: 2, maxQueued: 2, maxSlotsPerPilot: 1 };
    site = new SmallSite({
      deployment,
      name: "hpkH",
      directory: directory.path,
      queue: { limits },
    });
    await site.start();
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec: `sleep 0.5; ${LOSS_IS_X}` } },
      { maxPoints: POINTS, nParallelEvaluation: 2 },
    );
    const pilots = await site.untilPilots(2);
    await waitUntil("losses come", async () => (await deployment.task(taskId)).points.done > 1);
    await site.killHarvester();
    const { done } = (await deployment.task(taskId)).points;
    await waitUntil(
      "the pilots go on alone",
      async () => (await deployment.task(taskId)).points.done >= done + 3,
    );
    await site.startHarvester();
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", POINTS]);
    assert.deepEqual(site.pilotPids(), pilots, "the same pilots, and no others");
    await site.close();
    const { attempts, interruptions } = judgeJournal(await deployment.journalAfterStop(), taskId);
    assert.deepEqual([attempts.length, interruptions.length], [POINTS, 0]);
  });

  for (const runtime of ["bubblewrap", "apptainer"] as const)
    it(`repeats an evaluation after kill -9 of its container, with the cause in its history (${runtime})`, async function () {
      if (runtime === "apptainer") requireTestbed(this);
      const isApptainer = runtime === "apptainer";
      const container = isApptainer ? testbed.imageDirectory : "host:";
      site = new SmallSite({
        ...{ deployment, name: "hpkC", directory: directory.path },
        queue: { runtime, readOnlyPaths: isApptainer ? [testbed.imageDirectory] : [] },
        environment: { PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}` },
      });
      await site.start();
      // Only the first attempt lingers.
      const exec = `[ "$HYPERPILOT_ATTEMPT" != 1 ] || { echo lingers; sleep 60; }; ${LOSS_IS_X}`;
      const taskId = await deployment.submit({ evaluation: { container, exec } }, { maxPoints: 1 });
      const program = isApptainer ? "appinit" : "bwrap";
      const pids = await waitUntil(
        "its payload lingers",
        () => {
          const found = site?.containerPids(program) ?? [];
          return found.length > 0 && (site?.containerPids("sleep").length ?? 0) > 0 ? found : null;
        },
        { timeoutMs: 40_000, state: () => deployment.errors.slice(-5) },
      );
      for (const pid of pids) signalled(pid, "SIGKILL");
      const task = await deployment.untilEnded(taskId);
      assert.equal(task.state, "finished");
      await site.close();
      const judged = judgeJournal(await deployment.journalAfterStop(), taskId);
      assert.equal(judged.interruptions.length, 0);
      assert.equal(judged.failedAttempts.length, 1);
      const [failed] = judged.failedAttempts;
      assert.ok(failed?.outcome.type === "failed", JSON.stringify(failed));
      assert.equal(failed.outcome.signal, "SIGKILL");
    });
});
