import assert from "node:assert/strict";
import { TASK } from "../../../protocol/limits.ts";
import { decodeTrusted, encode } from "../../../protocol/codec.ts";
import type { BlobRef } from "../../../protocol/pilot-messages.ts";
import { isEnded, isFinal, POINT_STATES } from "../../../protocol/states.ts";
import { apply } from "../../../server/apply.ts";
import { createCore, type Core, type Task } from "../../../server/core.ts";
import { unchargedActiveJobs } from "../../../server/core.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { randomStream, type RandomStream } from "../../../server/samplers/random-stream.ts";
import type { TaskSpecificationInput } from "../../../protocol/task.ts";
import type { ProposedPart } from "../../../server/inbox.ts";
import { releasePoints } from "../../../server/ended-points.ts";
import { pointOfRow, rowOfPoint } from "../../../server/points/point-form.ts";
import {
  isSegmented,
  pointsOf,
  proposalText,
  refreshSegment,
} from "../../../server/tasks/segments.ts";
import { World, type TestPilot } from "../../support/reactor-world.ts";

/** WALK_SEEDS=5000 walks further. */
const SEEDS = Number(process.env["WALK_SEEDS"] ?? 400);
const STEPS = 120;

const GPU = { uuid: "GPU-1", model: "A100", memoryBytes: 40e9, driver: null };
/** An endless space, and one that points drawn at random soon use up. */
const SPACES = [
  '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}',
  '{"x":{"method":"categorical","dimension":{"categories":[0,1,2,3,4,5]}}}',
];

/** Random pilots, results, losses of connections, commands and time, in random order, from one seed. */
class Walk {
  readonly world = new World({ name: "local", leaseSeconds: 60, internet: true });
  readonly random: RandomStream;
  readonly tasks: Task[] = [];
  readonly pilots: TestPilot[] = [];
  /** Final states seen, which must never change again. */
  private readonly finals = new Map<string, string>();
  private readonly epochs = new Map<string, readonly [number, number]>();

  private answered = 0;
  letGoTables = 0;
  /** Events that were looked at. */
  private looked = 0;

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
      () => this.save(),
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
      () => this.letGo(),
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
          ...this.kind(),
          checkpoint: { save: ["state"], keep: this.random.below(2) === 0 },
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

  /** Segments, points drawn for waiting slots, needs in several forms, each sometimes. */
  private kind(): Partial<TaskSpecificationInput> {
    const segments = this.random.below(3) === 0 ? 1 + this.random.below(3) : 0;
    const form = this.random.below(4);
    return {
      segments: Array.from({ length: segments }, (_, index) => ({ name: `s${index}` })),
      whileSteering: this.random.below(3) === 0 ? "random" : "wait",
      searchSpace: SPACES[this.random.below(SPACES.length)] ?? "",
      needs:
        form === 0
          ? { gpus: { count: 1 }, alternatives: [{ cpus: 2 }, { cpus: 1 }] }
          : { internet: form === 1 },
    };
  }

  private anyPilot(): TestPilot {
    if (this.random.below(4) === 0) return this.world.pilot({ queue: "central" });
    const gpus = this.random.below(4) === 0 ? [GPU] : [];
    const resources = { cpus: 1 + this.random.below(2), gpus };
    const node = `n${this.random.below(3)}`;
    return this.world.pilot({ slots: 1 + this.random.below(3), node, resources });
  }

  /** Built-in steering answers, late or wrong or never. */
  private answerAsk(): void {
    const ask = this.world.asks[this.answered];
    if (ask === undefined) return;
    this.answered += 1;
    if (this.random.below(6) === 0) return this.world.failAsk(ask, "it broke");
    this.world.proposeParts(ask, this.parts(ask, 5));
    if (this.random.below(4) === 0) this.world.proposeParts(ask, this.parts(ask, 3));
  }

