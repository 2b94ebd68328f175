import assert from "node:assert/strict";
import type { PointDetail, PointView, SegmentDetail } from "../../protocol/rest.ts";
import { Deployment } from "../support/deployment.ts";
import { requireTool } from "../support/requires.ts";
import { runCli } from "../support/run-cli.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const SEGMENTS = [{ name: "barrel", files: ["b.h5"] }, { name: "endcap" }];
const LIMITS = { maxPoints: 6, nParallelEvaluation: 3 };

/** One range per segment, so that a point of the wrong segment shows by its loss. */
const RANGES = SEGMENTS.map((_, id) => {
  const dimension = { low: id * 10, high: id * 10 + 1 };
  return { model_id: id, search_space: { x: { method: "uniform", dimension } } };
});

/** Writes its x as the loss, and as the message what it was told of its segment. */
const EVALUATION = [
  `x=$(sed 's/.*"x": *\\([-0-9.e]*\\).*/\\1/' input.json)`,
  `echo "{\\"loss\\": $x, \\"message\\": \\"%SEGMENT_NAME $HYPERPILOT_SEGMENT $HYPERPILOT_SEGMENT_ID\\"}" > output.json`,
].join("; ");

/** A steering program in the manner of hpogrid: proposes for every model, up to the given number of pending points. */
const PROGRAM = `python3 - %IN %OUT %NUM_POINTS %MAX_POINTS <<'END'
import json, sys
told = json.load(open(sys.argv[1]))
assert int(sys.argv[4]) == 12, sys.argv
points = []
for space in told["opt_space"]:
    model, low = space["model_id"], space["search_space"]["x"]["dimension"]["low"]
    own = [loss for (of, _), loss in told["points"] if of == model]
    for n in range(int(sys.argv[3]) - own.count(None)):
        points.append([model, {"x": low + (len(own) + n) / 100}])
json.dump(points, open(sys.argv[2], "w"))
END`;

describe("a segmented search on real processes", function () {
  this.timeout(120_000);
  let directory: ReturnType<typeof temporaryDirectory>;
  let deployment: Deployment;

  before(function () {
    requireTool(this, "bwrap");
    requireTool(this, "python3");
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

  const search = {
    segments: SEGMENTS,
    searchSpace: JSON.stringify(RANGES),
    evaluation: { container: "host:", exec: EVALUATION },
  };

  const items = async <T>(path: string): Promise<T[]> =>
    (await deployment.request<{ items: T[] }>("GET", path)).items;

  /** Every segment has all its points, each evaluated with what it belongs to, and a best of its own. */
  async function checkSegments(taskId: number): Promise<void> {
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done, task.maxPoints], ["finished", 12, 12]);
    const points = await items<PointView>(`/tasks/${taskId}/points`);
    for (const { name, segment } of task.segments) {
      const own = points.filter((point) => point.segment === segment);
      assert.equal(own.length, 6);
      for (const { loss, text, pointId } of own) {
        assert.deepEqual(JSON.parse(text), [segment, { x: loss }]);
        assert.equal(Math.floor((loss ?? NaN) / 10), segment);
        const { history } = await deployment.request<PointDetail>(
          "GET",
          `/tasks/${taskId}/points/${pointId}`,
        );
        const outcome = history.at(-1)?.outcome;
        const message = outcome?.type === "loss" ? outcome.message : "";
        assert.equal(message, `${name} ${name} ${segment}`);
      }
      const best = own.reduce((a, b) => ((a.loss ?? NaN) < (b.loss ?? NaN) ? a : b));
      assert.equal(task.segments[segment]?.best?.loss, best.loss);
    }
    assert.equal(task.best?.loss, task.segments[0]?.best?.loss);
  }

  it("with built-in steering evaluates each segment in its own space, and shows the best of each", async () => {
    const taskId = await deployment.submit({ ...search, steering: { method: "tpe" } }, LIMITS);
    await checkSegments(taskId);
    const [barrel] = await items<SegmentDetail>(`/tasks/${taskId}/segments`);
    assert.deepEqual([barrel?.name, barrel?.files], ["barrel", ["b.h5"]]);
    const cli = async (...args: string[]): Promise<string[][]> => {
      const environment = { HYPERPILOT_DATA: deployment.data };
      const { stdout, stderr, exitCode } = await runCli(args, { environment });
      assert.equal(exitCode, 0, stderr);
      return stdout
        .trim()
        .split("\n")
        .map((line) => line.split("\t"));
    };
    const best = await cli("task", "best", String(taskId), "--segments");
    assert.deepEqual(
      best.map(([name, loss]) => [name, Math.floor(Number(loss) / 10)]),
      [
        ["barrel", 0],
        ["endcap", 1],
      ],
    );
    assert.ok((await cli("task", "best", String(taskId))).some((line) => line[1] === "barrel"));
    const shown = await cli("task", "show", String(taskId));
    assert.equal(shown.filter(([field]) => field === "Segment").length, 2);
    const endcap = await cli("task", "points", String(taskId), "--segment", "endcap");
    assert.deepEqual(new Set(endcap.map((line) => line[1])), new Set(["endcap"]));
    assert.equal(endcap.length, 6);
  });

  it("with a steering program is told and served segment by segment", async () => {
    const steering = { container: "host:", exec: PROGRAM };
    const taskId = await deployment.submit({ ...search, steering }, LIMITS);
    await checkSegments(taskId);
    const runs = (await deployment.journalAfterStop()).filter((one) => one.type === "runOpened");
    for (const run of runs) assert.ok((run.asked?.length ?? 0) > 0);
    assert.equal(
      runs.reduce((sum, run) => sum + run.wanted, 0),
      12,
    );
  });

  it("keeps slots busy with random points while its steering waits for a central slot", async () => {
    const { items: queues } = await deployment.request<{
      items: { config: { name: string; role: string } }[];
    }>("GET", "/queues");
    const central = queues.find(({ config }) => config.role === "central")?.config;
    const path = `/queues/${central?.name ?? ""}`;
    await deployment.request("PUT", path, { ...central, state: "offline" });
    const steering = { container: "host:", exec: PROGRAM };
    const taskId = await deployment.submit(
      { ...search, steering, whileSteering: "random" },
      { ...LIMITS, nPointsPerIteration: 4 },
    );
    await waitUntil(
      "half of what the run was opened for is drawn and evaluated",
      async () => (await deployment.task(taskId)).points.done === 4 || null,
      { timeoutMs: 60_000 },
    );
    await deployment.request("PUT", path, { ...central, state: "online" });
    await checkSegments(taskId);
    const points = await items<PointView>(`/tasks/${taskId}/points`);
    const origins = points.map(({ origin }) => origin);
    assert.ok(origins.filter((origin) => origin === "random").length >= 4);
    assert.ok(origins.filter((origin) => origin === "steering").length >= 6);
  });
});
