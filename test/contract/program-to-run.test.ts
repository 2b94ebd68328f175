import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { programToRun, type ProgramToRun } from "../../client/here/program-to-run.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin";

describe("The program of hyperpilot run", function () {
  this.timeout(20_000);
  let directory: TemporaryDirectory;
  let work: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    work = join(directory.path, "work");
    mkdirSync(work);
  });
  afterEach(() => directory.remove());

  const write = (name: string, text: string, mode = 0o644): string => {
    const path = join(work, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    chmodSync(path, mode);
    return path;
  };
  const program = (words: readonly string[], more: object = {}): Promise<ProgramToRun> =>
    programToRun({
      words: words as [string, ...string[]],
      workingDirectory: work,
      filesDirectory: null,
      readOnlyPaths: [],
      isInImage: false,
      environment: { PATH: SYSTEM_PATH },
      ...more,
    });
  const refusal = async (words: readonly string[], more: object = {}): Promise<HyperpilotError> => {
    const error: unknown = await program(words, more).then(
      () => null,
      (reason: unknown) => reason,
    );
    assert.ok(error instanceof HyperpilotError, `${words.join(" ")}: ${String(error)}`);
    return error;
  };

  it("is a Python script with the interpreter of PATH, and arguments of its own", async () => {
    write("train.py", "print(1)\n");
    const { exec, shown, furtherFiles, filesDirectory } = await program([
      "train.py",
      "--name",
      "a b",
    ]);
    assert.match(exec, /^(PYTHONUSERBASE=\S+ )?\/\S*python3[.\d]* train\.py --name 'a b'$/);
    assert.equal(shown, "python3 train.py --name 'a b'");
    assert.deepEqual([furtherFiles, filesDirectory], [["train.py"], work]);
  });

  it("is a script of another kind with its interpreter, or by itself", async () => {
    write("a.sh", "echo 1\n");
    write("b.sh", "#!/bin/sh\necho 1\n");
    write("c", "#!/usr/bin/env perl\n", 0o755);
    write("sub/d.py", "pass\n");
    assert.equal((await program(["a.sh"])).exec, "sh a.sh");
    const b = await program(["b.sh", "x"]);
    assert.deepEqual([b.exec, b.shown], ["./b.sh x", "/bin/sh b.sh x"]);
    const c = await program(["./c"]);
    assert.deepEqual([c.exec, c.shown, c.furtherFiles], ["./c", "./c", ["c"]]);
    assert.match((await program(["sub/d.py"])).exec, / sub\/d\.py$/);
  });

  it("may lie in another directory, whose files then go along", async () => {
    const path = write("sub/d.py", "pass\n");
    const other = join(directory.path, "other");
    mkdirSync(other);
    const found = await program([path], { workingDirectory: other });
    assert.match(found.exec, / d\.py$/);
    assert.equal(found.filesDirectory, join(work, "sub"));
    const error = await refusal([path], { workingDirectory: other, filesDirectory: other });
    assert.match(error.message, /does not lie below --files/);
  });

  it("is a command line, whose Python is the one of PATH as well", async () => {
    write("train.py", "print(1)\n");
    const { exec, shown } = await program(["python3 -u train.py --epochs 3"]);
    assert.match(exec, /^(PYTHONUSERBASE=\S+ )?\/\S*python3[.\d]* -u train\.py --epochs 3$/);
    assert.equal(shown, "python3 -u train.py --epochs 3");
    const words = await program(["python3", "train.py", "a b"]);
    assert.match(words.exec, /python3[.\d]* train\.py 'a b'$/);
    assert.equal((await program(["X=1 ./go --fast"])).exec, "X=1 ./go --fast");
    assert.equal((await program(["cat input.json | wc -c"])).exec, "cat input.json | wc -c");
  });

  it("sees a virtual environment, and the Python that it was made from", async () => {
    write("train.py", "print(1)\n");
    const python = execFileSync(
      "/usr/bin/env",
      ["python3", "-c", "import sys; print(sys.executable)"],
      {
        encoding: "utf8",
      },
    ).trim();
    const venv = join(directory.path, "venv");
    execFileSync(python, ["-m", "venv", "--without-pip", venv]);
    const environment = { PATH: `${join(venv, "bin")}:${SYSTEM_PATH}` };
    const { exec, readOnlyPaths } = await program(["train.py"], { environment });
    assert.equal(exec, `${join(venv, "bin", "python3")} train.py`);
    assert.ok(readOnlyPaths.includes(venv), readOnlyPaths.join());
    const prefix = execFileSync(python, ["-c", "import sys; print(sys.base_prefix)"], {
      encoding: "utf8",
    }).trim();
    assert.equal(readOnlyPaths.includes(prefix), !/^\/(usr|opt)(\/|$)/.test(prefix));
  });

  it("is checked before anything is started", async () => {
    write("wrong.py", "import os\ndef f(:\n");
    write("note.txt", "hello\n");
    const syntax = await refusal(["wrong.py"]);
    assert.match(syntax.message, /wrong\.py:2 Python does not understand this: /);
    assert.equal(syntax.why, "def f(:");
    assert.match((await refusal(["python3 wrong.py"])).message, /wrong\.py:2 /);
    assert.match((await refusal(["note.txt"])).remedy ?? "", /hyperpilot run "PROGRAM note\.txt"/);
    const missing = await refusal(["wrogn.py"]);
    assert.match(missing.message, /neither a file wrogn\.py here nor a program/);
    assert.match(missing.remedy ?? "", /Did you mean wrong\.py/);
    write("x.jl", "println(1)\n");
    const julia = await refusal(["x.jl"], {
      environment: { PATH: join(directory.path, "nothing") },
    });
    assert.match(julia.message, /There is no program julia in your PATH/);
  });

  it("must be visible to evaluations, or be shown to them", async () => {
    const tool = join(directory.path, "tools", "bin", "julia");
    mkdirSync(dirname(tool), { recursive: true });
    writeFileSync(tool, "#!/bin/sh\n", { mode: 0o755 });
    write("x.jl", "println(1)\n");
    const environment = { PATH: `${dirname(tool)}:${SYSTEM_PATH}` };
    const error = await refusal(["x.jl"], { environment });
    assert.match(error.message, /do not see your julia/);
    assert.match(error.remedy ?? "", new RegExp(`--readOnlyPath ${join(directory.path, "tools")}`));
    const readOnlyPaths = [join(directory.path, "tools")];
    const shown = await program(["x.jl"], { environment, readOnlyPaths });
    assert.equal(shown.exec, `${tool} x.jl`);
  });

  it("in an image is found there, not here", async () => {
    write("train.py", "print(1)\n");
    const found = await program(["train.py"], {
      isInImage: true,
      environment: { PATH: "/nothing" },
    });
    assert.deepEqual([found.exec, found.readOnlyPaths], ["python3 train.py", []]);
  });

  it("without any Python is said so", async () => {
    write("train.py", "print(1)\n");
    const before = process.env["PATH"];
    process.env["PATH"] = join(directory.path, "nothing");
    try {
      const environment = { PATH: join(directory.path, "nothing") };
      assert.match(
        (await refusal(["train.py"], { environment })).message,
        /There is no python3 in your PATH/,
      );
    } finally {
      process.env["PATH"] = before;
    }
  });
});
