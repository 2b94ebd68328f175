import assert from "node:assert/strict";
import { SERVER } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { lackingFor, Needs } from "../../../protocol/resources.ts";
import * as rest from "../../../protocol/rest.ts";
import { localQueue, localQueueChanges } from "../../../server/queues/local-queue.ts";
import { statusView, tokenViews } from "../../../server/views/admin.ts";
import { firstOf, pageOf } from "../../../server/views/page.ts";
import { attemptViews, pointPage } from "../../../server/views/points.ts";
import { pilotPage, queueViews } from "../../../server/views/queues.ts";
import { taskDetail, taskPage } from "../../../server/views/tasks.ts";
import { World } from "../../support/reactor-world.ts";

const ANNA = { user: "anna", roles: ["user"] } as const;
const ADMIN = { user: "root", roles: ["admin"] } as const;

/** A search with losses 3, 1, 2 in this order, a fourth point running. */
function search(): World {
  const world = new World();
  const task = world.submit({}, { maxPoints: 4, nPointsPerIteration: 4, minUnevaluatedPoints: 0 });
  const pilot = world.pilot();
  for (const loss of [3, 1, 2])
    pilot.end({ type: "loss", loss, exitCode: 0, message: "" }, 0, { seconds: loss * 10 });
  assert.equal(task.counts.done, 3);
  return world;
}

describe("the view of a search", () => {
  it("has the shape that the API promises", () => {
    const world = search();
    const task = world.task(10_000_000);
    const detail = taskDetail(task);
    assert.deepEqual(rest.TaskDetail.parse(detail), detail);
    assert.deepEqual(detail.bestSoFar, [3, 1, 1]);
    assert.equal(detail.medianEvaluationSeconds, 20);
    assert.equal(detail.etaSeconds, 20);
    assert.deepEqual(detail.best, { pointId: "1", loss: 1, text: '{"x":2}' });
  });

  it("thins a long curve to 200 values and keeps its end", () => {
    const world = search();
    const task = world.task(10_000_000);
    task.lossCount = 1_001;
    task.bestSoFar.splice(0, Infinity, [1, 5], [500, 4], [1_001, 3]);
    const { bestSoFar } = taskDetail(task);
    assert.equal(bestSoFar.length, 200);
    assert.deepEqual([bestSoFar[0], bestSoFar[100], bestSoFar[199]], [5, 4, 3]);
  });

  it("estimates no end while it is paused", () => {
    const world = new World();
    const task = world.submit({}, { maxPoints: 9 });
    world.pilot().loss(1);
    assert.equal(typeof taskDetail(task).etaSeconds, "number");
    world.command({ type: "controlTask", taskId: task.id, action: "pause" });
    assert.equal(taskDetail(task).etaSeconds, null);
  });
});

describe("lists", () => {
  it("of searches show the newest first, one's own only, page by page", () => {
    const world = new World();
    for (let index = 0; index < 5; index += 1) world.submit();
    world.submit({}, {}, "bert");
    const first = taskPage(world.core, ANNA, { limit: 3, all: false });
    assert.deepEqual(
      first.items.map(({ taskId }) => taskId - 10_000_000),
      [4, 3, 2],
    );
    const second = taskPage(world.core, ANNA, { limit: 3, all: false, cursor: first.nextCursor! });
    assert.deepEqual(
      second.items.map(({ taskId }) => taskId - 10_000_000),
      [1, 0],
    );
    assert.equal(second.nextCursor, null);
    assert.equal(taskPage(world.core, ADMIN, { all: true }).items.length, 6);
    assert.equal(taskPage(world.core, ANNA, { all: true }).items.length, 5);
  });

  it("of points go by id or best loss first, those without a loss last", () => {
    const task = search().task(10_000_000);
    const ids = (filter: Partial<Parameters<typeof pointPage>[1]>): string[] =>
      pointPage(task, { sort: "id", ...filter }).items.map(({ pointId }) => pointId);
    assert.deepEqual(ids({}), ["0", "1", "2", "3"]);
    assert.deepEqual(ids({ cursor: "1" }), ["2", "3"]);
    assert.deepEqual(ids({ state: "leased" }), ["3"]);
    assert.deepEqual(ids({ sort: "loss" }), ["1", "2", "0", "3"]);
    assert.equal(pointPage(task, { sort: "loss", limit: 2 }).nextCursor, "2");
    assert.deepEqual(ids({ sort: "loss", limit: 2, cursor: "2" }), ["0", "3"]);
    assert.deepEqual(ids({ cursor: "nonsense" }), []);
    assert.deepEqual(rest.PointView.parse(pointPage(task, { sort: "id" }).items[0]).loss, 3);
  });

  it("never hold more than a page", () => {
    const items = Array.from({ length: SERVER.pageItemsMax + 500 }, (_, index) => index);
    const shape = { view: (item: number) => item, cursorOf: String };
    const page = pageOf(items, SERVER.pageItemsMax, shape);
    assert.equal(page.items.length, SERVER.pageItemsMax);
    assert.equal(page.nextCursor, String(SERVER.pageItemsMax - 1));
    assert.deepEqual(
      firstOf([5, 1, 4, 1, 3], 3, (a, b) => a - b),
      [1, 1, 3],
    );
    assert.deepEqual(
      firstOf([], 3, (a: number, b: number) => a - b),
      [],
    );
  });

  it("of queues and pilots have the promised shape and hide other people's points", () => {
    const world = search();
    const { core } = world;
    const { live } = world.reactor;
    const [queue] = queueViews(core, live);
    assert.deepEqual(rest.QueueView.parse(queue), queue);
    assert.deepEqual([queue?.pilots, queue?.slots, queue?.busySlots], [1, 1, 1]);
    const items = (principal: typeof ANNA | typeof ADMIN): string[] =>
      pilotPage(core, live, {}, { principal, monotonicMs: world.nowMs }).items.flatMap(
        (pilot) => rest.PilotView.parse(pilot).items,
      );
    assert.deepEqual(items(ANNA), ["10000000/3"]);
    assert.deepEqual(items(ADMIN), ["10000000/3"]);
    const bert = { user: "bert", roles: ["user"] } as const;
    assert.deepEqual(
      pilotPage(core, live, {}, { principal: bert, monotonicMs: 0 }).items[0]?.items,
      [],
    );
    assert.deepEqual(
      pilotPage(core, live, { queue: "other" }, { principal: ADMIN, monotonicMs: 0 }).items,
      [],
    );
  });
});

