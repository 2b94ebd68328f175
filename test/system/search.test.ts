import assert from "node:assert/strict";
import type { EventOf, HyperpilotEvent } from "../../server/events.ts";
import { Deployment } from "../support/deployment.ts";
import { requireTool } from "../support/requires.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a search on the embedded default", function () {
  this.timeout(120_000);
  let directory: ReturnType<typeof temporaryDirectory>;
  let deployment: Deployment;

  before(function () {
    requireTool(this, "bwrap");
  });

  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path });
    await deployment.start();
  });

  afterEach(async () => {
    await deployment.stop();
    await directory.remove();
  });

  it("runs steering 4 times with maxPoints 12, nPointsPerIteration 3, minUnevaluatedPoints 0", async () => {
    const limits = {
      maxPoints: 12,
      nPointsPerIteration: 3,
      minUnevaluatedPoints: 0,
      nParallelEvaluation: 2,
    };
    const taskId = await deployment.submit({}, limits);
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 12]);
    const runs = runsOf(await deployment.journalAfterStop());
    assert.deepEqual(
      runs.map((run) => [run.pending, run.generated, run.wanted]),
      [
        [0, 0, 3],
        [0, 3, 3],
        [0, 6, 3],
        [0, 9, 3],
      ],
    );
  });

  it("refills while evaluations run with minUnevaluatedPoints 2, each time up to nPointsPerIteration", async () => {
    const limits = {
      maxPoints: 12,
      nPointsPerIteration: 3,
      minUnevaluatedPoints: 2,
      nParallelEvaluation: 2,
    };
    const taskId = await deployment.submit({ evaluation: slowEvaluation() }, limits);
    assert.equal((await deployment.untilEnded(taskId)).state, "finished");
    const events = await deployment.journalAfterStop();
    const runs = runsOf(events);
    for (const run of runs) assert.equal(run.wanted, Math.min(3 - run.pending, 12 - run.generated));
    for (const run of runs) assert.equal(generatedBy(events, run.run), run.wanted);
    assert.ok(
      runs.some((run) => run.pending > 0),
      "some runs found evaluations running",
    );
  });

  it("ends with the best loss, and every loss is the one that its evaluation wrote", async () => {
    const taskId = await deployment.submit(
      { steering: { method: "tpe" } },
      { maxPoints: 10, nParallelEvaluation: 2 },
    );
    const task = await deployment.untilEnded(taskId);
    const { items } = await deployment.request<{ items: { loss: number; text: string }[] }>(
      "GET",
      `/tasks/${taskId}/points`,
    );
    assert.equal(items.length, 10);
    for (const point of items)
      assert.equal(point.loss, (JSON.parse(point.text) as { x: number }).x);
    assert.equal(task.best?.loss, Math.min(...items.map((point) => point.loss)));
  });

  it("is steered by a program in a sandbox of its own, in both forms of steeringExec", async () => {
    const script = `grep -q opt_space %IN && printf '[{"x": 0.%NUM_POINTS1}, {"x": 0.%NUM_POINTS2}]' > %OUT`;
    const limits = { maxPoints: 4, nPointsPerIteration: 2, nParallelEvaluation: 2 };
    const plain = await deployment.submit(
      { steering: { container: "host:", exec: script } },
      limits,
    );
    const inMount = script.replaceAll("%IN", "/HPOiDDS/%IN").replaceAll("%OUT", "/HPOiDDS/%OUT");
    const quoted = inMount.replaceAll('"', '\\"');
    const exec = `run --rm -v "$(pwd)":/HPOiDDS host: /bin/sh -c "${quoted}"`;
    const docker = await deployment.submit({ steering: { container: null, exec } }, limits);
    for (const taskId of [plain, docker]) {
      const task = await deployment.untilEnded(taskId);
      assert.deepEqual([task.state, task.points.done, task.best?.loss], ["finished", 4, 0.21]);
    }
  });

  it("fails with the steering's own words when its program fails three times", async () => {
    const steering = { container: "host:", exec: "echo 'no such library' >&2; exit 7" };
    const taskId = await deployment.submit({ steering }, { maxPoints: 2 });
    const task = await deployment.untilEnded(taskId);
    assert.equal(task.state, "failed");
    assert.match(
      task.reason,
      /steering failed 3 times: the steering exited with 7: no such library/,
    );
  });

  it("stops a running payload when it is killed, and starts nothing more", async () => {
    const taskId = await deployment.submit(
      {
        evaluation: {
          container: "host:",
          exec: "sleep 1000",
          input: "input.json",
          output: "output.json",
          timeoutSeconds: null,
        },
      },
      { maxPoints: 2, nParallelEvaluation: 1 },
    );
    await waitUntil(
      "a point runs",
      async () => (await deployment.task(taskId)).points.leased === 1 || null,
      { timeoutMs: 30_000 },
    );
    await deployment.request("POST", `/tasks/${taskId}/control`, { action: "kill" });
    assert.equal((await deployment.task(taskId)).state, "aborted");
    const next = await deployment.submit({}, { maxPoints: 1 });
    assert.equal((await deployment.untilEnded(next)).state, "finished");
  });

  it("survives kill -9 of the server in mid-search: pilots come back, no loss is lost, none is doubled", async () => {
    const taskId = await deployment.submit(
      { evaluation: slowEvaluation() },
      { maxPoints: 24, nParallelEvaluation: 2 },
    );
    const seen = new Map<string, number>();
    for (const done of [3, 8, 14]) {
      await waitUntil(
        `${done} points are done`,
        async () => (await deployment.task(taskId)).points.done >= done,
        {
          timeoutMs: 60_000,
        },
      );
      const { items } = await deployment.request<{
        items: { pointId: string; loss: number | null }[];
      }>("GET", `/tasks/${taskId}/points`);
      for (const { pointId, loss } of items) if (loss !== null) seen.set(pointId, loss);
      await deployment.killServer();
      await deployment.startServer();
    }
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 24]);
    const finals = finalsOf(await deployment.journalAfterStop());
    assert.equal(finals.length, 24);
    assert.equal(new Set(finals.map((event) => event.pointId)).size, 24);
    for (const { pointId, loss } of finals)
      if (seen.has(pointId)) assert.equal(loss, seen.get(pointId));
  });
});

function slowEvaluation() {
  const exec = `sleep 0.3; x=$(sed 's/.*"x": *\\([-0-9.e]*\\).*/\\1/' input.json); echo "{\\"loss\\": $x}" > output.json`;
  return {
    container: "host:",
    exec,
    input: "input.json",
    output: "output.json",
    timeoutSeconds: null,
  };
}

function runsOf(events: readonly HyperpilotEvent[]): EventOf<"runOpened">[] {
  return events.filter((event) => event.type === "runOpened");
}

function finalsOf(events: readonly HyperpilotEvent[]): EventOf<"pointFinal">[] {
  return events.filter((event) => event.type === "pointFinal");
}

function generatedBy(events: readonly HyperpilotEvent[], run: number): number {
  return events.filter((event) => event.type === "pointGenerated" && event.run === run).length;
}
