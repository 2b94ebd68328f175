import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import { PHPO, runCli, startCli, type CliResult } from "../support/run-cli.ts";
import { startSmallServer, type SmallServer } from "../support/small-server.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const SPACE = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';
const PANDA = '#!/bin/sh\nexec python3 -m pandaclient.PhpoScript "$@"\n';

describe("phpo as a process", () => {
  let directory: TemporaryDirectory;
  let server: SmallServer;
  let environment: Record<string, string>;

  const write = (path: string, content: string, mode = 0o600): void => {
    const file = join(directory.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content, { mode });
  };
  const phpo = (...args: string[]): Promise<CliResult> =>
    runCli(args, { environment, cwd: join(directory.path, "task"), program: PHPO });
  const hyperpilot = (...args: string[]): Promise<CliResult> =>
    runCli(args, { environment, cwd: join(directory.path, "task") });
  const dumped = (): Record<string, unknown> =>
    JSON.parse(readFileSync(join(directory.path, "task/dump.json"), "utf8")) as Record<
      string,
      unknown
    >;

  beforeEach(async () => {
    directory = temporaryDirectory();
    server = await startSmallServer();
    write("token", `${await server.token(["user", "admin"])}\n`);
    write("task/space.json", SPACE);
    write(
      "task/config.json",
      JSON.stringify({
        steeringMethod: "random",
        searchSpaceFile: "space.json",
        evaluationContainer: "host:",
        evaluationExec: "true",
        outDS: "user.blah.1",
        maxPoints: "5",
      }),
    );
    environment = {
      HYPERPILOT_SERVER: server.origin,
      HYPERPILOT_TOKEN_FILE: join(directory.path, "token"),
      HYPERPILOT_DATA: directory.path,
    };
  });
  afterEach(async () => {
    await server.close();
    await directory.remove();
  });

  it("shows in task show what it was given, also what only later work makes use of", async () => {
    write("task/seg.json", '[{"name": "a", "files": ["f"]}, {"name": "b", "files": ["g"]}]');
    const result = await phpo(
      ...[
        "--loadJson",
        "config.json",
        "--segmentSpecFile=seg.json",
        "--trainingDS",
        "user.me.data",
      ],
      ...[
        "--checkPointToSave",
        "ckpt,model.h5",
        "--checkPointInterval",
        "2",
        "--evaluationMetrics",
        "m.tgz",
      ],
      ...["--resources", "gpus=1:A100,cpus=4|cpus=16", "--internet", "--whileSteering", "random"],
      ...["--alrbArgs", "--nohome", "--noEmail", "--penalty=worst", "--evaluationTimeout", "60"],
    );
    assert.equal(result.exitCode, EXIT.success, result.stderr);
    assert.match(result.stderr, /Note: --alrbArgs changes nothing about this search/);
    assert.match(
      result.stderr,
      /Note: the files of user\.me\.data \(--trainingDS\) are not brought/,
    );
    const { stdout } = await hyperpilot("task", "show", "last");
    for (const field of [
      /^Steering\trandom; random points while slots wait; seed \d+$/m,
      /^Evaluation\ttrue in host:; metrics in m\.tgz; at most 1 min$/m,
      /^Needs\t1 A100 GPU, 4 CPUs and 1\.0 GB, or 16 CPUs and 1\.0 GB; and the internet$/m,
      /^Checkpoints\tckpt, model\.h5 every 2 min, extracted$/m,
      /^Data\ttraining files of user\.me\.data, listed in input_ds\.json; output in user\.blah\.1$/m,
      /^Segments\t2: a, b$/m,
      /^Failures\ttold as the worst loss so far$/m,
      /^Kept\t--alrbArgs=--nohome --noEmail$/m,
    ])
      assert.match(stdout, field);
  });

  it("writes --dumpJson when a task was submitted, and when it was refused", async () => {
    const good = await phpo("--loadJson", "config.json", "--dumpJson", "dump.json");
    assert.equal(good.exitCode, EXIT.success, good.stderr);
    const taskId = Number(good.stdout);
    assert.deepEqual(
      [dumped()["returnCode"], dumped()["jediTaskID"], dumped()["maxPoints"]],
      [null, taskId, 5],
    );
    assert.equal(dumped()["returnOut"], `succeeded. new jediTaskID=${taskId}`);
    // Container steering needs a central queue, and this server has none.
    const words = ["--steeringContainer", "x", "--steeringExec", "y", "--dumpJson=dump.json"];
    const bad = await phpo("--loadJson", "config.json", ...words);
    assert.equal(bad.exitCode, EXIT.conflict);
    assert.deepEqual([dumped()["returnCode"], dumped()["jediTaskID"]], [1, null]);
    assert.match(
      String(dumped()["returnOut"]),
      /E_CONFLICT No queue here runs steering containers/,
    );
    assert.equal(server.core.tasks.size, 1);
  });

  it("says with -v which options are in effect and where they come from", async () => {
    const result = await phpo("--loadJson", "config.json", "--maxPoints=9", "-v", "--noSubmit");
    assert.equal(result.exitCode, EXIT.success, result.stderr);
    assert.match(result.stderr, /^phpo of Hyperpilot \d+\.\d+\.\d+, \S+\/dist\/client\/phpo\.js$/m);
    assert.match(result.stderr, /maxPoints +9 +\(command line\)/);
    assert.match(result.stderr, /evaluationContainer +host: +\(config\.json:1:\d+\)/);
  });

  it("is a command of hyperpilot as well", async () => {
    const result = await hyperpilot("phpo", "--loadJson", "config.json");
    assert.equal(result.exitCode, EXIT.success, result.stderr);
    assert.equal(server.core.tasks.size, 1);
    const group = await hyperpilot("phpo", "--helpGroup", "submit");
    assert.match(group.stdout, /^Usage: hyperpilot phpo /);
    assert.match(group.stdout, /--site/);
    const wrong = await hyperpilot("phpo", "--maxPo", "3");
    assert.match(wrong.stderr, /Did you mean --maxPoints/);
  });

  describe("with panda-client's phpo on PATH", () => {
    let panda: string;

    beforeEach(() => {
      write("panda/phpo", PANDA, 0o755);
      panda = join(directory.path, "panda");
    });

    const isForeign = (): RegExp =>
      new RegExp(`typing "phpo" here runs ${panda}/phpo, panda-client's, not Hyperpilot's`);

    it("in front of it, says which one a shell runs and how to choose: in --version, at submission, in help", async () => {
      environment["PATH"] = `${panda}:${process.env["PATH"] ?? ""}`;
      for (const result of [
        await phpo("--version"),
        await hyperpilot("phpo", "--version"),
        await phpo("--loadJson", "config.json"),
        await hyperpilot("help", "phpo"),
      ]) {
        assert.equal(result.exitCode, EXIT.success, result.stderr);
        assert.match(result.stdout + result.stderr, isForeign());
        assert.match(result.stdout + result.stderr, /type: hyperpilot phpo/);
      }
    });

    it("behind it, names that one too", async () => {
      const own = join(directory.path, "own");
      write("own/phpo", `#!/bin/sh\nexec ${process.execPath} ${PHPO} "$@"\n`, 0o755);
      environment["PATH"] = `${own}:${panda}:${process.env["PATH"] ?? ""}`;
      const { stdout } = await phpo("--version");
      assert.match(stdout, /^phpo of Hyperpilot \d/);
      assert.match(
        stdout,
        /another phpo, panda-client's, is behind this one in PATH: \S+\/panda\/phpo/,
      );
      const help = await hyperpilot("help", "phpo");
      assert.doesNotMatch(help.stderr, /phpo" here runs/);
    });

    it("in front of it, is told by hyperpilot up when it is ready", async function () {
      this.timeout(60_000);
      const data = join(directory.path, "data");
      environment["PATH"] = `${panda}:${process.env["PATH"] ?? ""}`;
      const up = startCli(["up", "--data", data, "--port", "0"], { environment });
      try {
        await waitUntil("it is ready", () => isForeign().test(up.stderr()), {
          timeoutMs: 30_000,
          state: () => up.stdout() + up.stderr(),
        });
        assert.match(up.stdout(), /Hyperpilot listens on/);
      } finally {
        up.child.kill("SIGTERM");
        await up.ended;
      }
    });
  });
});
