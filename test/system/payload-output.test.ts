import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createNone } from "../../pilot/runtime/none.ts";
import { PILOT } from "../../protocol/limits.ts";
import { Outcome } from "../../protocol/pilot-messages.ts";
import { type EvaluationBench, type Trial, evaluationBench } from "../support/evaluation-bench.ts";
import { requireRoot, requireTool } from "../support/requires.ts";

/** A listening Unix socket named output.json. */
const SOCKET = `perl -MSocket -e 'socket(S, PF_UNIX, SOCK_STREAM, 0) && bind(S, sockaddr_un("output.json")) or die'`;

describe("Output of a payload in bubblewrap", function () {
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

  async function outcomeOf(exec: string, more: Partial<Trial> = {}): Promise<Outcome> {
    const end = await bench.run({ exec, ...more });
    assert.equal(end.leftover, null);
    return Outcome.parse(end.outcome);
  }

  it("is the loss that output.json states", async () => {
    const exec = `echo '{"status":0,"loss":0.12,"message":"fine"}' >output.json`;
    assert.deepEqual(await outcomeOf(exec), {
      type: "loss",
      loss: 0.12,
      exitCode: 0,
      message: "fine",
    });
  });

  it("counts when the payload then exits with another code than 0", async () => {
    const outcome = await outcomeOf(`echo '{"loss":2}' >output.json; exit 3`);
    assert.deepEqual(outcome, { type: "loss", loss: 2, exitCode: 3, message: "" });
  });

  it("is what the payload prints, where the task says so", async () => {
    const output = "stdout:loss";
    const printed = await outcomeOf("echo loss: 2; echo Loss=0.5 >&2", { output });
    assert.deepEqual(printed, { type: "loss", loss: 0.5, exitCode: 0, message: "" });
    const written = await outcomeOf(`echo loss: 2; echo '{"loss":1}' >output.json`, { output });
    assert.deepEqual(written, { type: "loss", loss: 1, exitCode: 0, message: "" });
    const failed = await outcomeOf("echo loss: 2; exit 3", { output });
    assert.ok(failed.type === "failed" && failed.exitCode === 3);
  });

  it("is looked for in the last part of what is printed", async () => {
    const output = "stdout:loss";
    const after = (bytes: number): string =>
      `echo loss: 2; head -c ${bytes} /dev/zero | tr '\\0' x`;
    const near = await outcomeOf(after(PILOT.printedLossBytesMax - 100), { output });
    assert.ok(near.type === "loss" && near.loss === 2, JSON.stringify(near));
    const far = await outcomeOf(after(PILOT.printedLossBytesMax), { output });
    assert.ok(far.type === "failed" && far.code === "E_BAD_OUTPUT");
  });

  it("may come from options that the point became", async () => {
    const outcome = await outcomeOf(`sh -c 'echo "loss: \${1#--lr=}"' sh`, {
      output: "stdout:loss",
      arguments: "options",
    });
    assert.deepEqual(outcome, { type: "loss", loss: 1, exitCode: 0, message: "" });
  });

  it("comes with the runtime and the memory that was used", async () => {
    const exec = `perl -e '$x = "y" x 50_000_000; sleep 1'; echo loss: 1`;
    const end = await bench.run({ exec, output: "stdout:loss" });
    assert.equal(end.runtime, "bubblewrap");
    assert.ok((end.memoryBytesPeak ?? 0) > 50e6 && (end.memoryBytesPeak ?? 0) < 500e6);
  });

  it("is diverged for NaN, as Python writes it", async () => {
    const outcome = await outcomeOf(`echo '{"loss": NaN}' >output.json`);
    assert.deepEqual(outcome, { type: "diverged", value: "NaN", exitCode: 0, message: "" });
  });

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ["missing", "true", /^exited with 0 and wrote no output\.json; write \{"loss": <number>\}/],
    ["empty", ": >output.json", /^output\.json is empty/],
    ["not JSON", "echo loss=1 >output.json", /^output\.json is not JSON: output\.json:1:1 /],
    ["null", `echo '{"loss":null}' >output.json`, /^"loss" in output\.json is null/],
    ["a string", `echo '{"loss":"0.1"}' >output.json`, /is the string "0\.1", not a number/],
    [
      "1 GB, sparse",
      "truncate -s 1G output.json",
      /^output\.json has 1073741824 bytes \(1\.1 GB\), at most 1048576/,
    ],
    [
      "one byte more than 1 MiB",
      `printf '{"loss":1}%${PILOT.outputJsonBytesMax - 9}s' ' ' >output.json`,
      /^output\.json has 1048577 bytes/,
    ],
    ["a FIFO", "mkfifo output.json", /^output\.json is a FIFO, not a file/],
    ["a symbolic link", "ln -s /etc/passwd output.json", /^output\.json is a symbolic link/],
    ["a directory", "mkdir output.json", /^output\.json is a directory, not a file/],
    ["a link to a FIFO", "mkfifo f; ln -s f output.json", /^output\.json is a symbolic link/],
    ["a socket", SOCKET, /^output\.json is a socket or device/],
    ["not UTF-8", `printf '{"loss":1,"message":"\\377"}' >output.json`, /is not UTF-8 text/],
  ];
  for (const [what, exec, said] of refused)
    it(`is refused, at once and with a clear sentence, when output.json is ${what}`, async () => {
      const outcome = await outcomeOf(exec);
      assert.ok(outcome.type === "failed", JSON.stringify(outcome));
      assert.equal(outcome.code, "E_BAD_OUTPUT");
      assert.match(outcome.message, said);
    });

  it("is read up to exactly 1 MiB", async () => {
    const spaces = PILOT.outputJsonBytesMax - 10;
    const outcome = await outcomeOf(`printf '{"loss":1}%${spaces}s' ' ' >output.json`);
    assert.equal(outcome.type, "loss");
  });

  it("is not looked for outside of the work directory", async () => {
    const canary = join(bench.directory.path, "canary.json");
    writeFileSync(canary, '{"loss": -1}');
    for (const output of [canary, "../../../canary.json"]) {
      const outcome = await outcomeOf("true", { output });
      assert.ok(outcome.type === "failed", JSON.stringify(outcome));
    }
    const outcome = await outcomeOf(`ln -s ${bench.directory.path} results`, {
      output: "results/canary.json",
    });
    assert.ok(outcome.type === "failed");
    assert.match(outcome.message, /lies in results, which is no plain directory/);
  });

  it("may have another name, in a directory", async () => {
    const exec = `mkdir -p results; echo '{"loss":5}' >results/loss.json`;
    const outcome = await outcomeOf(exec, { output: "results/loss.json" });
    assert.equal(outcome.type === "loss" && outcome.loss, 5);
  });

  it("is the payload's failure, with its last lines, when it exits with an error before it writes", async () => {
    const outcome = await outcomeOf("echo epoch 1; echo ValueError >&2; exit 3");
    assert.deepEqual(outcome, {
      type: "failed",
      code: "E_PAYLOAD",
      exitCode: 3,
      signal: null,
      message: "exited with 3 and wrote no output.json; its output ends with:\nepoch 1\nValueError",
    });
  });

  it("names the signal of a crash", async () => {
    const outcome = await outcomeOf("kill -SEGV $$");
    assert.ok(outcome.type === "failed");
    assert.equal(outcome.signal, "SIGSEGV");
    assert.match(outcome.message, /^was ended by SIGSEGV/);
  });

  it("is the exit code alone when the task wants no output file", async () => {
    const good = await outcomeOf("exit 0", { output: "none" });
    assert.deepEqual(good, { type: "loss", loss: 0, exitCode: 0, message: "" });
    const bad = await outcomeOf("exit 4", { output: "none" });
    assert.equal(bad.type === "failed" && bad.code, "E_PAYLOAD");
  });

  it("is kept as 10 MB of head and 10 MB of tail when the payload prints much more", async () => {
    const exec = "echo first; head -c 200000000 /dev/zero | tr '\\0' 'x'; echo; echo last";
    const end = await bench.run({ exec, output: "none" });
    assert.equal(end.outcome?.type, "loss", JSON.stringify(end.outcome));
    const sizeBytes = statSync(end.logFile!).size;
    const mostBytes = PILOT.logHeadBytesMax + PILOT.logTailBytesMax + 100;
    assert.ok(sizeBytes <= mostBytes && sizeBytes > mostBytes - 1_000, String(sizeBytes));
    const text = readFileSync(end.logFile!, "latin1");
    assert.ok(text.startsWith("first\nxxx"));
    assert.equal(text.slice(-200).replace(/^x+/, "xxx"), "xxx\nlast\n");
    assert.match(text, /\n\[\.\.\. \d+ bytes left out \.\.\.\]\n/);
    assert.equal(end.logTail.length, PILOT.inlineLogBytesMax);
  });

  it("never fills the disk while the payload goes on printing", async () => {
    const stop = new AbortController();
    let mostBytes = 0;
    const running = bench.run({ exec: "yes", output: "none", signal: stop.signal });
    const log = join(bench.scratch, "logs", "1.log");
    const beganMs = performance.now();
    while (performance.now() - beganMs < 2_000) {
      mostBytes = Math.max(mostBytes, statSync(log, { throwIfNoEntry: false })?.size ?? 0);
      await new Promise((resolve) => setImmediate(resolve));
    }
    stop.abort();
    await running;
    assert.ok(mostBytes > PILOT.logHeadBytesMax, "it printed");
    assert.ok(mostBytes < 1_500_000_000, `${mostBytes} bytes on disk`);
  });
});

