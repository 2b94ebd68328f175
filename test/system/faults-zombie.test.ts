/** A pilot that stands still for longer than its lease, and then goes on as if nothing had happened. */
import assert from "node:assert/strict";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireTool } from "../support/requires.ts";
import { SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a zombie: a pilot that is stopped past its lease (SIGSTOP) and goes on (SIGCONT)", function () {
  this.timeout(90_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let zombie: SmallSite;
  let other: SmallSite;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path, serverArguments: [] });
    await deployment.startServer();
    const options = { deployment, directory: directory.path };
    zombie = new SmallSite({ ...options, name: "hpzZ", queue: { leaseSeconds: 3 } });
    other = new SmallSite({ ...options, name: "hpzO" });
  });
  afterEach(async () => {
    await zombie.close();
    await other.close();
    await deployment.stop();
    await directory.remove();
  });

  /** Two points, one on each site; on the zombie an evaluation takes `seconds`. Returns when the other site has evaluated both. */
  async function takenOver(seconds: string): Promise<number> {
    const queue = { leaseSeconds: 3, environment: { LINGER: seconds } };
    zombie = new SmallSite({ deployment, directory: directory.path, name: "hpzZ", queue });
    const exec = `sleep \${LINGER:-0.2}; ${LOSS_IS_X}`;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec } },
      { maxPoints: 2, nParallelEvaluation: 2 },
    );
    await zombie.start();
    await waitUntil("the zombie evaluates", () => zombie.containerPids("sleep").length > 0, {
      timeoutMs: 30_000,
      state: () => deployment.errors.slice(-5),
    });
    for (const pid of zombie.pilotPids()) process.kill(pid, "SIGSTOP");
    await other.start();
    const task = await deployment.untilEnded(taskId, 40_000);
    assert.deepEqual([task.state, task.points.done, task.interruptions], ["finished", 2, 1]);
    return taskId;
  }

  async function assertCountedOnce(taskId: number): Promise<void> {
    await zombie.close();
    await other.close();
    const { attempts, interruptions } = judgeJournal(await deployment.journalAfterStop(), taskId);
    assert.deepEqual([attempts.length, interruptions.length], [2, 1]);
    const retaken = attempts.find(({ pointId }) => pointId === interruptions[0]?.pointId);
    assert.deepEqual(retaken?.epoch, [1, 2], "the loss is that of the second lease");
  }

  it("does not double a loss that it brings late, and works on", async () => {
    const taskId = await takenOver("1");
    await waitUntil("its payload has ended", () => zombie.containerPids("sleep").length === 0);
    await deployment.request("DELETE", "/queues/hpzO");
    for (const pid of zombie.pilotPids()) process.kill(pid, "SIGCONT");
    const evaluation = { container: "host:", exec: LOSS_IS_X };
    const next = await deployment.submit({ evaluation }, { maxPoints: 1 });
    assert.equal((await deployment.untilEnded(next)).state, "finished", "nobody else is there");
    await assertCountedOnce(taskId);
  });

  it("ends a payload whose lease is over", async () => {
    const taskId = await takenOver("600");
    assert.equal(zombie.containerPids("sleep").length, 1, "payloads run on without their pilot");
    for (const pid of zombie.pilotPids()) process.kill(pid, "SIGCONT");
    await waitUntil("its payload is ended", () => zombie.containerPids("sleep").length === 0, {
      timeoutMs: 20_000,
    });
    await assertCountedOnce(taskId);
  });
});
