/** Points that go wrong in every way, and a search that goes on in every case. */
import assert from "node:assert/strict";
import type { PointDetail, PointView } from "../../protocol/rest.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { requireTool } from "../support/requires.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

/** What the points of the search do, by their number. */
const BEHAVIOUR = `
case $HYPERPILOT_POINT in
  0) sleep 1000 ;;
  1) end=$(($(date +%s) + 5)); while [ $(date +%s) -lt $end ]; do :; done ;;
  2) for n in 1 2 3 4 5 6; do echo $n > progress; sleep 0.8; done ;;
  3) for n in 1 2 3 4 5 6; do echo $n; sleep 0.8; done ;;
esac
${LOSS_IS_X}`;

/** Point 0 fails, 1 diverges, the others give a loss. */
const MIXED = `
case $HYPERPILOT_POINT in
  0) exit 3 ;;
  1) echo '{"loss": NaN}' > output.json; exit 0 ;;
esac
${LOSS_IS_X}`;

describe("points that go wrong (bubblewrap)", function () {
  this.timeout(90_000);
  let directory: TemporaryDirectory;
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

  it("are hopeless after three attempts and diverged after one, both told as the very large loss; beyond maxEvaluationJobs they are not evaluated", async () => {
    const propose = `cat %IN; echo; printf '[{"x": 1}, {"x": 2}, {"x": 3}]' > %OUT`;
    const taskId = await deployment.submit(
      {
        steering: { container: "host:", exec: propose },
        evaluation: { container: "host:", exec: MIXED },
        penaltyLoss: 77,
      },
      {
        ...{ maxPoints: 5, nPointsPerIteration: 3, nParallelEvaluation: 2 },
        // 3 for the hopeless point, 1 for each of the others, and one is left.
        ...{ maxPointsPerEvaluationJob: 1, maxEvaluationJobs: 6 },
      },
    );
    const task = await deployment.untilEnded(taskId);
    assert.equal(task.state, "finished");
    assert.match(task.reason, /maxEvaluationJobs/);
    const { done, hopeless, diverged, notEvaluated } = task.points;
    assert.deepEqual([done, hopeless, diverged, notEvaluated], [2, 1, 1, 1]);
    assert.deepEqual([task.best?.loss, task.best?.pointId], [1, "3"]);
    const told = await deployment.text(`/tasks/${taskId}/points/run-1/log`);
    const { points } = JSON.parse(
      told.split("\n").find((line) => line.includes("opt_space")) ?? "",
    ) as {
      points: [object, number | null][];
    };
    assert.deepEqual(points, [
      [{ x: 1 }, 77],
      [{ x: 2 }, 77],
      [{ x: 3 }, 3],
    ]);
  });

  it("by doing nothing are ended as looping and after three times hopeless; those that compute, write or print are left alone", async () => {
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec: BEHAVIOUR, loopingSeconds: 2 } },
      { maxPoints: 4, nParallelEvaluation: 4, nPointsPerIteration: 4 },
    );
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual(
      [task.state, task.points.done, task.points.hopeless],
      ["finished", 3, 1],
      JSON.stringify(task),
    );
    const path = `/tasks/${taskId}/points`;
    const { items } = await deployment.request<{ items: PointView[] }>("GET", path);
    assert.deepEqual(
      items.map(({ state }) => state),
      ["hopeless", "done", "done", "done"],
    );
    assert.notEqual(task.best?.pointId, "0", "a penalty is never the best");
    const { history } = await deployment.request<PointDetail>("GET", `${path}/0`);
    assert.equal(history.length, 3);
    for (const { outcome } of history) {
      assert.ok(outcome.type === "timeout", JSON.stringify(outcome));
      assert.match(
        outcome.message,
        /^ended as looping: for 2 s it wrote no file .*--loopingTimeout/,
      );
    }
  });
});