describe("Output of a payload on a node whose disk is full", function () {
  this.timeout(30_000);
  let bench: EvaluationBench | null = null;
  let outer: EvaluationBench;
  let mounted = "";

  before(function () {
    requireRoot(this);
    requireTool(this, "mount");
  });
  beforeEach(() => {
    outer = evaluationBench({ runtime: () => createNone() });
    mounted = join(outer.directory.path, "small");
    mkdirSync(mounted);
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=4m", "none", mounted]);
    bench = evaluationBench({ scratch: join(mounted, "scratch"), runtime: () => createNone() });
  });
  afterEach(async () => {
    await bench?.close();
    execFileSync("umount", ["-l", mounted]);
    await outer.close();
  });

  it("is an interruption, not a failed attempt, when the payload could not write", async () => {
    const end = await bench!.run({
      exec: `head -c 8000000 /dev/zero >big; echo '{"loss":1}' >output.json`,
    });
    assert.ok(end.outcome?.type === "interrupted", JSON.stringify(end.outcome));
    assert.equal(end.outcome.reason, "diskFull");
    assert.deepEqual(bench!.leftDirectories(), []);
  });

  it("is an interruption when the node has no room for the work directory", async () => {
    execFileSync("/bin/sh", ["-c", `head -c 8000000 /dev/zero >${mounted}/big; true`], {
      stdio: "ignore",
    });
    const end = await bench!.run({ exec: "true" });
    assert.ok(end.outcome?.type === "interrupted", JSON.stringify(end.outcome));
    assert.equal(end.outcome.reason, "diskFull");
  });
});
