import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { descendants, isRunning } from "../../pilot/process-tree.ts";
import { createApptainer } from "../../pilot/runtime/apptainer.ts";
import { PILOT } from "../../protocol/limits.ts";
import { TaskSpecification } from "../../protocol/task.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { type EvaluationBench, type Trial, evaluationBench } from "../support/evaluation-bench.ts";
import { requireTool } from "../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

/** What a payload says on its output, as its evaluation ends without an output file. */
const NO_OUTPUT = { output: "none" } as const;

const IMAGES = [
  { form: "SIF file", container: testbed.sifFile },
  { form: "sandbox directory", container: testbed.imageDirectory },
] as const;

for (const { form, container } of IMAGES)
  describe(`Sandbox of a payload: apptainer, ${form}`, function () {
    this.timeout(30_000);
    let bench: EvaluationBench;

    before(function () {
      requireTestbed(this);
    });
    beforeEach(() => {
      bench = evaluationBench({
        readOnlyPaths: [testbed.directory],
        runtime: (scratchDirectory) =>
          createApptainer({ name: "apptainer", scratchDirectory, program: testbed.apptainer }),
      });
    });
    afterEach(async () => {
      await bench.close();
    });

    async function output(exec: string, more: Partial<Trial> = {}): Promise<string> {
      const end = await bench.run({ exec, container, ...NO_OUTPUT, ...more });
      assert.equal(end.outcome?.type, "loss", JSON.stringify(end));
      return readFileSync(end.logFile!, "utf8");
    }

    it("lets the payload write in its work directory and its temporary directories only", async () => {
      const text = await output(
        `for d in / /bin /usr /etc /dev /proc /srv /root /var /home /marker ${homedir()} ${testbed.imageDirectory}; do
           touch "$d/hyperpilot-probe" 2>/dev/null && echo "wrote $d"; done
         for d in . /srv/workDir /tmp /var/tmp /dev/shm; do touch "$d/probe" && echo "may write $d"; done`,
      );
      const written = text.trim().split("\n");
      assert.deepEqual(
        written.filter((line) => line.startsWith("may")),
        [". /srv/workDir /tmp /var/tmp /dev/shm"]
          .flatMap((paths) => paths.split(" "))
          .map((path) => `may write ${path}`),
      );
      // The container's own /dev lies in memory, belongs to the payload's user and goes with the container.
      assert.deepEqual(
        written.filter((line) => line.startsWith("wrote") && line !== "wrote /dev"),
        [],
      );
      for (const path of ["/tmp", "/dev", homedir(), testbed.imageDirectory])
        assert.equal(existsSync(join(path, "hyperpilot-probe")), false);
    });

    it("starts in /srv/workDir, which is $PWD and HOME too, with the image's files", async () => {
      const text = await output('pwd; readlink /proc/self/cwd; echo "$PWD $HOME"; cat /marker');
      assert.equal(text, "/srv/workDir\n/srv/workDir\n/srv/workDir /srv/workDir\nfrom the image\n");
    });

    it("leaves no capability, and neither remount nor mknod nor a new mount works", async () => {
      const text = await output(
        `grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status
         for try in 'mount -o remount,rw /' 'mount -t tmpfs none /tmp' 'mknod /tmp/disk b 8 0' 'umount /srv/workDir'; do
           $try 2>/dev/null && echo "works: $try"; done; true`,
      );
      assert.deepEqual(
        text
          .trim()
          .split("\n")
          .map((line) => line.replace(/\s+/, " ")),
        ["CapPrm: 0000000000000000", "CapEff: 0000000000000000", "CapBnd: 0000000000000000"],
      );
    });

    it("hides home, /tmp, /run and the pilot's own directory", async () => {
      const places = [homedir(), "/tmp", "/run", "/var/tmp"].map((place) =>
        mkdtempSync(join(place, "hyperpilot-canary-")),
      );
      const pilots = join(bench.scratch, "canary");
      mkdirSync(pilots);
      const files = [...places, pilots].map((place) => join(place, "canary"));
      try {
        for (const file of files) writeFileSync(file, "bird\n");
        const text = await output(`for f in ${files.join(" ")}; do cat "$f"; done 2>/dev/null; ps`);
        assert.equal(text.includes("bird"), false, text);
        assert.equal(text.includes("mocha"), false, text);
      } finally {
        for (const place of places) rmSync(place, { recursive: true, force: true });
      }
    });

    it("leaves nothing for the next evaluation", async () => {
      await output(
        "echo a >left; echo a >/tmp/left; echo a >/dev/shm/left; mkdir -p d/e; chmod 0 d",
      );
      const text = await output("ls -A . /tmp /var/tmp /dev/shm");
      assert.equal(text.includes("left"), false, text);
      assert.deepEqual(bench.leftDirectories(), []);
    });

    it("ends every process of a payload after a time-out, whatever it did to stay", async () => {
      const exec = `
        setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &
        (setsid sh -c 'trap "" TERM HUP; (while :; do sleep 1; done) & exit 0' &) ;
        trap '' TERM; echo ready; while :; do sleep 1; done`;
      const running = bench.run({ exec, container, timeoutSeconds: 2, ...NO_OUTPUT });
      const pids = await waitUntil("the payload's processes run", () => {
        const found = bench.spawner.pid === null ? [] : descendants(bench.spawner.pid);
        return found.length >= 8 ? found : null;
      });
      const end = await running;
      assert.equal(end.outcome?.type, "timeout", JSON.stringify(end));
      assert.ok(end.durationSeconds >= 2 + PILOT.killGraceMs / 1_000 - 0.1);
      assert.deepEqual(
        pids.filter((pid) => isRunning(pid)),
        [],
      );
      assert.deepEqual(bench.leftDirectories(), []);
    });

    it("asks a program that catches SIGTERM, and not the shell above it, whose end would end everything", async () => {
      const inner = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done";
      const exec = `sh -c "${inner}"; echo after`;
      const end = await bench.run({ exec, container, timeoutSeconds: 1, ...NO_OUTPUT });
      assert.match(end.logTail, /^saved\nafter$/m, JSON.stringify(end));
    });

    it("asks with SIGTERM first, so that a payload can say goodbye before its time-out", async () => {
      const exec = "trap 'echo goodbye; exit 0' TERM; while :; do sleep 0.05; done";
      const end = await bench.run({ exec, container, timeoutSeconds: 1, ...NO_OUTPUT });
      assert.equal(end.outcome?.type, "timeout", JSON.stringify(end));
      assert.match(end.logTail, /^goodbye$/m);
      assert.ok(end.durationSeconds < 1 + PILOT.killGraceMs / 1_000);
    });

    it("ends a payload whose processes use more memory than the slot has", async () => {
      const exec = "(head -c 300000000 /dev/zero | tail -c 300000000 | sleep 1000) & wait";
      const slot = { memoryBytes: 100_000_000 };
      const end = await bench.run({ exec, container, slot, ...NO_OUTPUT });
      assert.ok(end.outcome?.type === "failed", JSON.stringify(end));
      assert.equal(end.outcome.code, "E_MEMORY");
    });

    it("tells an image that cannot be started from a failing payload", async () => {
      const broken = join(bench.directory.path, "broken.sif");
      writeFileSync(broken, "no image at all\n");
      const own = evaluationBench({
        readOnlyPaths: [bench.directory.path],
        runtime: (scratchDirectory) =>
          createApptainer({ name: "apptainer", scratchDirectory, program: testbed.apptainer }),
      });
      try {
        const end = await own.run({ exec: "exit 1", container: broken, ...NO_OUTPUT });
        assert.ok(end.outcome?.type === "interrupted", JSON.stringify(end));
        assert.equal(end.outcome.reason, "runtime");
        assert.match(end.outcome.message, /apptainer did not start the payload.*FATAL/);
      } finally {
        await own.close();
      }
      const failed = await bench.run({ exec: "exit 3", container, ...NO_OUTPUT });
      assert.ok(failed.outcome?.type === "failed", JSON.stringify(failed));
      assert.equal(failed.outcome.exitCode, 3);
    });
  });

