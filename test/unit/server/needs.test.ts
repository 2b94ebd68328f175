import assert from "node:assert/strict";
import { QueueConfig } from "../../../protocol/queue.ts";
import { describeNeeds, lackingFor, Needs, type Gpu } from "../../../protocol/resources.ts";
import type { TaskSpecificationInput } from "../../../protocol/task.ts";
import { localQueue } from "../../../server/queues/local-queue.ts";
import { wantedByQueue } from "../../../server/queues/wanted.ts";
import { explain } from "../../../server/tasks/why.ts";
import { GIB, World } from "../../support/reactor-world.ts";

const A100: Gpu = { uuid: "GPU-1", model: "NVIDIA A100", memoryBytes: 40e9, driver: null };
const FORMS = {
  cpus: 4,
  gpus: { count: 1 },
  alternatives: [{ cpus: 16 }],
} satisfies TaskSpecificationInput["needs"];

function put(world: World, change: object): void {
  world.command({ type: "putQueue", config: QueueConfig.parse(change) });
}

describe("needs in several forms", () => {
  const needs = Needs.parse(FORMS);
  const slot = { cpus: 4, memoryBytes: 8 * GIB, gpus: [] as Gpu[] };

  it("fit a slot of the first form, or of any other", () => {
    assert.deepEqual(lackingFor(needs, { ...slot, gpus: [A100] }), []);
    assert.deepEqual(lackingFor(needs, { ...slot, cpus: 16 }), []);
    assert.equal(lackingFor(needs, slot).length, 1);
  });

  it("are all named when a slot fits none, with memory where it is lacking", () => {
    assert.deepEqual(lackingFor(needs, slot), [
      "has 4 CPUs and no GPU per slot, the task asks for 1 GPU and 4 CPUs, or 16 CPUs",
    ]);
    const large = Needs.parse({ ...FORMS, memoryBytes: 64e9 });
    assert.deepEqual(lackingFor(large, slot), [
      "has 4 CPUs, 8.6 GB and no GPU per slot, the task asks for 1 GPU, 4 CPUs and 64.0 GB, or 16 CPUs and 1.0 GB",
    ]);
  });

  it("are described as they are asked for", () => {
    const gpus = { count: 2, model: "A100", memoryBytes: 40e9 };
    assert.equal(
      describeNeeds(Needs.parse({ cpus: 1, gpus }), true),
      "2 A100 GPUs with 40.0 GB, 1 CPU and 1.0 GB",
    );
  });

  it("run on slots of both forms, on those of the first as long as one waits", () => {
    const world = new World();
    const big = world.pilot({ resources: { cpus: 16 } });
    const gpu = world.pilot({ resources: { cpus: 4, gpus: [A100] } });
    const task = world.submit({ needs: FORMS }, { maxPoints: 1 });
    assert.deepEqual([big.isIdle(), gpu.isIdle()], [true, false]);
    world.command({ type: "controlTask", taskId: task.id, action: "kill" });
    const two = world.submit({ needs: FORMS }, { maxPoints: 2, nParallelEvaluation: 2 });
    big.requestAll();
    gpu.take();
    gpu.held.length = 0;
    gpu.requestAll();
    assert.equal(two.counts.leased, 2);
  });

  it("get their share of slots of another form beside a search that fits only those", () => {
    const world = new World();
    const big = world.pilot({ slots: 2, resources: { cpus: 16 } });
    const many = world.submit(
      {},
      { maxPoints: 50, nPointsPerIteration: 50, nParallelEvaluation: 2 },
    );
    assert.equal(many.counts.leased, 2);
    const flexible = world.submit({ needs: FORMS }, { maxPoints: 50 }, "bert");
    big.loss(1);
    assert.deepEqual([many.counts.leased, flexible.counts.leased], [1, 1]);
  });

  it("are what why speaks of", () => {
    const world = new World();
    world.pilot({ resources: { cpus: 4 } });
    const { code, sentence } = explain(
      world.core,
      world.reactor.live,
      world.submit({ needs: FORMS }),
    );
    assert.equal(code, "noQueueFits");
    assert.match(
      sentence,
      /local has 4 CPUs and no GPU per slot, the task asks for 1 GPU and 4 CPUs, or 16 CPUs/,
    );
  });

  it("count for the pilots wanted of every queue that fits one of them", () => {
    const world = new World({ name: "gpu", slot: { cpus: 4, gpus: 1 } });
    put(world, { name: "big", slot: { cpus: 16 } });
    put(world, { name: "small", slot: { cpus: 4 } });
    world.submit(
      { needs: FORMS },
      { maxPoints: 20, nPointsPerIteration: 20, nParallelEvaluation: 20 },
    );
    assert.deepEqual(Object.fromEntries(wantedByQueue(world.core, world.reactor.live)), {
      gpu: 1,
      big: 1,
      small: 0,
    });
  });
});

describe("GPUs", () => {
  it("are given to a search that asks for none when no other slot waits, and spared when one does", () => {
    const world = new World();
    const gpu = world.pilot({ resources: { gpus: [A100] } });
    const plain = world.pilot();
    const task = world.submit({}, { maxPoints: 4, nParallelEvaluation: 1 });
    assert.deepEqual([gpu.isIdle(), plain.isIdle()], [true, false]);
    world.command({
      type: "changeLimits",
      taskId: task.id,
      limits: { nParallelEvaluation: 2 },
    });
    assert.equal(gpu.isIdle(), false);
  });
});

describe("the internet", () => {
  const needs = { internet: true };

  it("is reached only by searches that ask for it, on queues that say so; why says what is lacking", () => {
    const world = new World();
    const worker = world.pilot();
    const task = world.submit({ needs });
    assert.ok(worker.isIdle());
    const why = (): string => explain(world.core, world.reactor.live, task).sentence;
    assert.match(why(), /local does not reach the internet, which the task asks for/);
    put(world, { name: "local", leaseSeconds: 60, internet: true });
    assert.equal(worker.isIdle(), false);
  });

  it("is warned about at submission when no queue reaches it, and no pilot is wanted", () => {
    const world = new World();
    const task = world.submit({ needs });
    assert.equal(wantedByQueue(world.core, world.reactor.live).get("local"), 0);
    assert.equal(task.counts.ready, 3);
  });

  it("is reached from the machine's own queue", () => {
    assert.equal(localQueue({ cores: 4, memoryBytes: 16e9 }, []).internet, true);
  });
});
