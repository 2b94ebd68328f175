/** What people ask of a task against losses, failures and steering that arrive at the same time: every order of every few of them. */
import assert from "node:assert/strict";
import { isEnded, isFinal } from "../../../protocol/states.ts";
import { apply } from "../../../server/apply.ts";
import { createCore, type Task } from "../../../server/core.ts";
import type { HyperpilotEvent } from "../../../server/events.ts";
import { randomStream } from "../../../server/samplers/random-stream.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

const IN_A_ROW = 4;
const LONG_ORDERS = 400;

/** What the events so far allow the next ones to be. */
class Rules {
  private state = "defined";
  private drains = false;
  private round = 1;
  private maxPoints: number;
  private nParallelEvaluation: number;
  private generated = 0;
  private runIsOpen = false;
  private readonly jobs = new Set<number>();
  private readonly ends = new Map<number, string>();
  private readonly losses = new Map<string, number>();
  private readonly attempts = new Map<string, number>();
  private looked = 0;

  constructor(task: Task) {
    this.maxPoints = task.effective.maxPoints;
    this.nParallelEvaluation = task.effective.nParallelEvaluation;
  }

  check(world: World, task: Task): void {
    for (; this.looked < world.events.length; this.looked += 1) {
      const event = world.events[this.looked];
      if (event !== undefined) this.take(event, task);
    }
    for (const [pointId, loss] of this.losses) assert.equal(task.points.get(pointId)?.loss, loss);
    const { ready, leased } = task.counts;
    for (const state of ["ready", "leased", "done", "cancelled", "notEvaluated"] as const) {
      const counted = [...task.points.values()].filter((point) => point.state === state).length;
      assert.equal(task.counts[state], counted, state);
    }
    if (!isEnded(task.state)) return;
    assert.deepEqual([ready, leased, task.run, task.jobs.size], [0, 0, null, 0]);
    if (task.state === "finished") assert.ok(task.lossCount > 0);
    if (task.state === "failed") assert.equal(task.lossCount, 0);
  }

  private take(event: HyperpilotEvent, task: Task): void {
    switch (event.type) {
      case "taskStateChanged": {
        if (isEnded(task.state) && this.state === "aborted")
          assert.notEqual(event.state, "finished");
        if (event.state === "running" && this.ends.has(this.round)) this.round += 1;
        this.state = event.state;
        this.drains = event.drains;
        if (event.state !== "finished" && event.state !== "failed" && event.state !== "aborted")
          return;
        assert.ok(!this.ends.has(this.round), `round ${this.round} ends twice`);
        return void this.ends.set(this.round, event.state);
      }
      case "taskLimitsChanged":
        this.maxPoints = event.limits.maxPoints;
        this.nParallelEvaluation = event.limits.nParallelEvaluation;
        return;
      case "leaseGranted":
        return assert.ok(
          this.state === "running" || (this.state === "finishing" && !this.drains),
          `a point is granted although the task is ${this.state}`,
        );
      case "jobStarted":
        this.jobs.add(event.jobId);
        return assert.ok(this.jobs.size <= this.nParallelEvaluation, "too many jobs");
      case "jobEnded":
        return void this.jobs.delete(event.jobId);
      case "runOpened":
        assert.ok(!this.runIsOpen && this.state === "running");
        this.runIsOpen = true;
        return;
      case "runAnswered":
        this.runIsOpen = false;
        return;
      case "runFailed":
        if (event.endsAsking !== null) this.runIsOpen = false;
        return;
      case "pointGenerated":
        if (event.retryOf !== null) return;
        this.generated += 1;
        return assert.ok(this.generated <= this.maxPoints, "more points than maxPoints");
      case "attemptEnded": {
        const attempts = (this.attempts.get(event.pointId) ?? 0) + 1;
        this.attempts.set(event.pointId, attempts);
        return assert.ok(attempts <= 3 && attempts === event.attempt);
      }
      case "pointFinal":
        if (event.loss === null) return;
        assert.ok(!this.losses.has(event.pointId), "two losses");
        return void this.losses.set(event.pointId, event.loss);
      default:
        return;
    }
  }
}

/** A task with two losses, two points that are evaluated, and steering that has been asked and not answered. */
class Race {
  readonly world = new World();
  readonly task: Task;
  private readonly pilots: TestPilot[];
  private readonly rules: Rules;
  private answered = 0;

  constructor() {
    const { world } = this;
    world.answersAsks = false;
    this.task = world.submit(
      { failFast: false },
      {
        ...{ maxPoints: 6, nParallelEvaluation: 2, maxEvaluationJobs: 8 },
        ...{ nPointsPerIteration: 4, minUnevaluatedPoints: 3 },
      },
    );
    this.rules = new Rules(this.task);
    this.pilots = [world.pilot({ node: "n1" }), world.pilot({ node: "n2" })];
    this.answer();
    for (const pilot of this.pilots) pilot.loss(0.5);
    assert.deepEqual(
      [this.task.counts.done, this.task.counts.leased, this.task.run?.run],
      [2, 2, 1],
    );
    this.check();
  }

  check(): void {
    this.rules.check(this.world, this.task);
  }

  answer(): void {
    const ask = this.world.asks[this.answered];
    if (ask === undefined) return;
    this.answered += 1;
    this.world.propose(ask, ['{"x":1}', '{"x":2}', '{"x":3}', '{"x":4}']);
  }