describe("A search with images", function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;

  before(function () {
    requireTestbed(this);
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({
      directory: directory.path,
      serverArguments: ["--local-queue", "--readOnlyPath", testbed.directory],
      environment: { PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}` },
    });
    await deployment.start();
  });
  afterEach(async () => {
    await deployment.stop();
    await directory.remove();
  });

  it("runs each task in the runtime that its image needs, on one pilot", async () => {
    const inSif = `test -f /marker && [ "$PWD" = /srv/workDir ] && ${LOSS_IS_X}`;
    const sif = await deployment.submit(
      { evaluation: evaluation(testbed.sifFile, inSif) },
      { maxPoints: 4 },
    );
    const onHost = await deployment.submit(
      { evaluation: evaluation("host:", `! test -e /marker && ${LOSS_IS_X}`) },
      { maxPoints: 4 },
    );
    for (const taskId of [sif, onHost]) {
      const task = await deployment.untilEnded(taskId);
      assert.deepEqual([task.state, task.points.done], ["finished", 4], JSON.stringify(task));
    }
    const { items } = await deployment.request<{ items: { capacity: { runtimes: string[] } }[] }>(
      "GET",
      "/pilots",
    );
    assert.deepEqual(items[0]?.capacity.runtimes, [
      "bubblewrap",
      "apptainer",
      "singularity",
      "podman",
    ]);
  });
});

function evaluation(container: string, exec: string) {
  return TaskSpecification.shape.evaluation.parse({ container, exec });
}
