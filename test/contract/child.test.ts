import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram, startDetached } from "../../common/child.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a program that is run to its end", () => {
  it("tells exit code and both outputs, and passes arguments as they are", async () => {
    const script = 'printf %s "$1"; printf no >&2; exit 3';
    const result = await runProgram(["/bin/sh", "-c", script, "sh", "$(id) 'a b'"], {
      timeoutMs: 5_000,
    });
    assert.equal(result.exitCode, 3);
    assert.equal(result.stdout, "$(id) 'a b'");
    assert.equal(result.stderr, "no");
  });

  it("is said to be missing when there is none", async () => {
    const result = await runProgram(["no-such-program"], { timeoutMs: 5_000 });
    assert.equal(result.missing, true);
    assert.equal(result.exitCode, null);
  });

  it("is ended when it takes too long, also when it ignores SIGTERM", async () => {
    const beganMs = performance.now();
    const script = "trap '' TERM; while :; do sleep 0.1; done";
    const result = await runProgram(["/bin/sh", "-c", script], { timeoutMs: 100 });
    assert.equal(result.timedOut, true);
    assert.ok(performance.now() - beganMs < 5_000);
  });

  it("may not fill the memory with its output", async () => {
    const result = await runProgram(["/bin/sh", "-c", "yes"], {
      timeoutMs: 5_000,
      outputBytesMax: 1_000,
    });
    assert.ok(result.stdout.length <= 1_000);
    assert.notEqual(result.exitCode, 0);
  });

  it("has the given environment and nothing else", async () => {
    const result = await runProgram(["/usr/bin/env"], {
      timeoutMs: 5_000,
      environment: { ONLY: "this" },
    });
    assert.equal(result.stdout.trim(), "ONLY=this");
  });
});

describe("a program that outlives its starter", () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(() => directory.remove());

  it("leads a session of its own and appends its output to a file", async () => {
    const outputFile = join(directory.path, "output");
    const script = "cut -d' ' -f6 /proc/$$/stat; echo done >&2";
    const pid = await startDetached(["/bin/sh", "-c", script], {
      outputFile,
      environment: { PATH: "/usr/bin:/bin" },
      cwd: "/",
    });
    const output = (): string => readFileSync(outputFile, "utf8");
    await waitUntil("it has ended", () => output().endsWith("done\n"));
    assert.equal(output(), `${pid}\ndone\n`);
  });

  it("fails at once when there is no such program", async () => {
    const outputFile = join(directory.path, "output");
    const options = { outputFile, environment: {}, cwd: "/" };
    await assert.rejects(startDetached(["/no/such/program"], options), /no\/such\/program/);
  });
});
