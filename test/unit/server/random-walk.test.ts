import assert from "node:assert/strict";
import { TASK } from "../../../protocol/limits.ts";
import { isEnded, isFinal, POINT_STATES } from "../../../protocol/states.ts";
import { apply } from "../../../server/apply.ts";
import { createCore, type Core, type Task } from "../../../server/core.ts";
import { unchargedActiveJobs } from "../../../server/core.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { randomStream, type RandomStream } from "../../../server/samplers/random-stream.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

const SEEDS = 400;
const STEPS = 120;

/** Random pilots, results, losses of connections, commands and time, in random order, from one seed. */
class Walk {
  readonly world = new World({ name: "local", leaseSeconds: 60 });
  readonly random: RandomStream;
  readonly tasks: Task[] = [];
  readonly pilots: TestPilot[] = [];
  /** Final states seen, which must never change again. */
  private readonly finals = new Map<string, string>();
  private readonly epochs = new Map<string, readonly [number, number]>();

  private answered = 0;

  constructor(seed: number) {
    this.random = randomStream(`walk ${seed}`);
    this.world.answersAsks = false;
    this.world.command({
      type: "putQueue",
      config: QueueConfig.parse({ name: "central", role: "central", leaseSeconds: 60 }),
    });
    this.world.fromHarvester({
      type: "hello",
      protocol: { min: 1, max: 1 },
      harvester: "h",
      sites: [],
    });
  }

  step(): void {
    const actions = [
      () => this.submit(),
      () => void this.pilots.push(this.anyPilot()),
      () => this.endSomething(),
      () => this.endSomething(),
      () => this.endSomething(),
      () => this.endSomething(),
      () => this.somePilot()?.drop(),
      () => this.somePilot()?.connect(),
      () => this.reconnectForgetful(),
      () => this.somePilot()?.requestAll(),
      () => this.somePilot()?.beat(),
      () => this.world.tick(this.random.below(4) === 0 ? 61 : 5),
      () => this.answerAsk(),
      () => this.answerAsk(),
      () => this.answerRun(),
      () => this.answerRun(),
      () => this.replacePilot(),
      () => this.control(),
      () => this.changeLimits(),
      () => this.retry(),
    ];
    actions[this.random.below(actions.length)]?.();
  }

  private submit(): void {
    if (this.tasks.length > 4) return;
    const nPointsPerIteration = 1 + this.random.below(4);
    this.tasks.push(
      this.world.submit(
        {
          ...(this.random.below(4) === 0 ? { steering: { container: "host:", exec: "x" } } : {}),
          failFast: this.random.below(2) === 0,
          duplicates: this.random.below(3) === 0 ? "reuse" : "evaluate",
        },
        {
          maxPoints: 1 + this.random.below(8),
          nParallelEvaluation: 1 + this.random.below(4),
          nPointsPerIteration,
          minUnevaluatedPoints: this.random.below(nPointsPerIteration),
          maxEvaluationJobs: this.random.below(3) === 0 ? 1 + this.random.below(4) : null,
          maxPointsPerEvaluationJob: this.random.below(3) === 0 ? 1 : null,
        },
        this.random.below(2) === 0 ? "anna" : "bert",
      ),
    );
  }

  private anyPilot(): TestPilot {
    if (this.random.below(4) === 0) return this.world.pilot({ queue: "central" });
    return this.world.pilot({ slots: 1 + this.random.below(3), node: `n${this.random.below(3)}` });
  }

  /** Built-in steering answers, late or wrong or never. */
  private answerAsk(): void {
    const ask = this.world.asks[this.answered];
    if (ask === undefined) return;
    this.answered += 1;
    if (this.random.below(6) === 0) return this.world.failAsk(ask, "it broke");
    this.world.propose(ask, this.texts(this.random.below(5)));
    if (this.random.below(4) === 0) this.world.propose(ask, this.texts(2));
  }

  private texts(count: number): string[] {
    return Array.from({ length: count }, () => `{"x":${this.random.below(6)}}`);
  }

  /** A central pilot answers the run that it holds. */
  private answerRun(): void {
    for (const pilot of this.pilots) {
      pilot.take();
      const lease = pilot.held.find((one) => one.item.type === "steering");
      if (lease === undefined) continue;
      const { item, epoch } = lease;
      pilot.held.splice(pilot.held.indexOf(lease), 1);
      const points =
        [null, "[]", "nonsense", `[${this.texts(2).join(",")}]`][this.random.below(4)] ?? null;
      pilot.send({ type: "runAnswer", item, epoch, seq: 1, points, message: "why", log: "" });
      if (this.random.below(3) === 0) {
        pilot.send({ type: "runAnswer", item, epoch, seq: 1, points, message: "why", log: "" });
      }
      return pilot.request(0);
    }
  }

