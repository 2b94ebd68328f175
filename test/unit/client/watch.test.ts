import assert from "node:assert/strict";
import { displayWidth } from "../../../client/format.ts";
import { styleOf } from "../../../client/style.ts";
import { createDisplay } from "../../../client/watch/display.ts";
import { createOutput } from "../../../client/output.ts";
import { Progress } from "../../../client/watch/progress.ts";
import { screenLines } from "../../../client/watch/screen.ts";
import { parametersText } from "../../../client/words.ts";
import type { Api } from "../../../client/api.ts";
import { EventParser, taskStates } from "../../../client/watch/stream.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { TaskDetail } from "../../../protocol/rest.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const NOW = Date.parse("2026-01-01T12:00:00Z");

function detail(change: Partial<TaskDetail> = {}): TaskDetail {
  return TaskDetail.parse({
    taskId: 10_000_001,
    name: "digits\u001b[2J",
    owner: "anna",
    state: "running",
    reason: "evaluations run",
    createdAt: "2026-01-01T11:58:00Z",
    endedAt: null,
    maxPoints: 100,
    points: {
      ready: 3,
      leased: 8,
      done: 61,
      diverged: 1,
      hopeless: 2,
      cancelled: 0,
      notEvaluated: 0,
    },
    generated: 75,
    best: { pointId: "17", loss: 0.0312345678, text: '{"lr":0.01,"units":64,"act":"relu"}' },
    direction: "min",
    round: 1,
    spec: {
      specVersion: 1,
      name: "digits",
      seed: 7,
      clientTaskUuid: "12345678",
      steering: { method: "tpe" },
      searchSpace: "{}",
      evaluation: { container: "host:", exec: "true" },
      limits: {},
      needs: {},
    },
    limits: {
      maxPoints: 100,
      nParallelEvaluation: 8,
      maxEvaluationJobs: 200,
      nPointsPerIteration: 10,
      minUnevaluatedPoints: 9,
      maxPointsPerEvaluationJob: 1,
    },
    jobs: { active: 8, charged: 60, interrupted: 1 },
    attemptsFailed: 4,
    interruptions: 1,
    runs: { finished: 12, openRun: 13 },
    askingEnded: null,
    medianEvaluationSeconds: 12,
    etaSeconds: 60,
    bestSoFar: [0.5, 0.2, 0.1, 0.0312345678],
    warnings: [],
    ...change,
  });
}

describe("the live display", () => {
  const style = (columns: number, LANG = "C.UTF-8") =>
    styleOf({
      isTty: true,
      columns,
      rows: 24,
      environment: { NO_COLOR: "1", LANG },
      noColour: false,
    });
  const shown = { detail: detail(), changedAtMs: NOW - 30_000, away: null };

  it("shows state, time, points, best loss with its parameters, jobs and the last change", () => {
    assert.deepEqual(screenLines(shown, NOW, style(80)), [
      'Task 10000001 "digits\\x1b[2J"',
      "… running: evaluations run",
      "Time    2 min elapsed, about 1 min left",
      `        ${"█".repeat(37)}${"▓".repeat(2)}${"▄".repeat(5)}${"▁".repeat(2)}${"░".repeat(14)}`,
      "Points  done 61, running 8, ready 3, diverged 1, failed 2 of 100",
      "Best    0.0312346 (lowest so far, point 17)",
      "At      lr 0.01, units 64, act relu",
      "So far  █▄▂▁",
      "Jobs    8 active, 60 charged, 1 only interrupted",
      "Steer   12 runs finished, run 13 going on",
      "Changed 30 s ago",
    ]);
  });

  it("is never wider or higher than the terminal", () => {
    const long = detail({
      name: "n".repeat(300),
      best: {
        pointId: "1",
        loss: 1,
        text: JSON.stringify({ [`${"x".repeat(200)}é`]: "日本".repeat(50) }),
      },
      warnings: ["w".repeat(300), "w", "w", "w"],
    });
    for (const columns of [20, 40, 80, 200])
      for (const language of ["C", "C.UTF-8"]) {
        const lines = screenLines(
          { ...shown, detail: long, away: "x".repeat(300) },
          NOW,
          style(columns, language),
        );
        assert.ok(lines.length < 24);
        for (const line of lines) assert.ok(displayWidth(line) <= columns, `${columns}: ${line}`);
      }
  });

  it("shows the segments of a segmented task, and how many more there are", () => {
    const segment = (index: number): TaskDetail["segments"][number] => ({
      segment: index,
      name: `s${index}\u001b`,
      points: { ...detail().points, done: index },
      generated: index,
      best: index === 0 ? null : { pointId: "4", loss: index / 8 },
      askingEnded: index === 2 ? "all 18 combinations done" : null,
    });
    const segments = Array.from({ length: 12 }, (_, index) => segment(index));
    const lines = screenLines({ ...shown, detail: detail({ segments }) }, NOW, style(80));
    assert.deepEqual(lines.filter((line) => /^(Segment| {8}and)/.test(line)).slice(0, 3), [
      "Segment s0\\x1b: 3 of 100 points, no loss yet",
      "Segment s1\\x1b: 4 of 100 points, best loss 0.125 at point 4",
      "Segment s2\\x1b: 5 of 100 points, best loss 0.25 at point 4, all 18 combinations…",
    ]);
    assert.ok(lines.includes("        and 4 more segments"));
  });

  it("shows the parameters of a segment's point without its model_id", () => {
    assert.equal(parametersText('[1, {"lr": 0.5, "n": 3}]'), "lr 0.5, n 3");
    assert.equal(parametersText("[1, 2]"), "[1, 2]");
  });

  it("says when the server is away", () => {
    const lines = screenLines({ ...shown, away: "it cannot be reached" }, NOW, style(80));
    assert.match(lines.at(-1) ?? "", /^Server away: it cannot be reached; trying again$/);
  });

  it("draws over the last picture in one write, and gives the cursor back once", () => {
    const writes: string[] = [];
    const output = createOutput({
      stdout: { isTTY: true, columns: 80, write: (text) => writes.push(text) },
      stderr: { write: () => undefined },
      environment: { LANG: "C.UTF-8" },
      json: false,
      noColour: false,
    });
    const display = createDisplay(output);
    display.draw(["a", "b"]);
    display.draw(["c", "d"]);
    display.close();
    display.close();
    assert.deepEqual(writes, [
      "\u001b[?25la\u001b[K\nb\u001b[K\n\u001b[J",
      "\u001b[2A\rc\u001b[K\nd\u001b[K\n\u001b[J",
      "\u001b[?25h",
    ]);
  });
});

