import assert from "node:assert/strict";
import { TASK } from "../../../protocol/limits.ts";
import { isEnded } from "../../../protocol/states.ts";
import { apply } from "../../../server/apply.ts";
import { createCore, type Task } from "../../../server/core.ts";
import { askRequest } from "../../../server/effects.ts";
import { askSampler } from "../../../server/samplers/sampler.ts";
import { steeringInput } from "../../../server/tasks/steering-files.ts";
import { answerRun, STEERING, worldWithCentral } from "../../support/central-steering.ts";
import { specification, World, type TestPilot } from "../../support/reactor-world.ts";

const TWO = [{ name: "barrel" }, { name: "endcap" }];
const THREE = [...TWO, { name: "forward" }];
const SPACE = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';

/** Texts of the points of one segment. */
function textsIn(task: Task, segment: number): string[] {
  return [...task.points.values()]
    .filter((point) => point.segment === segment)
    .map((point) => point.text);
}

function untilEnded(task: Task, step: () => unknown): void {
  while (!isEnded(task.state)) step();
}

/** Ends the evaluation that runs, with a loss made from its segment. */
function lossOfSegment(pilot: TestPilot, task: Task, lossOf: (segment: number) => number): number {
  const { item } = pilot.lease();
  const point = item.type === "evaluation" ? task.points.get(item.pointId) : undefined;
  const segment = point?.segment ?? -1;
  pilot.loss(lossOf(segment));
  return segment;
}