  /** A pilot leaves for good: goodbye, its submission ended, or a new process took its place. */
  private replacePilot(): void {
    const index = this.random.below(Math.max(1, this.pilots.length));
    const pilot = this.pilots[index];
    if (pilot === undefined) return;
    const { submissionId } = pilot;
    const kind = this.random.below(3);
    if (kind === 0) pilot.send({ type: "bye", reason: "idle" });
    if (kind === 1) {
      const message = { type: "ended" as const, queue: "local", submissionId, detail: "killed" };
      this.world.fromHarvester(message);
    }
    if (kind === 2) {
      const sha256 = submissionId.padEnd(64, "0");
      const instance = `again-${this.random.below(1_000)}`;
      const newPilotId = `${pilot.id}-${this.random.below(1_000_000)}`;
      this.try(() =>
        this.world.command({ type: "exchangeBootSecret", sha256, instance, newPilotId }),
      );
    }
    this.pilots.splice(index, 1);
  }

  private somePilot(): TestPilot | undefined {
    return this.pilots[this.random.below(Math.max(1, this.pilots.length))];
  }

  private endSomething(): void {
    const pilot = this.somePilot();
    pilot?.take();
    const lease = pilot?.held[this.random.below(Math.max(1, pilot.held.length))];
    if (pilot === undefined || lease?.item.type !== "evaluation") return;
    const { slot } = lease;
    switch (this.random.below(6)) {
      case 0:
        return void pilot.fail(slot, "E_PAYLOAD", this.random.below(2));
      case 1:
        return void pilot.timeOut(slot);
      case 2:
        return void pilot.interrupt(slot, this.random.below(2) === 0 ? "eviction" : "runtime");
      case 3:
        return void pilot.end({ type: "diverged", value: "NaN", exitCode: 0, message: "" }, slot);
      case 4: {
        const result = pilot.loss(this.random.next(), slot);
        return pilot.send({ ...result, next: null });
      }
      default:
        return void pilot.loss(this.random.next(), slot);
    }
  }

  /** The pilot comes back without what it held. */
  private reconnectForgetful(): void {
    const pilot = this.somePilot();
    if (pilot === undefined) return;
    pilot.take();
    pilot.held.length = 0;
    pilot.connect();
    pilot.requestAll();
  }

  private someTask(): Task | undefined {
    return this.tasks[this.random.below(Math.max(1, this.tasks.length))];
  }

  private try(command: () => void): void {
    try {
      command();
    } catch (error) {
      assert.ok(
        (error as { code?: string }).code?.startsWith("E_"),
        String((error as Error).stack),
      );
    }
  }

  private control(): void {
    const task = this.someTask();
    if (task === undefined || this.random.below(2) === 0) return;
    const action = (["pause", "resume", "resume", "finish", "hardFinish", "kill"] as const)[
      this.random.below(6)
    ];
    this.try(() =>
      this.world.command({ type: "controlTask", taskId: task.id, action: action ?? "pause" }),
    );
  }

  private changeLimits(): void {
    const task = this.someTask();
    if (task === undefined) return;
    const limits = {
      maxPoints: 1 + this.random.below(10),
      nParallelEvaluation: 1 + this.random.below(5),
    };
    this.try(() => this.world.command({ type: "changeLimits", taskId: task.id, limits }));
  }

  private retry(): void {
    const task = this.someTask();
    if (task === undefined || task.points.size > 20) return;
    const pointIds = [String(this.random.below(Math.max(1, task.points.size)))];
    this.try(() => this.world.command({ type: "retryPoints", taskId: task.id, pointIds }));
  }

  check(): void {
    for (const task of this.tasks) this.checkTask(task);
    let held = 0;
    for (const leases of this.world.core.leasesByPilot.values()) held += leases.size;
    const runs = this.tasks.filter((task) => task.run !== null && task.run.lease !== null).length;
    const leased = this.tasks.reduce((sum, task) => sum + task.counts.leased, runs);
    assert.equal(held, leased, "leases by pilot and leased points agree");
    for (const owner of ["anna", "bert"]) {
      const own = this.tasks
        .filter((task) => task.owner === owner)
        .reduce((sum, task) => sum + task.counts.leased, 0);
      assert.equal(this.world.core.leasedByOwner.get(owner) ?? 0, own);
    }
  }