describe("progress without a terminal", () => {
  const points = (done: number) => ({
    ...detail().points,
    ready: 0,
    leased: 0,
    diverged: 0,
    hopeless: 0,
    done,
  });

  it("is a line per tenth, per state and per minute, and none else", () => {
    const progress = new Progress();
    const line = (done: number, atMs: number, change: Partial<TaskDetail> = {}) =>
      progress.next(detail({ points: points(done), etaSeconds: null, ...change }), atMs);
    assert.equal(
      line(0, 0),
      "Task 10000001 running: 0 of 100 points, best loss 0.0312346 at point 17",
    );
    assert.equal(line(5, 1_000), null);
    assert.match(line(10, 2_000) ?? "", /10 of 100/);
    assert.equal(line(11, 61_999), null);
    assert.match(line(11, 62_000) ?? "", /11 of 100/);
    assert.match(line(11, 62_001, { state: "paused" }) ?? "", /paused/);
  });
});

describe("a stream of a task's states", () => {
  /** Its connection never hears of the request's signal, as fetch's may not once the head has come. */
  function deaf(clock: FakeClock, signal: AbortSignal) {
    let wasCancelled = false;
    const body = new ReadableStream<Uint8Array>({ cancel: () => void (wasCancelled = true) });
    const api = { open: () => Promise.resolve(new Response(body)) } as unknown as Api;
    const states = taskStates({ api, taskId: 10, clock, signal, onAway: () => undefined });
    return { next: states.next(), wasCancelled: () => wasCancelled };
  }

  it("ends with its signal, also when its connection does not hear of it", async () => {
    const stop = new AbortController();
    const { next, wasCancelled } = deaf(new FakeClock(), stop.signal);
    await new Promise(setImmediate);
    stop.abort(new Error("interrupted"));
    assert.deepEqual(await next, { done: true, value: undefined });
    assert.ok(wasCancelled());
  });

  it("ends when nothing came for a while, not even a comment", async () => {
    const clock = new FakeClock();
    const { next, wasCancelled } = deaf(clock, new AbortController().signal);
    const refused = assert.rejects(next, { code: "E_UNREACHABLE" });
    await new Promise(setImmediate);
    clock.advance(90_000);
    await refused;
    assert.ok(wasCancelled());
  });
});

describe("server-sent events", () => {
  it("are found in whatever pieces they come", () => {
    const text = ': still here\n\nevent: task\ndata: {"a":1}\n\ndata: x\r\ndata:y\r\n\r\n';
    for (let size = 1; size <= text.length; size += 1) {
      const parser = new EventParser();
      const events: string[] = [];
      for (let at = 0; at < text.length; at += size)
        events.push(...parser.push(text.slice(at, at + size)));
      assert.deepEqual(events, ['{"a":1}', "x\ny"], `pieces of ${size}`);
    }
  });

  it("without an end are refused", () => {
    const parser = new EventParser();
    assert.throws(() => parser.push(`data: ${"x".repeat(8_000_001)}`), HyperpilotError);
  });
});
