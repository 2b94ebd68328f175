import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { ProgramResult } from "../../../common/child.ts";
import { type FoundGpus, findGpus } from "../../../pilot/gpus.ts";
import { PILOT } from "../../../protocol/limits.ts";

const ENDED: ProgramResult = {
  exitCode: 0,
  signal: null,
  stdout: "",
  stderr: "",
  timedOut: false,
  missing: false,
};

const FIXTURES = new URL("../../fixtures/nvidia-smi/", import.meta.url);

/** GPUs that are found on a machine whose nvidia-smi prints the fixture. */
function found(fixture: string, visibleDevices?: string): Promise<FoundGpus> {
  const text = readFileSync(new URL(`${fixture}.txt`, FIXTURES), "utf8");
  const [query = "", list = ""] = text.split("---\n");
  return findGpus(
    (argv) => Promise.resolve({ ...ENDED, stdout: argv.includes("-L") ? list : query }),
    visibleDevices,
  );
}

function failing(change: Partial<ProgramResult>): Promise<FoundGpus> {
  return findGpus(() => Promise.resolve({ ...ENDED, exitCode: null, ...change }), undefined);
}

const uuidsOf = ({ gpus }: FoundGpus): string[] => gpus.map(({ uuid }) => uuid.slice(0, 12));

describe("the GPUs of a node", () => {
  it("are found with UUID, model, memory and driver", async () => {
    assert.deepEqual(await found("synthetic-1-gpu"), {
      gpus: [
        {
          uuid: "GPU-3f1c2a4e-0b5d-4c6e-8f70-112233445566",
          model: "NVIDIA A100-SXM4-40GB",
          memoryBytes: 40_960 * 1_048_576,
          driver: "535.104.05",
        },
      ],
      source: "nvidia-smi",
    });
  });

  it("are none where the driver finds none", async () => {
    const { gpus, source } = await found("synthetic-0-gpus");
    assert.deepEqual(gpus, []);
    assert.equal(source, "nvidia-smi lists none");
  });

  it("are all eight of a large node", async () => {
    assert.equal((await found("synthetic-8-gpus")).gpus.length, 8);
  });

  it("are the parts of a GPU that is cut into them, each with its own memory", async () => {
    const { gpus } = await found("synthetic-mig");
    assert.deepEqual(
      gpus.map(({ uuid, model, memoryBytes }) => [uuid.slice(0, 12), model, memoryBytes]),
      [
        ["MIG-a38b53c5", "NVIDIA A100-SXM4-40GB MIG 3g.20gb", 20e9],
        ["MIG-a38b53c5", "NVIDIA A100-SXM4-40GB MIG 1g.5gb", 5e9],
        ["GPU-5c89852c", "NVIDIA A100-SXM4-40GB", 40_960 * 1_048_576],
      ],
    );
  });

  it("have no memory of their own where nvidia-smi says so", async () => {
    const line = "GPU-1, NVIDIA GB10, [N/A], 580.95\n";
    const { gpus } = await findGpus(() => Promise.resolve({ ...ENDED, stdout: line }), undefined);
    assert.equal(gpus[0]?.memoryBytes, 0);
  });

  it("are at most as many as a pilot can report", async () => {
    const lines = Array.from({ length: PILOT.gpusMax + 1 }, (_none, n) => `GPU-${n}, X, 1, 1\n`);
    const run = () => Promise.resolve({ ...ENDED, stdout: lines.join("") });
    assert.equal((await findGpus(run, undefined)).gpus.length, PILOT.gpusMax);
  });

  it("are none, with the reason, where nvidia-smi is absent, fails or hangs", async () => {
    assert.deepEqual(await failing({ missing: true }), { gpus: [], source: "no nvidia-smi" });
    assert.deepEqual(await failing({ timedOut: true }), {
      gpus: [],
      source: "nvidia-smi did not end within 10 s",
    });
    const { gpus, source } = await failing({
      exitCode: 9,
      stdout: "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
    });
    assert.deepEqual(gpus, []);
    assert.match(source, /^nvidia-smi failed \(9\): NVIDIA-SMI has failed/);
  });

  it("are still whole when the list of parts cannot be had", async () => {
    const gpu = "GPU-1, NVIDIA T4, 15360, 535\n";
    const { gpus } = await findGpus(
      (argv) =>
        Promise.resolve(
          argv.includes("-L") ? { ...ENDED, timedOut: true } : { ...ENDED, stdout: gpu },
        ),
      undefined,
    );
    assert.equal(gpus.length, 1);
  });
});

describe("CUDA_VISIBLE_DEVICES", () => {
  it("chooses by number, in its own order", async () => {
    const all = uuidsOf(await found("synthetic-8-gpus"));
    assert.deepEqual(uuidsOf(await found("synthetic-8-gpus", "3,1")), [all[3], all[1]]);
  });

  it("chooses by UUID or its beginning", async () => {
    assert.deepEqual(uuidsOf(await found("synthetic-8-gpus", "GPU-00000aa5")), ["GPU-00000aa5"]);
    assert.deepEqual(uuidsOf(await found("synthetic-mig", "MIG-a38b53c5")), ["MIG-a38b53c5"]);
  });

  it("hides what comes after an entry that does not exist, as CUDA does", async () => {
    assert.equal((await found("synthetic-8-gpus", "0,9,1")).gpus.length, 1);
  });

  it("gives a GPU once, however often it is named", async () => {
    assert.equal((await found("synthetic-8-gpus", "0,0,1")).gpus.length, 2);
  });

  for (const value of ["", "-1", "NoDevFiles"]) {
    it(`hides all of them, and starts no program, when it is "${value}"`, async () => {
      const run = () => Promise.reject(new Error("started"));
      assert.deepEqual((await findGpus(run, value)).gpus, []);
    });
  }
});
