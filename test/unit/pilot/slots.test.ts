import assert from "node:assert/strict";
import { cutSlots } from "../../../pilot/slots.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { PILOT } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import type { Capacity, SlotResources } from "../../../protocol/resources.ts";

const GIB = 1_073_741_824;

function gpu(number: number) {
  return { uuid: `GPU-${number}`, model: "NVIDIA A100", memoryBytes: 40 * GIB, driver: "535" };
}

function cut(
  granted: { cpus?: number; memoryBytes?: number; gpus?: number },
  slot: { cpus?: number; memoryMiB?: number; gpus?: number },
  maxSlotsPerPilot: number | null = null,
): SlotResources[] {
  const { cpus = 4, memoryBytes = 1_024 * GIB, gpus = 0 } = granted;
  const capacity: Capacity = {
    node: "node1",
    cpus,
    memoryBytes,
    scratchBytes: GIB,
    gpus: Array.from({ length: gpus }, (_none, number) => gpu(number)),
    runtimes: [],
    walltimeLeftSeconds: null,
    sources: {},
  };
  const limits = { maxPilots: 1, maxQueued: 1, maxPerCycle: 1, maxSlotsPerPilot };
  const shape = { cpus: 1, memoryMiB: 1_024, gpus: 0, ...slot };
  return cutSlots(capacity, QueueConfig.parse({ name: "queue", slot: shape, limits }));
}

describe("the slots of a pilot", () => {
  it("are as many as its CPUs allow, fractions of a CPU included", () => {
    assert.equal(cut({ cpus: 4 }, { cpus: 1 }).length, 4);
    assert.equal(cut({ cpus: 2 }, { cpus: 0.5 }).length, 4);
    assert.equal(cut({ cpus: 1.5 }, { cpus: 1 }).length, 1);
    assert.equal(cut({ cpus: 1 }, { cpus: 1 / 3 }).length, 3);
  });

  it("are as many as its memory allows", () => {
    assert.equal(cut({ memoryBytes: 5 * GIB }, { memoryMiB: 2_048 }).length, 2);
  });

  it("are as many as its GPUs allow, each with GPUs of its own", () => {
    const slots = cut({ cpus: 64, gpus: 5 }, { gpus: 2 });
    assert.deepEqual(
      slots.map(({ gpus }) => gpus.map(({ uuid }) => uuid)),
      [
        ["GPU-0", "GPU-1"],
        ["GPU-2", "GPU-3"],
      ],
    );
  });

  it("get no GPU when the queue gives none", () => {
    assert.deepEqual(
      cut({ cpus: 2, gpus: 2 }, {}).map(({ gpus }) => gpus),
      [[], []],
    );
  });

  it("are not more than the queue allows, nor than a pilot can have", () => {
    assert.equal(cut({ cpus: 64 }, {}, 3).length, 3);
    assert.equal(cut({ cpus: 1_000 }, {}).length, PILOT.slotsMax);
  });

  it("are refused with what is too small when not even one fits", () => {
    for (const [granted, slot, lacking] of [
      [{ cpus: 0.5 }, {}, /0\.5 CPUs of 1/],
      [{ memoryBytes: GIB }, { memoryMiB: 2_048 }, /1\.1 GB of memory of 2\.1 GB/],
      [{}, { gpus: 1 }, /0 GPUs of 1/],
    ] as const) {
      assert.throws(
        () => cut(granted, slot),
        (error) =>
          error instanceof HyperpilotError &&
          error.code === "E_CONFIG" &&
          lacking.test(error.why ?? ""),
      );
    }
  });
});
