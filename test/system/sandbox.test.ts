import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { packFiles } from "../../common/archive.ts";
import type { EvaluationEnd } from "../../pilot/payload.ts";
import { descendants, isRunning, readProc } from "../../pilot/process-tree.ts";
import { PILOT } from "../../protocol/limits.ts";
import { type EvaluationBench, type Trial, evaluationBench } from "../support/evaluation-bench.ts";
import { requireTool } from "../support/requires.ts";
import { waitUntil } from "../support/wait-until.ts";

/** What a payload says on its output, as its evaluation ends without an output file. */
const NO_OUTPUT = { output: "none" } as const;

describe("Sandbox of a payload: bubblewrap", function () {
  this.timeout(30_000);
  let bench: EvaluationBench;

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(() => {
    bench = evaluationBench();
  });
  afterEach(async () => {
    await bench.close();
  });

  async function output(exec: string, more: Partial<Trial> = {}): Promise<string> {
    const end = await bench.run({ exec, ...NO_OUTPUT, ...more });
    assert.equal(end.outcome?.type, "loss", JSON.stringify(end));
    return readFileSync(end.logFile!, "utf8");
  }

  it("lets the payload write in its work directory and its temporary directories only", async () => {
    const tried = "/ /usr /usr/bin /bin /lib /etc /opt /dev /proc /srv /home /root /var /run".split(
      " ",
    );
    const home = homedir();
    const text = await output(
      `for d in ${[...tried, home].join(" ")}; do touch "$d/hyperpilot-probe" 2>/dev/null && echo "wrote $d"; done
       for d in . /srv/workDir /tmp /var/tmp /dev/shm; do touch "$d/probe" && echo "may write $d"; done`,
    );
    assert.deepEqual(text.trim().split("\n"), [
      "may write .",
      "may write /srv/workDir",
      "may write /tmp",
      "may write /var/tmp",
      "may write /dev/shm",
    ]);
    for (const path of ["/usr", "/etc", "/tmp", home])
      assert.equal(existsSync(join(path, "hyperpilot-probe")), false);
  });

  it("leaves no capability, and neither remount nor mknod nor a new mount works", async () => {
    const text = await output(
      `grep -E '^Cap(Eff|Prm|Bnd)' /proc/self/status
       for try in 'mount -o remount,rw /usr' 'mount -o remount,rw,bind /usr /usr' 'mount -t tmpfs none /tmp' 'mknod /tmp/disk b 8 0' 'mknod node c 1 3' 'umount /srv/workDir'; do
         $try 2>/dev/null && echo "works: $try"; done; true`,
    );
    const lines = text.trim().split("\n");
    assert.deepEqual(
      lines.map((line) => line.replace(/\s+/, " ")),
      ["CapPrm: 0000000000000000", "CapEff: 0000000000000000", "CapBnd: 0000000000000000"],
    );
  });

  it("hides whatever lies in home, /tmp, /run, a data directory and the pilot's own", async () => {
    const canary = `canary-${process.pid}-${Date.now()}`;
    const places = [homedir(), "/tmp", "/run", "/var/tmp", "/srv"].map((place) =>
      mkdtempSync(join(place, "hyperpilot-canary-")),
    );
    const data = join(bench.directory.path, "data");
    mkdirSync(data);
    const files = [...places, data, bench.scratch].map((place) => join(place, canary));
    try {
      for (const file of files) writeFileSync(file, canary);
      const text = await output(
        `find / -xdev -name '${canary}*' 2>/dev/null; find / -name '${canary}*' 2>/dev/null
         for f in ${files.join(" ")}; do cat "$f" 2>/dev/null; ls "$(dirname "$f")" 2>/dev/null; done
         cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep 'canary-toke[n]'
         for p in /proc/[0-9]*; do find "$p/root" -maxdepth 3 -name '${canary}*' 2>/dev/null; done
         ls -d /proc/[0-9]* | wc -l; ls /home /root /run /var/lib 2>/dev/null; true`,
      );
      assert.match(text, /^\d+\n$/, "only the number of processes is printed");
      assert.ok(Number(text) < 12, `its own processes only, found ${text}`);
    } finally {
      for (const place of places) rmSync(place, { recursive: true });
    }
  });

  it("gives it neither the pilot's environment, nor its token, nor its user's names", async () => {
    process.env["HYPERPILOT_CANARY"] = "secret";
    try {
      const text = await output(
        "env; cat /etc/passwd /etc/group; cat /etc/shadow 2>/dev/null; id -un; hostname >/dev/null",
      );
      assert.equal(/CANARY|canary/.test(text), false, text);
      assert.match(text, /^HOME=\/srv\/workDir$/m);
      assert.match(text, /^PWD=\/srv\/workDir$/m);
      assert.match(text, /^TZ=UTC$/m);
      assert.match(text, /^HYPERPILOT_SEED=42$/m);
      assert.match(text, /^payload:x:/m);
      assert.equal(
        text.split("\n").filter((line) => /:.*:/.test(line) && line.includes(":x:")).length,
        2,
      );
    } finally {
      delete process.env["HYPERPILOT_CANARY"];
    }
  });

  it("reads the queue's readOnlyPaths, and cannot write them", async () => {
    const shared = join(bench.directory.path, "shared");
    mkdirSync(shared);
    writeFileSync(join(shared, "data"), "training data\n");
    const own = evaluationBench({ readOnlyPaths: [shared] });
    try {
      const exec = `cat ${shared}/data; touch ${shared}/x 2>/dev/null && echo wrote; ls ${bench.directory.path}`;
      const end = await own.run({ exec, ...NO_OUTPUT });
      assert.equal(readFileSync(end.logFile!, "utf8"), "training data\nshared\n");
    } finally {
      await own.close();
    }
  });

  it("runs an image directory read-only, with the work directory bound", async () => {
    const images = mkdtempSync(join(bench.directory.path, "images-"));
    const image = join(images, "debian");
    for (const name of [
      "srv/workDir",
      "tmp",
      "var/tmp",
      "proc",
      "dev",
      "bin",
      "lib",
      "lib64",
      "usr",
    ])
      mkdirSync(join(image, name), { recursive: true });
    copyProgramWithLibraries("/bin/sh", image);
    copyProgramWithLibraries("/bin/cat", image);
    writeFileSync(join(image, "marker"), "from the image\n");
    const own = evaluationBench({ readOnlyPaths: [images] });
    try {
      const exec = "cat /marker; echo x >/made || echo refused; echo kept >here; pwd";
      const end = await own.run({ exec, container: image, ...NO_OUTPUT });
      assert.match(
        end.logTail,
        /^from the image\n.*\/made: Read-only file system\nrefused\n\/srv\/workDir\n$/,
      );
    } finally {
      await own.close();
    }
    assert.equal(existsSync(join(image, "made")), false);
  });

  it("keeps the work directory alone: the next evaluation finds nothing of the former", async () => {
    await output(
      "echo a >left; mkdir -p dir/deep; echo a >/tmp/left; echo a >/dev/shm/left; chmod -R a-w dir",
    );
    const text = await output("ls -A . /tmp /var/tmp /dev/shm");
    assert.equal(text.includes("left"), false, text);
    assert.deepEqual(bench.leftDirectories(), []);
  });

  /** Processes that hide from every signal but SIGKILL: TERM-ignoring, in their own session, double-forked, all three. */
  const STUBBORN = `
    (trap '' TERM; while :; do sleep 1; done) &
    setsid sh -c 'trap "" TERM HUP; while :; do sleep 1; done' &
    (setsid sh -c 'trap "" TERM HUP; (while :; do sleep 1; done) & exit 0' &) ; 
    nohup sleep 1000 >/dev/null 2>&1 &
    trap '' TERM; echo ready; while :; do sleep 1; done`;

  async function runningPayload(running: Promise<EvaluationEnd>): Promise<readonly number[]> {
    return waitUntil(
      "all processes of the payload run",
      () => {
        const pids = bench.spawner.pid === null ? [] : descendants(bench.spawner.pid);
        return pids.filter((pid) => /^Name:\tsleep$/m.test(readProc(`/proc/${pid}/status`)))
          .length >= 5
          ? pids
          : null;
      },
      { state: () => running },
    );
  }

  it("ends every process of a payload after a time-out, whatever it did to stay", async () => {
    const running = bench.run({ exec: STUBBORN, timeoutSeconds: 1, ...NO_OUTPUT });
    const pids = await runningPayload(running);
    const end = await running;
    assert.equal(end.outcome?.type, "timeout", JSON.stringify(end));
    assert.ok(
      end.durationSeconds >= 1 + PILOT.killGraceMs / 1_000 - 0.1,
      `${end.durationSeconds} s`,
    );
    assert.deepEqual(
      pids.filter((pid) => isRunning(pid)),
      [],
    );
    assert.deepEqual(bench.leftDirectories(), []);
  });

  it("asks a program that catches SIGTERM, and not the shell above it, whose end would end everything", async () => {
    const inner = "trap 'echo saved; exit 0' TERM; while :; do sleep 0.05; done";
    const exec = `sh -c "${inner}"; echo after`;
    const end = await bench.run({ exec, timeoutSeconds: 1, ...NO_OUTPUT });
    assert.match(end.logTail, /^saved\nafter$/m, JSON.stringify(end));
  });

  it("asks with SIGTERM first, so that a payload can say goodbye before its time-out", async () => {
    const exec = "trap 'echo goodbye; exit 0' TERM; while :; do sleep 0.05; done";
    const end = await bench.run({ exec, timeoutSeconds: 0.3, ...NO_OUTPUT });
    assert.deepEqual(end.outcome, {
      type: "timeout",
      afterSeconds: 0.3,
      message: "ended after 0.3 s, the time that the task allows one evaluation",
    });
    assert.match(end.logTail, /^goodbye$/m);
    assert.ok(end.durationSeconds < PILOT.killGraceMs / 1_000);
  });

  it("ends every process at once when it is stopped from outside, and reports nothing", async () => {
    const stop = new AbortController();
    const running = bench.run({ exec: STUBBORN, signal: stop.signal, ...NO_OUTPUT });
    const pids = await runningPayload(running);
    const beganMs = performance.now();
    stop.abort();
    const end = await running;
    assert.ok(performance.now() - beganMs < 2_000);
    assert.equal(end.outcome, null);
    assert.deepEqual(
      pids.filter((pid) => isRunning(pid)),
      [],
    );
    assert.equal(await output("echo next"), "next\n");
  });

  it("ends a payload whose processes use more memory than the slot has", async () => {
    // head keeps the whole "line" of zeros in memory.
    const exec = "(head -c 300000000 /dev/zero | tail -c 300000000 | sleep 1000) & wait";
    const end = await bench.run({ exec, slot: { memoryBytes: 100_000_000 }, ...NO_OUTPUT });
    assert.ok(end.outcome?.type === "failed", JSON.stringify(end));
    assert.equal(end.outcome.code, "E_MEMORY");
    assert.match(end.outcome.message, /of memory and a slot of this queue has 100\.0 MB/);
  });

  it("leaves a payload alone that stays below its memory", async () => {
    const exec = "head -c 50000000 /dev/zero | tail -c 50000000 | (sleep 2.5; wc -c)";
    assert.equal((await output(exec, { slot: { memoryBytes: 100_000_000 } })).trim(), "50000000");
  });

  it("counts memory that forked workers share once", async () => {
    const exec = `perl -e 'my $x = "a" x 60_000_000; for (1..4) { fork or do { sleep 4; exit } } sleep 3'`;
    assert.equal(await output(exec, { slot: { memoryBytes: 150_000_000 } }), "");
  });

  it("puts the task's files, the point and an executable command into the work directory", async () => {
    const files = join(bench.directory.path, "files");
    mkdirSync(join(files, "sub"), { recursive: true });
    writeFileSync(join(files, "train.sh"), "#!/bin/sh\ncat input.json sub/config.yaml; ls\n", {
      mode: 0o600,
    });
    writeFileSync(join(files, "sub/config.yaml"), "depth: 3\n");
    writeFileSync(join(files, "output.json"), '{"loss": -1000}');
    const sandboxFile = join(bench.directory.path, "sandbox.tar.gz");
    await packFiles(files, ["train.sh", "sub/config.yaml", "output.json"], sandboxFile);
    const pointText = '{"b":1.0,"2":1e-05,"1":"é"}\n';
    const text = await output("train.sh", { sandboxFile, pointText });
    assert.equal(text, `${pointText}depth: 3\ninput.json\noutput.json\nsub\ntrain.sh\n`);
    const end = await bench.run({ exec: "train.sh", sandboxFile, pointText });
    assert.ok(end.outcome?.type === "failed", "the old output.json must not count");
    assert.equal(end.outcome.code, "E_BAD_OUTPUT");
  });

  it("tells a broken runtime and a full disk from a failing payload", async () => {
    const own = evaluationBench({ readOnlyPaths: ["/no/such/path"] });
    try {
      const end = await own.run({ exec: "exit 1", ...NO_OUTPUT });
      assert.ok(end.outcome?.type === "interrupted", JSON.stringify(end));
      assert.equal(end.outcome.reason, "runtime");
      assert.match(end.outcome.message, /Can't find source path \/no\/such\/path/);
    } finally {
      await own.close();
    }
  });

  it("removes a work directory with read-only directories, many files, and paths too long to name", async () => {
    await output(
      `mkdir -p ro/sub; touch ro/sub/f; chmod -R a-w ro
       mkdir many; i=0; while [ $i -lt ${PILOT.removeEntriesMax + 100} ]; do : >many/$i; i=$((i+1)); done
       perl -e 'for (1..40) { mkdir "d" x 200 or die; chdir "d" x 200 or die }'`,
    );
    assert.deepEqual(bench.leftDirectories(), []);
    assert.deepEqual(readdirSync(bench.scratch).sort(), ["bubblewrap-etc", "logs", "scripts"]);
  });
});

function copyProgramWithLibraries(program: string, image: string): void {
  execFileSync("cp", ["-L", program, join(image, "bin/")]);
  const libraries = execFileSync("ldd", [program], { encoding: "utf8" }).match(/\/\S+/g) ?? [];
  for (const library of libraries) {
    const target = join(image, library);
    mkdirSync(join(target, ".."), { recursive: true });
    execFileSync("cp", ["-L", library, target]);
  }
}