  control(action: "pause" | "resume" | "finish" | "hardFinish" | "kill"): void {
    this.allowed(() => this.world.command({ type: "controlTask", taskId: this.task.id, action }));
  }

  limits(maxPoints: number, nParallelEvaluation: number): void {
    const limits = { maxPoints, nParallelEvaluation };
    const { id: taskId } = this.task;
    this.allowed(() => this.world.command({ type: "changeLimits", taskId, limits }));
  }

  retry(pointId: string): void {
    const { id: taskId } = this.task;
    const command = { type: "retryPoints", taskId, pointIds: [pointId] } as const;
    this.allowed(() => this.world.command<"retryPoints">(command));
  }

  /** What the state does not allow is refused and changes nothing. */
  private allowed(command: () => void): void {
    const before = this.world.events.length;
    try {
      command();
    } catch (error) {
      assert.equal((error as { code?: string }).code, "E_CONFLICT", String(error));
      assert.equal(this.world.events.length, before);
    }
  }

  /** The evaluation of a pilot ends; if it was revoked meanwhile, its pilot does not know yet. */
  end(index: 0 | 1, kind: "loss" | "fail"): void {
    const pilot = this.pilots[index];
    if (pilot === undefined || pilot.isIdle()) return;
    const { item, epoch } = pilot.lease();
    const point = item.type === "evaluation" ? this.task.points.get(item.pointId) : undefined;
    const isRevoked = point === undefined || isFinal(point.state) || point.epoch[1] !== epoch[1];
    const before = this.world.events.length;
    if (kind === "loss") pilot.loss(0.1);
    else pilot.fail();
    const answer = [...pilot.received]
      .reverse()
      .find(({ type }) => /^(accepted|stale)$/.test(type));
    assert.equal(answer?.type, isRevoked ? "stale" : "accepted");
    const ended = this.world.events.slice(before).filter(({ type }) => type === "attemptEnded");
    assert.equal(ended.length, isRevoked ? 0 : 1);
  }

  /** Lets everything go on: the task ends, and the journal gives the same state. */
  conclude(): void {
    if (this.task.state === "paused") this.control("resume");
    for (let round = 0; round < 60 && !isEnded(this.task.state); round += 1) {
      this.answer();
      for (const index of [0, 1] as const) this.end(index, "loss");
      for (const pilot of this.pilots) if (pilot.isIdle()) pilot.request(0);
      this.check();
    }
    assert.ok(isEnded(this.task.state), `${this.task.state}: ${JSON.stringify(this.task.counts)}`);
    const rebuilt = createCore();
    for (const event of this.world.events) apply(rebuilt, event);
    const { state, counts, generated, jobsCharged, round } = this.task;
    const again = rebuilt.tasks.get(this.task.id);
    assert.deepEqual(
      [again?.state, again?.counts, again?.generated, again?.jobsCharged, again?.round],
      [state, counts, generated, jobsCharged, round],
    );
  }
}

const ACTIONS: Readonly<Record<string, (race: Race) => void>> = {
  pause: (race) => race.control("pause"),
  resume: (race) => race.control("resume"),
  finish: (race) => race.control("finish"),
  "finish at once": (race) => race.control("hardFinish"),
  kill: (race) => race.control("kill"),
  "lower limits": (race) => race.limits(3, 1),
  "raise limits": (race) => race.limits(9, 3),
  loss: (race) => race.end(0, "loss"),
  failure: (race) => race.end(1, "fail"),
  "steering answers": (race) => race.answer(),
  "retry a point": (race) => race.retry("0"),
};

function run(order: readonly string[]): void {
  const race = new Race();
  try {
    for (const name of order) {
      ACTIONS[name]?.(race);
      race.check();
    }
    race.conclude();
  } catch (error) {
    throw new Error(`${order.join(", ")}: ${String((error as Error).stack)}`);
  }
}

/** Every order of every `length` different names. */
function* orders(names: readonly string[], length: number): Generator<readonly string[]> {
  if (length === 0) {
    yield [];
    return;
  }
  for (const name of names) {
    const others = names.filter((other) => other !== name);
    for (const rest of orders(others, length - 1)) yield [name, ...rest];
  }
}

describe("control of a task against what happens meanwhile", function () {
  this.timeout(120_000);
  const names = Object.keys(ACTIONS);

  it(`keeps its rules in every order of every ${IN_A_ROW} of finish, kill, pause, resume, limits, losses, failures, steering and retries, and ends`, () => {
    let count = 0;
    for (const order of orders(names, IN_A_ROW)) {
      run(order);
      count += 1;
    }
    assert.equal(count, 11 * 10 * 9 * 8);
  });

  it(`keeps them in ${LONG_ORDERS} long orders drawn from seeds, rounds after rounds`, () => {
    let rounds = 0;
    for (let seed = 1; seed <= LONG_ORDERS; seed += 1) {
      const random = randomStream(`races ${seed}`);
      const order = Array.from({ length: 25 }, () => names[random.below(names.length)] ?? "");
      run(order);
      rounds += order.filter((name) => name === "raise limits").length;
    }
    assert.ok(rounds > LONG_ORDERS);
  });
});
