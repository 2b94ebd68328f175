import assert from "node:assert/strict";
import { isRunning, readProc } from "../../pilot/process-tree.ts";
import { createPodman } from "../../pilot/runtime/podman.ts";
import type { Runtime } from "../../pilot/runtime/runtime.ts";
import { PILOT } from "../../protocol/limits.ts";
import { type EvaluationBench, evaluationBench } from "../support/evaluation-bench.ts";
import { type TestRegistry, startRegistry } from "../support/registry.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const NO_OUTPUT = { output: "none" } as const;

describe("Sandbox of a payload: podman", function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  let registry: TestRegistry;
  let bench: EvaluationBench;

  before(function () {
    requireTestbed(this);
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    registry = await startRegistry(directory.path);
    let runtime: Runtime | null = null;
    bench = evaluationBench({
      runtime: (scratchDirectory) =>
        (runtime = createPodman({ scratchDirectory, program: testbed.podman })),
    });
    await runtime!.selfTest();
  });
  afterEach(async () => {
    await bench.close();
    await registry.stop();
    await directory.remove();
  });

  const run = (exec: string, more: object = {}) =>
    bench.run({ exec, container: registry.image, ...NO_OUTPUT, ...more });

  it("ends a payload whose processes use more memory than the slot has, although the engine holds them", async () => {
    const exec = "(head -c 300000000 /dev/zero | tail -c 300000000 | sleep 1000) & wait";
    const end = await run(exec, { slot: { memoryBytes: 100_000_000 } });
    assert.ok(end.outcome?.type === "failed", JSON.stringify(end));
    assert.equal(end.outcome.code, "E_MEMORY");
  });

  it("ends every process of a payload after a time-out, whatever it did to stay", async () => {
    const exec = `
      setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &
      (setsid sh -c 'trap "" TERM HUP; (while :; do sleep 1; done) & exit 0' &) ;
      trap '' TERM; echo ready; while :; do sleep 1; done`;
    const running = run(exec, { timeoutSeconds: 3 });
    const pids = await waitUntil(
      "the payload's processes run",
      async () => {
        const found = await bench.spawner.processes();
        const sleeping = found.filter((pid) => readProc(`/proc/${pid}/comm`) === "sleep\n");
        return sleeping.length >= 3 ? found : null;
      },
      { timeoutMs: 20_000 },
    );
    const end = await running;
    assert.equal(end.outcome?.type, "timeout", JSON.stringify(end));
    assert.ok(end.durationSeconds >= 3 + PILOT.killGraceMs / 1_000 - 0.1);
    assert.deepEqual(
      pids.filter((pid) => isRunning(pid)),
      [],
    );
    assert.deepEqual(bench.leftDirectories(), []);
  });

  it("cuts output that is too long, keeping its first and its last part", async () => {
    const bytes = PILOT.logHeadBytesMax + 2 * PILOT.logTailBytesMax;
    const end = await run(`echo first; head -c ${bytes} /dev/zero | tr '\\0' x; echo last`);
    assert.equal(end.outcome?.type, "loss", JSON.stringify(end.outcome));
    assert.match(end.logTail, /x\nlast\n$|xlast\n$/);
  });
});
