/** Pilots that are told to go: by every signal of a batch system, and by their queue. */
import assert from "node:assert/strict";
import type { PointDetail } from "../../protocol/rest.ts";
import { END_SIGNALS } from "../../pilot/eviction.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireTool } from "../support/requires.ts";
import { SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a pilot that is told to go", function () {
  this.timeout(120_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let site: SmallSite;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path, serverArguments: [] });
    await deployment.startServer();
    site = new SmallSite({ deployment, name: "hpeE", directory: directory.path });
    await site.start();
  });
  afterEach(async () => {
    await site.close();
    await deployment.stop();
    await directory.remove();
  });

  const pointOf = (taskId: number): Promise<PointDetail> =>
    deployment.request<PointDetail>("GET", `/tasks/${taskId}/points/0`);

  async function evaluates(what = "sleep"): Promise<void> {
    await waitUntil("something is evaluated", () => site.containerPids(what).length > 0, {
      timeoutMs: 30_000,
      state: () => deployment.errors.slice(-5),
    });
  }

  /** Sends a signal to the pilot and waits until it has gone. */
  async function told(signal: NodeJS.Signals): Promise<void> {
    const [pid] = await site.untilPilots();
    process.kill(pid!, signal);
    await waitUntil(`the pilot has gone after ${signal}`, () => !site.pilotPids().includes(pid!), {
      timeoutMs: 25_000,
      state: () => deployment.errors.slice(-5),
    });
  }

  it("takes each signal of a batch system as notice: it saves a checkpoint, uses no attempt, and the next one goes on from there", async () => {
    // Each lease comes one step further, and ends when it is asked to.
    const exec = `
      n=$(cat state 2>/dev/null || echo 0); echo "begins at $n"
      [ $n -lt ${END_SIGNALS.length} ] || { ${LOSS_IS_X}; exit 0; }
      trap 'echo $((n + 1)) > state; exit 0' TERM
      while :; do sleep 0.1; done`;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec }, checkpoint: { save: ["state"] } },
      { maxPoints: 1 },
    );
    for (const signal of END_SIGNALS) {
      await evaluates();
      await told(signal);
    }
    const task = await deployment.untilEnded(taskId);
    assert.equal(task.state, "finished");
    const { attempts, history } = await pointOf(taskId);
    assert.equal(attempts, 1);
    const evictions = history.flatMap(({ outcome }) =>
      outcome.type === "interrupted" ? [`${outcome.reason}: ${outcome.message}`] : [],
    );
    assert.equal(evictions.length, END_SIGNALS.length, JSON.stringify(history));
    for (const [number, signal] of END_SIGNALS.entries())
      assert.match(evictions[number] ?? "", new RegExp(`^eviction: .*\\(${signal}\\)`));
    const log = Buffer.from(await deployment.download(`/tasks/${taskId}/points/0/log`)).toString();
    const began = [...log.matchAll(/^begins at (\d+)$/gm)].map(([, n]) => Number(n));
    assert.deepEqual(began, [...END_SIGNALS.keys(), END_SIGNALS.length]);
  });

  it("without a checkpoint costs no attempt either: the evaluation begins anew", async () => {
    const exec = `sleep 1.5; ${LOSS_IS_X}`;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec } },
      { maxPoints: 1 },
    );
    await evaluates();
    await told("SIGTERM");
    assert.equal((await deployment.untilEnded(taskId)).state, "finished");
    const { attempts, interruptions } = await pointOf(taskId);
    assert.deepEqual([attempts, interruptions], [1, 1]);
  });

  it("by a change of its queue ends what it runs, which counts, and another comes in its place", async () => {
    const exec = `sleep 1.5; ${LOSS_IS_X}`;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec } },
      { maxPoints: 3 },
    );
    await evaluates();
    const [former] = site.pilotPids();
    await site.changeQueue({ environment: { CHANGED: "1" } });
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 3]);
    assert.ok(!site.pilotPids().includes(former!), "the former pilot has gone");
    await site.close();
    const { attempts, interruptions } = judgeJournal(await deployment.journalAfterStop(), taskId);
    assert.deepEqual([attempts.length, interruptions.length], [3, 0]);
  });
});