  /** Fewer than `bound` points in each segment that was asked for, and sometimes in others. */
  private parts(ask: { readonly taskId: number }, bound: number): ProposedPart[] {
    const task = this.world.task(ask.taskId);
    const asked = task.run?.asked;
    return task.segments
      .filter(({ index }) => asked?.has(index) === true || this.random.below(4) === 0)
      .map(({ index }) => ({
        segment: index,
        texts: this.texts(this.random.below(bound)),
        exhausted: this.random.below(12) === 0 ? "all combinations done" : null,
      }));
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
      const task = this.world.task(item.taskId);
      const points =
        [null, "[]", "nonsense", this.answerOf(task, 2), this.answerOf(task, 4)][
          this.random.below(5)
        ] ?? null;
      pilot.send({ type: "runAnswer", item, epoch, seq: 1, points, message: "why", log: "" });
      if (this.random.below(3) === 0) {
        pilot.send({ type: "runAnswer", item, epoch, seq: 1, points, message: "why", log: "" });
      }
      return pilot.request(0);
    }
  }

  /** A text of %OUT with points in every segment, or in some. */
  private answerOf(task: Task, count: number): string {
    const parts = task.segments
      .filter(() => this.random.below(4) > 0)
      .flatMap(({ index }) => this.texts(count).map((text) => proposalText(task, index, text)));
    return `[${parts.join(",")}]`;
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

  private blob(): BlobRef {
    return { sha256: "abcdef"[this.random.below(6)]!.repeat(64), sizeBytes: 10 };
  }

  private save(): void {
    const pilot = this.somePilot();
    pilot?.take();
    const lease = pilot?.held[this.random.below(Math.max(1, pilot.held.length))];
    if (lease?.item.type !== "evaluation") return;
    const message = pilot?.checkpoint(this.blob(), lease.slot);
    if (message !== undefined && this.random.below(4) === 0) pilot?.send(message);
    if (this.random.below(4) > 0 || message?.item.type !== "evaluation") return;
    const { taskId, pointId } = message.item;
    const command = { type: "dropCheckpoint", taskId, pointId, reason: "damaged" } as const;
    this.world.command<"dropCheckpoint">({ ...command, sha256: this.blob().sha256 });
  }

  private endSomething(): void {
    const pilot = this.somePilot();
    pilot?.take();
    const lease = pilot?.held[this.random.below(Math.max(1, pilot.held.length))];
    if (pilot === undefined || lease?.item.type !== "evaluation") return;
    const { slot } = lease;
    switch (this.random.below(6)) {
      case 0: {
        const exitCode = this.random.below(2);
        const failed = {
          type: "failed",
          code: "E_PAYLOAD",
          exitCode,
          signal: null,
          message: "",
        } as const;
        const restored = this.random.below(2) === 0 ? {} : { restored: this.blob().sha256 };
        return void pilot.end(failed, slot, { ...restored, metrics: this.blob() });
      }
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
      default: {
        const loss = { type: "loss", loss: this.random.next(), exitCode: 0, message: "" } as const;
        return void pilot.end(loss, slot, { metadata: this.blob(), metrics: this.blob() });
      }
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

  /** Points of what has ended leave memory; whatever happens next brings them back. */
  private letGo(): void {
    for (const task of this.tasks) {
      if (!isEnded(task.state) || !task.points.isLoaded) continue;
      const rows = [...task.points.values()].map((point) => encode(rowOfPoint(point)));
      releasePoints(task, () => rows.map((row) => pointOfRow(decodeTrusted(row))));
      this.letGoTables += 1;
    }
  }

  /** Every reference is counted, no other is, and a final point holds no more checkpoints than its task keeps. */
  private checkBlobs(): void {
    const counted = new Map<string, number>();
    for (const task of this.tasks)
      for (const point of task.points.values()) {
        const { checkpoints = [], metadata = null, metrics = null } = point.files ?? {};
        assert.ok(checkpoints.length <= TASK.checkpointsKept);
        if (isFinal(point.state))
          assert.ok(checkpoints.length <= (task.spec.checkpoint.keep ? 1 : 0));
        for (const blob of [...checkpoints, metadata, metrics])
          if (blob !== null) counted.set(blob.sha256, (counted.get(blob.sha256) ?? 0) + 1);
      }
    assert.deepEqual([...this.world.core.blobs].sort(), [...counted].sort());
    assert.equal(this.world.core.unreferenced.size, 0);
  }

  check(): void {
    this.checkBlobs();
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
    this.checkSegments(task);
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

  private checkSegments(task: Task): void {
    const known = new Map<string, number>();
    for (const segment of task.segments) {
      const points = [...pointsOf(task, segment)];
      assert.ok(points.every((point) => point.segment === segment.index));
      if (isSegmented(task))
        assert.ok(points.every((point) => point.text.startsWith(`[${segment.index}, {`)));
      for (const point of points) known.set(point.id, (known.get(point.id) ?? 0) + 1);
      for (const state of POINT_STATES) {
        const counted = points.filter((point) => point.state === state).length;
        assert.equal(segment.counts[state], counted, `count of ${state} in a segment`);
      }
      const made = points.filter((point) => point.retryOf === null).length;
      assert.equal(segment.generated, made);
      const losses = points.flatMap(({ loss }) => (loss === null ? [] : [loss]));
      assert.equal(segment.lossCount, losses.length);
      assert.equal(segment.best?.loss ?? Infinity, Math.min(Infinity, ...losses));
      const now = [task.asking.has(segment.index), task.due.has(segment.index)];
      refreshSegment(task, segment);
      assert.deepEqual(now, [task.asking.has(segment.index), task.due.has(segment.index)]);
    }
    assert.equal(known.size, task.points.size, "every point is in exactly one segment");
    assert.ok([...known.values()].every((times) => times === 1));
    const best = Math.min(Infinity, ...task.segments.map((one) => one.best?.loss ?? Infinity));
    assert.equal(task.best?.loss ?? Infinity, best);
    this.checkCaps(task);
  }

  /** What was generated since the last look fits the limits of now, and leaves steering its half of a run. */
  private checkCaps(task: Task): void {
    const events = this.world.events;
    for (; this.looked < events.length; this.looked += 1) {
      const event = events[this.looked];
      if (event?.type !== "pointGenerated" || event.retryOf !== null) continue;
      const of = this.world.task(event.taskId);
      const segment = of.segments[event.segment ?? 0];
      // Limits may have been lowered in the same step only if nothing was generated in it.
      assert.ok((segment?.generated ?? 0) <= of.effective.maxPoints, "never above maxPoints");
    }
    for (const asked of task.run?.asked.values() ?? []) {
      assert.ok(asked.draws >= 0);
      assert.ok(asked.drawn.size <= asked.wanted / 2, "at most half is drawn");
    }
    if (task.spec.whileSteering === "wait")
      for (const point of task.points.values())
        assert.ok(point.run !== null || point.retryOf !== null, "nothing is drawn unasked");
  }

  private answerAsHealthy(central: TestPilot): void {
    central.take();
    const lease = central.held[0];
    if (lease === undefined) return;
    central.held.length = 0;
    const task = this.world.task(lease.item.taskId);
    const points = `[${task.segments.flatMap(({ index }) => this.texts(3).map((text) => proposalText(task, index, text))).join(",")}]`;
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
        const asked = ask === undefined ? undefined : this.world.task(ask.taskId).run?.asked;
        const parts = [...(asked?.keys() ?? [])].map((segment) => ({
          segment,
          texts: this.texts(3),
          exhausted: null,
        }));
        if (ask !== undefined) this.world.proposeParts(ask, parts);
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
    unreferenced: [],
    activeTasks: [...core.activeTasks].map((task) => task.id).sort(),
    leasedByOwner: [...core.leasedByOwner].filter(([, count]) => count > 0).sort(),
    leasesByPilot: [...core.leasesByPilot]
      .map(([pilot, leases]) => [pilot, [...leases.keys()].sort()])
      .sort(),
    tasks: [...core.tasks.values()].map(({ ready: _ready, points, ...task }) => ({
      ...task,
      points: [...points.values()],
      bySegment: task.segments.map(({ index }) => points.ofSegment(index)),
    })),
  };
}

describe("a random walk through a task's life", function () {
  this.timeout(SEEDS * 150);

  it("keeps every invariant at every step, is rebuilt from its events, and ends once pilots are healthy", () => {
    const made = { drawn: 0, inSegments: 0, proposed: 0, letGo: 0 };
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const walk = new Walk(seed);
      try {
        for (let step = 0; step < STEPS; step += 1) {
          walk.step();
          walk.check();
        }
        walk.heal();
        made.letGo += walk.letGoTables;
        walk.check();
        for (const task of walk.tasks) {
          for (const { run, retryOf, segment } of task.points.values()) {
            if (run !== null) made.proposed += 1;
            else if (retryOf === null) made.drawn += 1;
            if (segment > 0) made.inSegments += 1;
          }
        }
        const rebuilt = createCore();
        for (const event of walk.world.events) apply(rebuilt, event);
        assert.deepEqual(comparable(rebuilt), comparable(walk.world.core));
      } catch (error) {
        throw new Error(
          `seed ${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        );
      }
    }
    assert.ok(Math.min(...Object.values(made)) > SEEDS / 4, JSON.stringify(made));
  });
});