describe("a segmented search", () => {
  it("tells its steering container one space per segment, and points with their model_id, byte for byte", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const searchSpace = '{ "10": 1, "2": {"method": "anything"} }';
    const task = world.submit(
      { steering: STEERING, segments: TWO, searchSpace },
      { maxPoints: 4, nPointsPerIteration: 1 },
    );
    answerRun(central, '[[0, {"x": 1.0, "a":1}], [1 ,{"x":2}]]');
    worker.loss(0.5);
    assert.equal(
      steeringInput(task),
      `{"points": [[[0, {"x": 1.0, "a":1}], 0.5], [[1 ,{"x":2}], null]], "opt_space": ` +
        `[{"model_id": 0, "search_space": ${searchSpace}}, {"model_id": 1, "search_space": ${searchSpace}}]}`,
    );
  });

  it("passes a space that is a list already, and no space at all, on as they are", () => {
    const { world } = worldWithCentral();
    const list = `[{"model_id": 1, "search_space": ${SPACE}}]`;
    for (const [searchSpace, told] of [
      [list, list],
      ["null", "null"],
      ["", "null"],
    ] as const) {
      const task = world.submit({ steering: STEERING, segments: TWO, searchSpace });
      assert.equal(steeringInput(task), `{"points": [], "opt_space": ${told}}`);
    }
  });

  it("gives steering programs the points of one segment and the maximum of all segments", () => {
    const { world, central } = worldWithCentral();
    world.submit({ steering: STEERING, segments: THREE }, { maxPoints: 4, nPointsPerIteration: 2 });
    assert.deepEqual(central.last("grant")?.items[0]?.steering, { numPoints: 2, maxPoints: 12 });
  });

  it("takes as many points of an answer as each segment has room for", () => {
    const { world, central } = worldWithCentral();
    const task = world.submit(
      { steering: STEERING, segments: TWO },
      { maxPoints: 3, nPointsPerIteration: 2 },
    );
    const many = [0, 0, 0, 1, 1, 1, 1].map((id, index) => `[${id},{"x":${index}}]`);
    answerRun(central, `[${many.join(",")}]`);
    assert.deepEqual(textsIn(task, 0), ['[0,{"x":0}]', '[0,{"x":1}]']);
    assert.deepEqual(textsIn(task, 1), ['[1,{"x":3}]', '[1,{"x":4}]']);
    assert.deepEqual(world.eventsOf("runAnswered")[0]?.surplus, 3);
  });

  it("runs steering for the segments that are due, and cuts what is proposed for others", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot({ slots: 4 });
    const task = world.submit(
      { steering: STEERING, segments: TWO },
      { maxPoints: 4, nPointsPerIteration: 2, nParallelEvaluation: 4 },
    );
    const both = '[[0,{"x":1}],[0,{"x":2}],[1,{"x":1}],[1,{"x":2}]]';
    answerRun(central, both);
    worker.loss(1, 0);
    assert.ok(central.isIdle(), "one point is pending in each segment");
    worker.loss(1, 2);
    assert.ok(!central.isIdle(), "nothing is pending in the first");
    assert.deepEqual(world.eventsOf("runOpened")[1]?.asked, [
      { segment: 0, pending: 0, generated: 2, wanted: 2 },
    ]);
    answerRun(central, both);
    assert.deepEqual([textsIn(task, 0).length, textsIn(task, 1).length], [4, 2]);
    assert.equal(world.eventsOf("runAnswered")[1]?.surplus, 2);
  });

  it("opens one run for all segments that became due while another run was open", () => {
    const world = new World();
    world.answersAsks = false;
    const worker = world.pilot({ slots: 3 });
    world.submit(
      { segments: THREE },
      { maxPoints: 2, nPointsPerIteration: 1, minUnevaluatedPoints: 0, nParallelEvaluation: 3 },
    );
    const part = (segment: number) => ({ segment, texts: ['{"x":1}'], exhausted: null });
    world.proposeParts(world.asks[0]!, [0, 1, 2].map(part));
    for (const slot of [0, 1, 2]) worker.loss(1, slot);
    world.proposeParts(world.asks[1]!, [part(0)]);
    assert.deepEqual(
      world.eventsOf("runOpened").map((run) => run.asked?.map(({ segment }) => segment)),
      [[0, 1, 2], [0], [1, 2]],
    );
  });

  for (const [what, points, sentence] of [
    [
      "an unknown model_id",
      '[[0,{"x":1}],[2,{"x":1}]]',
      /entry 1 names model_id 2, but the task has segments 0 to 1/,
    ],
    ["a model_id that is no index", '[[0.5,{"x":1}]]', /entry 0 names model_id 0.5/],
    [
      "points without model_id",
      '[{"x":1}]',
      /entry 0 is an object, not \[model_id, \{\.\.\.\}\] of a segment/,
    ],
    ["a list of another form", "[[0,1]]", /entry 0 is a list of another form/],
  ] as const) {
    it(`refuses an answer with ${what}, saying so, and tries again`, () => {
      const { world, central } = worldWithCentral();
      const task = world.submit({ steering: STEERING, segments: TWO });
      answerRun(central, points);
      assert.deepEqual([task.run?.try, task.generated], [2, 0]);
      assert.match(world.eventsOf("runFailed")[0]?.reason ?? "", sentence);
    });
  }

  it("of a task without segments takes no lists", () => {
    const { world, central } = worldWithCentral();
    world.submit({ steering: STEERING });
    answerRun(central, '[[0,{"x":1}]]');
    assert.match(world.eventsOf("runFailed")[0]?.reason ?? "", /entry 0 is an array, not a point/);
  });

  it("asks a segment again that an answer left out, and ends it when it is left out alone", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const task = world.submit(
      { steering: STEERING, segments: TWO },
      { maxPoints: 1, nPointsPerIteration: 1 },
    );
    answerRun(central, '[[0,{"x":1}]]');
    assert.deepEqual([...(task.run?.asked.keys() ?? [])], [1]);
    answerRun(central, "[]");
    assert.equal(task.segments[1]?.askingEnded, "the steering proposed no more points");
    worker.loss(1);
    assert.deepEqual(
      [task.state, task.reason],
      [
        "finished",
        "barrel: all 1 points are evaluated; endcap: the steering proposed no more points; no loss in segment endcap",
      ],
    );
  });

  it("asks built-in steering about each segment alone: its points, its draws, the same form of answer", () => {
    const world = new World();
    const worker = world.pilot({ slots: 2 });
    const task = world.submit(
      { segments: TWO, steering: { method: "tpe" } },
      { maxPoints: 9, nPointsPerIteration: 3, minUnevaluatedPoints: 2, nParallelEvaluation: 2 },
    );
    assert.deepEqual(textsIn(task, 1), ['[1, {"x":4}]', '[1, {"x":5}]', '[1, {"x":6}]']);
    worker.loss(0.25, 0);
    const requests = [0, 1].map((segment) => askRequest(task, 3, "tpe", { segment, wanted: 2 }));
    assert.deepEqual(
      requests.map(({ points }) => points.map(({ text, loss }) => [text, loss])),
      [
        [['{"x":1}', 0.25], ['{"x":2}', null], ['{"x":3}', null]],
        [['{"x":4}', null], ['{"x":5}', null], ['{"x":6}', null]],
      ],
    ); // prettier-ignore
    assert.deepEqual(
      requests.map(({ seed }) => seed),
      ["7:segment:0:run:3", "7:segment:1:run:3"],
    );
    const [first, second] = requests.map((request) => askSampler(request).texts);
    assert.notDeepEqual(first, second);
  });

  it("draws for a task without segments as before there were any", () => {
    const world = new World();
    const task = world.submit({ steering: { method: "tpe" } });
    assert.equal(askRequest(task, 3, "tpe", { segment: 0, wanted: 2 }).seed, "7:run:3");
  });

  it("gives each segment the space of its own where the file is a list", () => {
    const world = new World();
    const other = SPACE.replace('"x"', '"y"');
    const searchSpace = `[{"model_id":1,"search_space":${other}},{"model_id":0,"search_space":${SPACE}}]`;
    const task = world.submit({ segments: TWO, searchSpace });
    const names = [0, 1].map(
      (segment) => askRequest(task, 0, "random", { segment, wanted: 1 }).space[0]?.name,
    );
    assert.deepEqual(names, ["x", "y"]);
    assert.throws(() => world.submit({ segments: THREE, searchSpace }), {
      code: "E_SEARCH_SPACE",
      message: /segment 2 has no entry/,
    });
  });

  it("grants its segments' points in turn, so that none starves behind a segment with many", () => {
    const { world, central } = worldWithCentral();
    const task = world.submit(
      { steering: STEERING, segments: THREE },
      { maxPoints: 4, nPointsPerIteration: 4 },
    );
    const points = [0, 0, 0, 0, 1, 1, 2].map((id, index) => `[${id},{"x":${index}}]`);
    answerRun(central, `[${points.join(",")}]`);
    const worker = world.pilot();
    const served = points.map(() => lossOfSegment(worker, task, () => 1));
    assert.deepEqual(served, [0, 1, 2, 0, 1, 0, 0]);
  });

  it("has maxPoints in each segment, and maxEvaluationJobs as many times as it has segments", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({ segments: THREE }, { maxPoints: 2, maxEvaluationJobs: 3 });
    assert.equal(task.effective.maxEvaluationJobs, 9);
    untilEnded(task, () => worker.loss(1));
    assert.deepEqual(
      [task.generated, task.reason],
      [6, "all 2 points are evaluated in each of 3 segments"],
    );
    const unlimited = world.submit({ segments: THREE }, { maxPoints: 2 });
    assert.equal(unlimited.effective.maxEvaluationJobs, 12);
  });

  it("evaluates nParallelEvaluation points at a time, whichever segments they are of", () => {
    const world = new World();
    world.pilot({ slots: 8 });
    const task = world.submit({ segments: THREE }, { maxPoints: 9, nParallelEvaluation: 4 });
    assert.equal(task.counts.leased, 4);
    const { nPointsPerIteration, minUnevaluatedPoints } = task.effective;
    assert.deepEqual([nPointsPerIteration, minUnevaluatedPoints], [4, 3], "4 slots, 3 segments");
  });

  it("says which numbers keep all slots busy, shared among its segments", () => {
    const world = new World();
    const { warnings } = world.command<"submitTask">({
      type: "submitTask",
      spec: specification(
        { segments: THREE },
        { maxPoints: 600, nPointsPerIteration: 2, nParallelEvaluation: 300 },
      ),
    });
    assert.match(
      warnings[0] ?? "",
      /at most 6 of 300 .* is 2 in each of 3 segments; to keep all busy: hyperpilot task limits \d+ --nPointsPerIteration 102 --minUnevaluatedPoints 101/,
    );
  });

  it("has a best in each segment, and the best of all", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({ segments: TWO, direction: "max" }, { maxPoints: 2 });
    let loss = 0;
    untilEnded(task, () => lossOfSegment(worker, task, (segment) => (loss += 1) + 10 * segment));
    const best = task.segments.map((segment) => segment.best);
    assert.ok((best[0]?.loss ?? 99) < 10 && (best[1]?.loss ?? 0) > 10);
    assert.equal(task.best, best[1]);
  });

  it("is finished when one segment has a loss, and says which have none", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const task = world.submit(
      { steering: STEERING, segments: THREE },
      { maxPoints: 1, nPointsPerIteration: 1 },
    );
    answerRun(central, '[[0,{"x":1}],[1,{"x":1}],[2,{"x":1}]]');
    worker.end({ type: "diverged", value: "NaN", exitCode: 0, message: "" });
    worker.loss(2);
    worker.end({ type: "diverged", value: "NaN", exitCode: 0, message: "" });
    assert.deepEqual(
      [task.state, task.reason],
      [
        "finished",
        "all 1 points are evaluated in each of 3 segments; no loss in segments barrel, forward",
      ],
    );
  });

  it("names only some of very many segments without a loss", () => {
    const world = new World();
    const worker = world.pilot();
    const segments = Array.from({ length: 20 }, (_, index) => ({ name: `s${index}` }));
    const task = world.submit({ segments }, { maxPoints: 1 });
    worker.loss(1);
    world.command({ type: "controlTask", taskId: task.id, action: "hardFinish" });
    assert.equal(
      task.reason,
      "finished at once by anna; no loss in segments s1, s2, s3, s4, s5 and 14 more",
    );
  });

  it("ends with 'all combinations done' when the spaces of all segments are used up", () => {
    const world = new World();
    world.answersAsks = false;
    const worker = world.pilot();
    const task = world.submit({ segments: TWO }, { maxPoints: 50, nPointsPerIteration: 2 });
    const used = (segment: number, exhausted: string | null) => ({
      segment,
      texts: ['{"x":1}'],
      exhausted,
    });
    world.proposeParts(world.asks[0]!, [used(0, "all 18 combinations done"), used(1, null)]);
    worker.loss(1);
    worker.loss(1);
    assert.deepEqual([...(task.run?.asked.keys() ?? [])], [1], "the first is not asked again");
    assert.equal(task.state, "running");
    world.proposeParts(world.asks[1]!, [used(1, "all 18 combinations done")]);
    worker.loss(1);
    assert.deepEqual(
      [task.state, task.reason],
      ["finished", "all 18 combinations done in each of 2 segments"],
    );
  });

  it("tells a segment's failed points by the worst loss of that segment", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const task = world.submit(
      { steering: STEERING, segments: TWO, failFast: false },
      { maxPoints: 2, nPointsPerIteration: 2 },
    );
    answerRun(central, '[[0,{"x":1}],[0,{"x":2}],[1,{"x":1}],[1,{"x":2}]]');
    const failed = new Set<number>();
    while (task.counts.ready + task.counts.leased > 0) {
      const { item } = worker.lease();
      const point = item.type === "evaluation" ? task.points.get(item.pointId) : undefined;
      const segment = point?.segment ?? 0;
      if (failed.has(segment)) worker.loss(segment === 0 ? 1 : 5e6);
      else {
        failed.add(segment);
        worker.end({ type: "diverged", value: "NaN", exitCode: 0, message: "" });
      }
    }
    const input = steeringInput(task);
    assert.match(input, /\[\[0,\{"x":1\}\], 100000\]/);
    assert.match(input, /\[\[1,\{"x":1\}\], 50000000\]/);
  });

  it("reuses the loss of a duplicate of the same segment only", () => {
    const { world, central } = worldWithCentral();
    const worker = world.pilot();
    const task = world.submit(
      { steering: STEERING, segments: TWO, duplicates: "reuse" },
      { maxPoints: 3, nPointsPerIteration: 1 },
    );
    answerRun(central, '[[0,{"x":1}],[1,{"x":2}]]');
    worker.loss(1);
    answerRun(central, '[[0,{"x":1}]]');
    answerRun(central, '[[0,{"x":3}]]');
    worker.loss(2);
    answerRun(central, '[[1,{"x":1}]]');
    assert.deepEqual(
      ["2", "3", "4"].map((id) => task.points.get(id)?.loss),
      [1, null, null],
    );
    assert.deepEqual(task.points.get("4")?.segment, 1);
  });

  it("retries a point in its segment, outside of its maxPoints", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({ segments: TWO }, { maxPoints: 1 });
    untilEnded(task, () => worker.loss(1));
    const original = [...task.points.values()].find((point) => point.segment === 1);
    world.command({ type: "retryPoints", taskId: task.id, pointIds: [original?.id ?? ""] });
    const retry = task.points.get("2");
    assert.deepEqual([retry?.segment, retry?.text], [1, original?.text]);
    assert.equal(task.segments[1]?.generated, 1);
    worker.loss(0);
    assert.deepEqual([task.state, task.best?.id], ["finished", "2"]);
  });

  it("goes on in every segment when maxPoints is raised after its end", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({ segments: TWO }, { maxPoints: 1 });
    untilEnded(task, () => worker.loss(1));
    world.command({ type: "changeLimits", taskId: task.id, limits: { maxPoints: 3 } });
    untilEnded(task, () => worker.loss(1));
    assert.deepEqual(
      task.segments.map((segment) => segment.generated),
      [3, 3],
    );
  });

  it("tells a pilot each point's segment, and nothing of the other segments", () => {
    const world = new World();
    const worker = world.pilot();
    world.submit({ segments: TWO }, { maxPoints: 1 });
    const grant = worker.last("grant");
    assert.deepEqual(grant?.items[0]?.segment, { id: 0, name: "barrel" });
    assert.deepEqual(grant.specs[0]?.spec.segments, []);
    worker.loss(1);
    assert.deepEqual(worker.last("grant")?.items[0]?.segment, { id: 1, name: "endcap" });
    const plain = new World();
    const other = plain.pilot();
    plain.submit({}, { maxPoints: 1 });
    assert.ok(!("segment" in (other.last("grant")?.items[0] ?? {})));
  });
});