describe("the history of a point", () => {
  it("shows attempts and interruptions oldest first", () => {
    const world = new World();
    world.submit(
      { failFast: false },
      { maxPoints: 1, nPointsPerIteration: 1, minUnevaluatedPoints: 0 },
    );
    const pilot = world.pilot();
    pilot.fail();
    pilot.interrupt();
    pilot.drop();
    world.tick(61);
    const events = world.events.filter(
      (event) => event.type === "attemptEnded" || event.type === "leaseEnded",
    );
    const history = attemptViews(1, events.reverse());
    for (const entry of history) assert.deepEqual(rest.AttemptView.parse(entry), entry);
    assert.deepEqual(
      history.map(({ attempt, outcome }) => [
        attempt,
        outcome.type === "interrupted" ? outcome.reason : outcome.type,
      ]),
      [
        [1, "failed"],
        [2, "eviction"],
        [2, "pilotStop"],
      ],
    );
  });
});

describe("the view of the server", () => {
  it("has the promised shape and says what is wrong", () => {
    const world = search();
    const gauges = {
      version: "1",
      startedAtMs: 0,
      dataDirectory: "/data",
      sessions: 1,
      inboxItems: 0,
      memoryBytes: 1,
      eventLoopLagMsP99: 1,
      syncMsP99: 500,
      freeBytes: 10,
    };
    const view = statusView(world.core, world.reactor.live, gauges);
    assert.deepEqual(rest.StatusView.parse(view), view);
    const failed = view.checks.filter(({ ok }) => !ok).map(({ name }) => name);
    assert.deepEqual(failed, ["disk space", "journal", "harvesters"]);
  });

  it("lists tokens without their hashes", () => {
    const world = new World();
    world.command({
      type: "issueToken",
      id: "t1",
      sha256: "ab".repeat(32),
      role: { user: "anna", roles: ["user"] },
      name: "laptop",
    });
    const views = tokenViews(world.core);
    assert.deepEqual(rest.TokenView.parse(views[0]), views[0]);
    assert.ok(!JSON.stringify(views).includes("abab"));
  });
});

describe("the local queue", () => {
  const GB = 1e9;

  it("offers a machine in at least four slots, each large enough for a task's default needs", () => {
    for (const [cores, memoryBytes, slots] of [
      [2, 16 * GB, 4],
      [16, 64 * GB, 16],
      [1, 16 * GB, 2],
      [4, 3 * GB, 2],
      [1, GB, 1],
    ] as const) {
      const { slot } = localQueue({ cores, memoryBytes }, []);
      assert.equal(cores / slot.cpus, slots, `${cores} cores`);
      const resources = { cpus: slot.cpus, memoryBytes: slot.memoryMiB * 1_048_576, gpus: [] };
      if (memoryBytes > GB) assert.deepEqual(lackingFor(Needs.parse({}), resources), []);
    }
  });

  it("is made once, and later only its paths follow", () => {
    const machine = { cores: 2, memoryBytes: 16 * GB };
    const [made, central] = localQueueChanges(new Map(), machine, ["/opt/a"]);
    assert.ok(made !== undefined && central?.role === "central");
    assert.deepEqual(made.readOnlyPaths, ["/opt/a"]);
    const changed = QueueConfig.parse({ ...made, state: "drain" });
    const queues = new Map([["local", changed]]);
    assert.deepEqual(localQueueChanges(queues, machine, ["/opt/a"]), []);
    assert.deepEqual(localQueueChanges(queues, machine, undefined), []);
    assert.deepEqual(localQueueChanges(queues, machine, ["/opt/b"]), [
      { ...changed, readOnlyPaths: ["/opt/b"] },
    ]);
    assert.deepEqual(localQueueChanges(new Map([["slurm", made]]), machine, ["/opt/b"]), []);
  });
});
