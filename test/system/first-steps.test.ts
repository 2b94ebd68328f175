/** What someone does in the first ten minutes, as processes: init, run, --try, point shell, best --export. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import { HYPERPILOT, PHPO, runCli, startCli, type CliResult } from "../support/run-cli.ts";
import { processesWith } from "../support/processes.ts";
import { requireTool } from "../support/requires.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { openTerminal, type Terminal } from "../support/terminal.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Prints the distance of lr from 1e-3 and its batch, in options as argparse takes them. */
const TRAIN = `import argparse, math
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float)
parser.add_argument("--batch", type=int)
point = parser.parse_args()
for epoch in range(2):
    print(f"epoch {epoch} loss: {abs(math.log10(point.lr) + 3) + point.batch / 1000 + 1 - epoch}")
`;
const SPACE = "lr=log(1e-5,1e-1) batch=int(10,30)";

describe("The first steps", function () {
  this.timeout(120_000);
  let directory: TemporaryDirectory;
  let work: string;
  let scratch: string;
  let data: string;
  let environment: Record<string, string>;
  const terminals: Terminal[] = [];

  before(function () {
    requireTool(this, "bwrap");
  });
  beforeEach(() => {
    directory = temporaryDirectory();
    [work, scratch, data] = ["work", "scratch", "data"].map((name) =>
      join(directory.path, name),
    ) as [string, string, string];
    mkdirSync(work);
    mkdirSync(scratch);
    environment = { HYPERPILOT_DATA: data, TMPDIR: scratch };
  });
  afterEach(async () => {
    for (const terminal of terminals.splice(0)) terminal.child.kill("SIGKILL");
    const left = processesWith(directory.path);
    for (const { pid } of left) process.kill(pid, "SIGKILL");
    await directory.remove();
    assert.deepEqual(left, [], "processes were left behind");
  });

  const cli = (...args: string[]): Promise<CliResult> => runCli(args, { environment, cwd: work });
  const write = (name: string, text: string): void => writeFileSync(join(work, name), text);
  const nothingIsLeft = async (): Promise<void> => {
    await waitUntil("all processes have ended", () => processesWith(directory.path).length === 0, {
      state: () => processesWith(directory.path),
    });
    assert.deepEqual(readdirSync(scratch), []);
  };
  const whileServerIsUp = async (
    words: readonly string[],
    body: () => Promise<void>,
    cwd = work,
  ): Promise<void> => {
    const up = startCli(["up", "--port", "0", ...words], { environment, cwd });
    try {
      await waitUntil("it listens", () => up.stdout().includes("listens on"), {
        timeoutMs: 30_000,
      });
      await body();
    } finally {
      up.child.kill("SIGTERM");
      await up.ended;
    }
  };
  /** Whether a payload of the test's runs: it has the text in its command line, inside the sandbox. */
  const untilRuns = (text: string): Promise<unknown> =>
    waitUntil(
      `${text} runs`,
      () => processesWith(text).some(({ line }) => !line.includes("main.js")),
      {
        timeoutMs: 30_000,
      },
    );

  describe("hyperpilot run", () => {
    it("searches with a program as it is, and starts and ends a server for it", async () => {
      write("train.py", TRAIN);
      const result = await cli(
        "run",
        "train.py",
        "--space",
        SPACE,
        "--maxPoints",
        "4",
        "--seed",
        "1",
      );
      assert.equal(result.exitCode, 0, result.stderr);
      assert.match(
        result.stderr,
        /^Search {3}lr 1e-05 to 0\.1 \(log\), batch 10 to 30 \(whole\)\nCommand {2}.* --lr=\.\.\. --batch=\.\.\./,
      );
      assert.match(
        result.stderr,
        new RegExp(`Server {3}none answers: started .* data stay in ${data}`),
      );
      const [, loss = "", lr = "", batch = ""] =
        /best loss (\S+) at point \d+: lr (\S+), batch (\d+)/.exec(result.stdout) ?? [];
      assert.ok(
        Math.abs(Math.abs(Math.log10(Number(lr)) + 3) + Number(batch) / 1_000 - Number(loss)) <
          1e-3,
      );
      assert.match(
        result.stderr,
        new RegExp(`Train with it {2}python3 train\\.py --lr=${lr} --batch=${batch}\\n`),
      );
      await nothingIsLeft();
      write(
        "train.sh",
        'grep -q lr input.json; echo "arguments: $#"; echo loss: 2; echo \'{"loss": 3}\' > output.json\n',
      );
      const again = await cli(
        "run",
        "./train.sh",
        "--space",
        SPACE,
        "--maxPoints",
        "1",
        "--noArgs",
      );
      assert.equal(again.exitCode, 0, again.stderr);
      assert.match(again.stdout, /task 10000001 .*\nbest loss 3 at point 0/);
      assert.match(
        again.stderr,
        /task best 10000001 --export input\.json && \.\/train\.sh|sh \.\/train\.sh/,
      );
    });

    it("uses a server that is there, and lets its evaluations read what the program needs", async () => {
      write("train.py", TRAIN);
      mkdirSync(join(directory.path, "lib"));
      writeFileSync(join(directory.path, "lib", "bias"), "5");
      write("read.sh", `echo "loss: $(cat ${join(directory.path, "lib", "bias")})"\n`);
      await whileServerIsUp([], async () => {
        const library = join(directory.path, "lib");
        const words = ["read.sh", "--space", SPACE, "--maxPoints", "2", "--readOnlyPath", library];
        const result = await cli("run", ...words);
        assert.equal(result.exitCode, 0, result.stderr);
        assert.match(result.stderr, new RegExp(`may now read ${library}`));
        assert.match(result.stdout, /best loss 5 /);
        assert.doesNotMatch(result.stderr, /none answers/);
        const refused = await cli("run", "read.sh", "--space", SPACE, "--readOnlyPath", work);
        assert.equal(refused.exitCode, EXIT.conflict);
        assert.match(
          refused.stderr,
          new RegExp(`hyperpilot up .*--readOnlyPath ${library} --readOnlyPath ${work}`),
        );
      });
    });

    it("ends with the program's own words when no evaluation gives a loss", async () => {
      write("crash.py", 'print("loss: 3")\nraise ValueError("the data set is empty")\n');
      const result = await cli("run", "crash.py", "--space", "x=0..1", "--maxPoints", "6");
      assert.equal(result.exitCode, EXIT.taskUnsuccessful);
      assert.match(
        result.stderr,
        /✗ E_TASK_UNSUCCESSFUL The search ended without a loss: \d evaluations failed/,
      );
      assert.match(
        result.stderr,
        /Why {3}E_PAYLOAD: exited with 1[^]*ValueError: the data set is empty\n/,
      );
      await nothingIsLeft();
    });

    it("pauses the search at Ctrl-C, which goes on with the next server", async () => {
      write("slow.sh", "sleep 987; echo loss: 1\n");
      const running = startCli(["run", "slow.sh", "--space", "x=0..1"], { environment, cwd: work });
      await untilRuns("sleep 987");
      running.child.kill("SIGINT");
      const result = await running.ended;
      assert.equal(result.exitCode, EXIT.interrupted, result.stderr);
      assert.match(result.stderr, /task 10000000 is paused with 0 of 20 points/);
      assert.match(result.stderr, /hyperpilot task resume 10000000/);
      await nothingIsLeft();
      await whileServerIsUp([], async () => {
        assert.equal((await cli("task", "resume", "last")).exitCode, 0);
        await untilRuns("sleep 987");
        assert.equal((await cli("task", "kill", "last")).exitCode, 0);
      });
    });
  });

  describe("an image that cannot be had", () => {
    /** Nothing listens on port 1. */
    const nowhere = "docker://127.0.0.1:1/image";

    beforeEach(function () {
      requireTestbed(this);
      environment["PATH"] = `${testbed.programs}:${process.env["PATH"] ?? ""}`;
      write("t.sh", "echo loss: 1\n");
    });

    const words = ["run", "t.sh", "--space", "x=0..1", "--maxPoints", "3", "--container"];

    it("is told while its registry cannot be reached, by run and by --try; Ctrl-C ends both", async () => {
      for (const { more, told } of [
        { more: [], told: /Warning: point \d: registry 127\.0\.0\.1:1 cannot be reached/ },
        { more: ["--try"], told: /Waiting: image docker:\S+ cannot be asked for: .*ECONNREFUSED/ },
      ]) {
        const running = startCli([...words, nowhere, ...more], { environment, cwd: work });
        await waitUntil("it is told", () => told.test(running.stderr()), {
          timeoutMs: 50_000,
          state: () => running.stderr(),
        });
        running.child.kill("SIGINT");
        assert.equal((await running.ended).exitCode, EXIT.interrupted);
        await nothingIsLeft();
      }
    });

    it("ends a search that is run, with the cause", async () => {
      const result = await cli(...words, "/opt/no/such.sif");
      assert.equal(result.exitCode, EXIT.taskUnsuccessful, result.stderr);
      assert.match(result.stderr, /\/opt\/no\/such\.sif cannot be read on this node/);
      const list = JSON.stringify(await whileUpList());
      assert.match(list, /"state":"(aborted|failed)"/);
    });

    async function whileUpList(): Promise<unknown> {
      let listed: unknown = null;
      await whileServerIsUp([], async () => {
        listed = JSON.parse((await cli("task", "list", "--json")).stdout);
      });
      return listed;
    }

    it("is refused before anything is sent where it is a file that is not here", async () => {
      write("mine.sif", "");
      const result = await cli(...words, "./myne.sif");
      assert.equal(result.exitCode, EXIT.usage, result.stderr);
      assert.match(result.stderr, /There is no image \.\/myne\.sif[^]*Did you mean mine\.sif\?/);
      assert.ok(!existsSync(data));
    });
  });

  describe("--try", () => {
    it("evaluates one point here, forecasts the search, and leaves nothing", async () => {
      write("train.py", TRAIN);
      const result = await cli("run", "train.py", "--space", SPACE, "--try", "--json");
      assert.equal(result.exitCode, 0, result.stderr);
      const { kind, item } = JSON.parse(result.stdout) as {
        kind: string;
        item: Record<string, unknown>;
      };
      assert.equal(kind, "Trial");
      const { files, runtime, outcome, forecastSeconds } = item as {
        files: unknown;
        runtime: string;
        outcome: { type: string };
        forecastSeconds: number;
      };
      assert.deepEqual(files, [{ path: "train.py", sizeBytes: TRAIN.length }]);
      assert.deepEqual([runtime, outcome.type, forecastSeconds > 0], ["bubblewrap", "loss", true]);
      assert.ok(!existsSync(data));
      await nothingIsLeft();
    });

    it("of phpo asks its steering container's command, and tells files, point, loss, time and forecast", async function () {
      requireTestbed(this);
      environment["PATH"] = `${testbed.programs}:${process.env["PATH"] ?? ""}`;
      write("steer.sh", `echo '[{"x": 0.25}, {"x": 0.5}]' > "$1"\n`);
      write("evaluate.sh", `grep -q 0.25 input.json && echo '{"loss": 0.5}' > output.json\n`);
      const words = ["--steeringContainer", testbed.sifFile, "--steeringExec", "sh steer.sh %OUT"];
      const evaluation = [
        "--evaluationContainer",
        testbed.sifFile,
        "--evaluationExec",
        "sh evaluate.sh",
      ];
      const result = await runCli([...words, ...evaluation, "--outDS", "user.me.1", "--try"], {
        environment,
        cwd: work,
        program: PHPO,
      });
      assert.equal(result.exitCode, 0, result.stderr + result.stdout);
      assert.match(result.stdout, /^Files\t2 files, \d+ B: evaluate\.sh \d+ B, steer\.sh \d+ B\n/);
      assert.match(
        result.stdout,
        /\nRuntime\tapptainer, image .*payload\.sif, steering in .*payload\.sif\n/,
      );
      assert.match(result.stdout, /\nPoint\t\{"x": 0\.25\}\nLoss\t0\.5\nTime\t/);
      assert.match(
        result.stdout,
        /\nForecast\t10 points, 1 at a time: about .*, so by \d\d:\d\d if it started now\n/,
      );
      assert.match(result.stdout, /\nNote\tevaluations were shown .*payload\.sif/);
      assert.match(result.stderr, /the same command without --try/);
      await nothingIsLeft();
    });

    it("that fails ends like a task that fails, with cause and remedy", async () => {
      write("reads.py", 'print("loss:", open("data.csv").read())\n');
      write("data.csv", "1");
      const words = ["--exec", "python3 reads.py", "--space", "x=0..1"];
      const failed = await cli("submit", ...words, "--try");
      assert.equal(failed.exitCode, EXIT.taskUnsuccessful);
      assert.match(failed.stdout, /\nLoss\tfailed \(E_PAYLOAD, exit code 1\)\n/);
      assert.doesNotMatch(failed.stdout, /Forecast/);
      assert.match(
        failed.stderr,
        /FileNotFoundError: .*data\.csv[^]*Do {4}data\.csv did not go with the task/,
      );
      await nothingIsLeft();
      const sent = await cli("run", "reads.py", "--space", "x=0..1", "--try", "--file", "data.csv");
      assert.equal(sent.exitCode, 0, sent.stderr);
    });

    it("leaves nothing when it is stopped, at the start and during the evaluation", async () => {
      write("slow.sh", "sleep 986; echo loss: 1\n");
      for (const isEarly of [true, false]) {
        const running = startCli(["run", "slow.sh", "--space", "x=0..1", "--try"], {
          environment,
          cwd: work,
        });
        if (isEarly) await waitUntil("it has begun", () => running.stderr().includes("Trying"));
        else await untilRuns("sleep 986");
        running.child.kill("SIGINT");
        const result = await running.ended;
        assert.equal(result.exitCode, EXIT.interrupted, result.stderr);
        assert.match(result.stderr, /Stopped; nothing was left behind/);
        await nothingIsLeft();
      }
    });

    it("leaves nothing when its reader has gone", async () => {
      write("slow.sh", "sleep 985; echo loss: 1\n");
      const child = spawn(
        process.execPath,
        [HYPERPILOT, "run", "slow.sh", "--space", "x=0..1", "--try"],
        {
          cwd: work,
          env: { PATH: process.env["PATH"], HOME: "/nonexistent", ...environment },
          stdio: ["ignore", "ignore", "pipe"],
        },
      );
      const closed = new Promise((resolve) => child.once("close", resolve));
      // The next line that it writes finds nobody.
      child.stderr.on("data", (part: Buffer) => {
        if (part.toString().includes("Starting a pilot")) child.stderr.destroy();
      });
      await closed;
      await nothingIsLeft();
    });
  });

  describe("hyperpilot init", () => {
    it("writes a search that works as it is, and overwrites nothing", async () => {
      const result = await cli("init", "first");
      assert.equal(result.exitCode, 0, result.stderr);
      const files = ["search.toml", "space.json", "train.py"];
      assert.deepEqual(readdirSync(join(work, "first")).sort(), files);
      assert.match(result.stderr, /Next {2}cd first\n.*submit --task search\.toml --try/);
      const before = files.map((name) => readFileSync(join(work, "first", name), "utf8"));
      const again = await cli("init", "first");
      assert.equal(again.exitCode, EXIT.conflict);
      assert.match(again.stderr, /first has search\.toml, space\.json, train\.py already/);
      assert.deepEqual(
        files.map((name) => readFileSync(join(work, "first", name), "utf8")),
        before,
      );
      const first = { environment, cwd: join(work, "first") };
      const tried = await runCli(["submit", "--task", "search.toml", "--try", "--json"], first);
      assert.equal(tried.exitCode, 0, tried.stderr);
      const { item } = JSON.parse(tried.stdout) as { item: { outcome: { message: string } } };
      assert.equal(item.outcome.message, "after 30 epochs");
      await whileServerIsUp([], async () => {
        const done = await runCli(["submit", "--task", "search.toml", "--wait"], first);
        assert.equal(done.exitCode, 0, done.stderr);
        assert.match(done.stdout, /✓ finished {2}task \d+ "first": all 16 points are evaluated\n/);
      });
    });

    it("has a training that goes on where it was ended, to the same loss", async () => {
      await cli("init");
      const train = join(work, "train.py");
      // Slow enough to be ended in the middle.
      const text = readFileSync(train, "utf8").replace(
        '        print(f"epoch',
        '        __import__("time").sleep(0.02)\n        print(f"epoch',
      );
      writeFileSync(train, text);
      const point = { learning_rate: 0.05, momentum: 0.9, hidden_units: 4, activation: "tanh" };
      const start = (): ReturnType<typeof spawn> =>
        spawn("python3", ["train.py"], { cwd: work, stdio: ["ignore", "pipe", "inherit"] });
      const loss = (): unknown => JSON.parse(readFileSync(join(work, "output.json"), "utf8"));
      write("input.json", JSON.stringify(point));
      const whole = start();
      await new Promise((resolve) => whole.once("close", resolve));
      const expected = loss();
      for (const name of ["output.json", "checkpoint.json", "intermediate.jsonl"])
        rmSync(join(work, name));
      const first = start();
      let printed = "";
      first.stdout?.on("data", (part: Buffer) => (printed += part.toString()));
      await waitUntil("five epochs", () => printed.includes("epoch 5 "));
      first.kill("SIGKILL");
      await new Promise((resolve) => first.once("close", resolve));
      assert.ok(!existsSync(join(work, "output.json")));
      const second = start();
      let resumed = "";
      second.stdout?.on("data", (part: Buffer) => (resumed += part.toString()));
      await new Promise((resolve) => second.once("close", resolve));
      assert.match(resumed, /^resumed after epoch ([5-9]|[12]\d)\n/);
      assert.deepEqual(loss(), expected);
      const lines = readFileSync(join(work, "intermediate.jsonl"), "utf8").trim().split("\n");
      assert.deepEqual(Object.keys(JSON.parse(lines[0] ?? "") as object), ["step", "loss"]);
    });
  });

  describe("a point that was evaluated", () => {
    it("is looked into in a shell, and exported byte for byte", async function () {
      requireTool(this, "python3");
      write("evaluate.sh", 'echo "seed $HYPERPILOT_SEED"; echo "{\\"loss\\": 1}" > output.json\n');
      write(
        "space.json",
        '{"a": {"method": "fixed", "dimension": {"value": 1.0}}, "10": {"method": "fixed", "dimension": {"value": "x"}}}',
      );
      await whileServerIsUp([], async () => {
        const words = [
          "--space",
          "space.json",
          "--exec",
          "evaluate.sh",
          "--maxPoints",
          "1",
          "--wait",
        ];
        const submitted = await cli("submit", ...words);
        assert.equal(submitted.exitCode, 0, submitted.stderr);
        await exportsExactly();
        await shellOnPipe();
        await shellOnTerminal();
        await shellOfClosedTerminal();
      });
    });

    async function exportsExactly(): Promise<void> {
      const text = '{"a": 1.0, "10": "x"}';
      const exported = await cli("task", "best", "last", "--export", "best.json", "--json");
      assert.equal(readFileSync(join(work, "best.json"), "utf8"), text);
      assert.match(exported.stdout, new RegExp(`"exportedTo":"${join(work, "best.json")}"`));
      assert.equal((await cli("task", "best", "last", "--export", "-")).stdout, text);
      write("best.json", "mine");
      const refused = await cli("task", "best", "last", "--export", "best.json");
      assert.equal(refused.exitCode, EXIT.conflict);
      assert.equal(readFileSync(join(work, "best.json"), "utf8"), "mine");
      assert.equal(
        (await cli("task", "best", "last", "--export", "best.json", "--force")).exitCode,
        0,
      );
      assert.equal(readFileSync(join(work, "best.json"), "utf8"), text);
    }

    /** `point shell 0` with commands on standard input. */
    async function shell(commands: string): Promise<CliResult> {
      const running = spawn(process.execPath, [HYPERPILOT, "point", "shell", "0"], {
        cwd: work,
        env: { PATH: process.env["PATH"], HOME: "/nonexistent", ...environment },
        stdio: ["pipe", "pipe", "pipe"],
      });
      let stdout = "";
      let stderr = "";
      running.stdout.on("data", (part: Buffer) => (stdout += part.toString()));
      running.stderr.on("data", (part: Buffer) => (stderr += part.toString()));
      running.stdin.end(commands);
      const exitCode = await new Promise<number | null>((resolve) =>
        running.once("close", resolve),
      );
      return { exitCode, stdout, stderr };
    }

    /** Commands on standard input; the same environment as the evaluation had. */
    async function shellOnPipe(): Promise<void> {
      const log = (await cli("task", "logs", "last", "0")).stdout;
      const { exitCode, stdout, stderr } = await shell(
        "pwd; cat input.json; echo; run; ls; cat /etc/shadow; exit 3\n",
      );
      assert.equal(exitCode, EXIT.failed, stderr);
      assert.match(
        stdout,
        /^\/srv\/workDir\n\{"a": 1\.0, "10": "x"\}\nseed \d+\noutput\.json: \{"loss": 1\}\n\nexit code 0\n/,
      );
      const [seed = "none"] = /^seed \d+$/m.exec(log) ?? [];
      assert.ok(stdout.includes(`\n${seed}\n`), `${log} is not in ${stdout}`);
      assert.match(stdout, /\nevaluate\.sh\ninput\.json\noutput\.json\nspace\.json\n$/);
      assert.match(stderr, /Command {2}evaluate\.sh\n/);
      assert.match(stderr, /shadow/);
    }

    const open = (...args: string[]): Terminal => {
      const terminal = openTerminal([process.execPath, HYPERPILOT, ...args], {
        cwd: work,
        environment: { HOME: "/nonexistent", ...environment },
      });
      terminals.push(terminal);
      return terminal;
    };

    /** Ctrl-C and job control belong to the shell; nothing in it can type into the terminal. */
    async function shellOnTerminal(): Promise<void> {
      const before = readdirSync(scratch);
      const terminal = open("point", "shell", "last", "0");
      await terminal.see(/point 0 \$ /);
      terminal.type("sleep 984\n");
      await untilRuns("sleep 984");
      terminal.type("\u0003");
      await terminal.see(/point 0 \$ /);
      terminal.type("run\n");
      await terminal.see(/seed \d+\r\n[^]*exit code 0\r\n/);
      terminal.type(
        `perl -e 'ioctl(STDIN, 0x5412, my $x = "x") or print "refused: ", $!+0, "\\n"'\n`,
      );
      await terminal.see(/refused: 1\r/);
      assert.ok(readdirSync(scratch).length > before.length);
      terminal.type("exit\n");
      assert.equal(await terminal.ended, 0, terminal.screen());
      assert.deepEqual(readdirSync(scratch), before);
    }

    async function shellOfClosedTerminal(): Promise<void> {
      const before = readdirSync(scratch);
      const terminal = open("point", "shell", "0");
      await terminal.see(/point 0 \$ /);
      terminal.type("sleep 983\n");
      await untilRuns("sleep 983");
      terminal.child.kill("SIGKILL");
      await terminal.ended;
      await waitUntil("the shell has ended", () => processesWith("sleep 983").length === 0);
      await waitUntil("its directory is gone", () => readdirSync(scratch).length === before.length);
    }

    it("is looked into in its own image", async function () {
      requireTestbed(this);
      environment["PATH"] = `${testbed.programs}:${process.env["PATH"] ?? ""}`;
      write("evaluate.sh", 'test -e /bin/busybox && echo "loss: 4"\n');
      const paths = ["--readOnlyPath", join(testbed.directory, "images")];
      await whileServerIsUp(paths, async () => {
        const words = ["--exec", "sh evaluate.sh", "--container", testbed.sifFile];
        const more = ["--space", "x=0..1", "--maxPoints", "1", "--evaluationOutput", "stdout:loss"];
        const submitted = await cli("submit", ...words, ...more, "--wait");
        assert.equal(submitted.exitCode, 0, submitted.stderr);
        const { exitCode, stdout, stderr } = await shell("pwd; run; touch /usr/x\n");
        assert.equal(exitCode, EXIT.failed, stderr);
        assert.match(stdout, /^\/srv\/workDir\nloss: 4\nexit code 0\n$/);
        assert.match(stderr, /Sandbox {2}apptainer, directory[^]*Read-only file system/);
      });
    });

    it("is refused in words when there is no such point or task", async () => {
      await whileServerIsUp([], async () => {
        assert.match(
          (await cli("point", "shell", "seventeen")).stderr,
          /"seventeen" is no id of a point/,
        );
        assert.match((await cli("point", "shell", "17")).stderr, /There is no last task/);
        assert.equal((await cli("point", "shell", "17")).exitCode, EXIT.notFound);
      });
    });
  });
});