describe("submission of a segmented search", () => {
  it("refuses two segments of one name", () => {
    const world = new World();
    assert.throws(() => world.submit({ segments: [...TWO, { name: "barrel" }] }), {
      code: "E_TASK_SPECIFICATION",
      message: /Two segments have the name "barrel"/,
    });
  });

  it("refuses names with control characters, which no command line can hold", () => {
    for (const name of ["a\0b", "a\nb"])
      assert.throws(() => specification({ segments: [{ name }] }), /no control characters/);
  });

  it("refuses more points in all segments together than a task may have, also later", () => {
    const world = new World();
    const maxPoints = TASK.pointsMax / 2 + 1;
    assert.throws(() => world.submit({ segments: TWO }, { maxPoints }), {
      code: "E_TASK_SPECIFICATION",
      remedy: /--maxPoints 5000000 or less/,
    });
    const task = world.submit({ segments: TWO });
    const change = () =>
      world.command({ type: "changeLimits", taskId: task.id, limits: { maxPoints } });
    assert.throws(change, { code: "E_TASK_SPECIFICATION" });
  });

  it("refuses a search space that every %IN would repeat too many times", () => {
    const { world } = worldWithCentral();
    const segments = Array.from({ length: TASK.segmentsMax }, (_, index) => ({
      name: `s${index}`,
    }));
    const searchSpace = `{"x": "${"y".repeat(TASK.segmentSpacesBytesMax / TASK.segmentsMax)}"}`;
    assert.throws(() => world.submit({ steering: STEERING, segments, searchSpace }), {
      code: "E_TASK_SPECIFICATION",
      why: /repeats it for each segment/,
    });
    world.submit({ steering: STEERING, segments: segments.slice(0, 900), searchSpace });
  });
});

describe("a journal from before there were segments", () => {
  it("is replayed: tasks are one search, runs were for it, points are of it", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({}, { maxPoints: 3, nPointsPerIteration: 2 });
    for (let point = 0; point < 3; point += 1) worker.loss(point);
    const core = createCore();
    const since = ["segments", "whileSteering", "datasets", "checkpoint", "clientOptions"];
    for (const event of world.events) {
      assert.ok(!("segment" in event) && !("asked" in event) && !("endsSegments" in event));
      if (event.type !== "taskDefined") {
        apply(core, event);
        continue;
      }
      const { needs, ...spec } = event.spec;
      const { internet: _internet, alternatives: _alternatives, ...oldNeeds } = needs;
      const old = Object.entries({ ...spec, needs: oldNeeds }).filter(
        ([name]) => !since.includes(name),
      );
      apply(core, { ...event, spec: Object.fromEntries(old) as unknown as typeof event.spec });
    }
    const replayed = core.tasks.get(task.id);
    assert.deepEqual(
      [replayed?.state, replayed?.segments.length, replayed?.segments[0]?.generated],
      ["finished", 1, 3],
    );
    assert.equal(replayed?.best?.loss, 0);
  });
});