  private checkTask(task: Task): void {
    for (const state of POINT_STATES) {
      const counted = [...task.points.values()].filter((point) => point.state === state).length;
      assert.equal(task.counts[state], counted, `count of ${state}`);
    }
    assert.ok(unchargedActiveJobs(task) >= 0);
    if (isEnded(task.state)) {
      assert.deepEqual(
        [task.counts.ready, task.counts.leased, task.run, task.jobs.size],
        [0, 0, null, 0],
      );
      if (task.state === "finished") assert.ok(task.lossCount > 0);
    }
    for (const point of task.points.values()) {
      const key = `${task.id}/${point.id}`;
      assert.ok(point.attempts <= TASK.attemptsMax);
      assert.equal(point.lease !== null, point.state === "leased");
      const final = this.finals.get(key);
      const now = `${point.state} ${point.loss ?? ""}`;
      if (final !== undefined)
        assert.equal(now, final, "a final state is never left, a loss never changes");
      if (isFinal(point.state)) this.finals.set(key, now);
      const before = this.epochs.get(key) ?? [0, 0];
      assert.ok(point.epoch[1] >= before[1], "epochs only grow");
      this.epochs.set(key, point.epoch);
    }
  }

  private answerAsHealthy(central: TestPilot): void {
    central.take();
    const lease = central.held[0];
    if (lease === undefined) return;
    central.held.length = 0;
    const points = `[${this.texts(3).join(",")}]`;
    central.send({
      type: "runAnswer",
      item: lease.item,
      epoch: lease.epoch,
      seq: 1,
      points,
      message: "",
      log: "",
    });
    central.request(0);
  }

  /** From now on pilots answer everything; paused searches are resumed. Every search must end. */
  heal(): void {
    for (const task of this.tasks) {
      if (task.state === "paused")
        this.world.command({ type: "controlTask", taskId: task.id, action: "resume" });
    }
    this.world.tick(61);
    const healthy = this.world.pilot({ slots: 4, node: "healthy" });
    const central = this.world.pilot({ queue: "central", node: "healthy" });
    for (let round = 0; round < 2_000; round += 1) {
      while (this.answered < this.world.asks.length) {
        const ask = this.world.asks[this.answered];
        this.answered += 1;
        if (ask !== undefined) this.world.propose(ask, this.texts(3));
      }
      this.answerAsHealthy(central);
      healthy.take();
      const lease = healthy.held[0];
      if (lease === undefined) {
        if (this.tasks.every((task) => isEnded(task.state) || task.state === "paused")) break;
        this.world.tick(5);
        for (const pilot of [healthy, central]) {
          pilot.connect();
          pilot.requestAll();
        }
        continue;
      }
      healthy.loss(this.random.next(), lease.slot);
    }
    for (const task of this.tasks) {
      if (task.state === "paused") continue;
      assert.ok(
        isEnded(task.state),
        `${task.id} is stuck: ${JSON.stringify([task.state, task.reason, task.counts, task.run, task.jobs.size, task.effective])}`,
      );
    }
  }
}

/** What the journal must bring back: all but the ready queue's inner order of skipped entries. */
function comparable(core: Core): unknown {
  return {
    ...core,
    activeTasks: [...core.activeTasks].map((task) => task.id).sort(),
    leasedByOwner: [...core.leasedByOwner].filter(([, count]) => count > 0).sort(),
    leasesByPilot: [...core.leasesByPilot]
      .map(([pilot, leases]) => [pilot, [...leases.keys()].sort()])
      .sort(),
    tasks: [...core.tasks.values()].map(({ ready: _ready, ...task }) => task),
  };
}

describe("a random walk through a task's life", function () {
  this.timeout(60_000);

  it("keeps every invariant at every step, is rebuilt from its events, and ends once pilots are healthy", () => {
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const walk = new Walk(seed);
      try {
        for (let step = 0; step < STEPS; step += 1) {
          walk.step();
          walk.check();
        }
        walk.heal();
        walk.check();
        const rebuilt = createCore();
        for (const event of walk.world.events) apply(rebuilt, event);
        assert.deepEqual(comparable(rebuilt), comparable(walk.world.core));
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
  });
});
