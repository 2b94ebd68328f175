import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { chmodSync, createWriteStream, mkdirSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { EXIT } from "../../protocol/errors.ts";
import { listArchive } from "../../common/archive.ts";
import { pipeline } from "node:stream/promises";
import { PHPO, runCli, startCli, type CliResult } from "../support/run-cli.ts";
import { startSmallServer, type SmallServer } from "../support/small-server.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const SPACE = '{"x":{"method":"uniform","dimension":{"low":0,"high":1}}}';

/** Modules of ours that the help loads: each costs about a millisecond of every command. */
const HELP_MODULES_MAX = 40;
const REPOSITORY = fileURLToPath(new URL("../../", import.meta.url));

describe("hyperpilot on the command line", function () {
  // Each test starts several processes.
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  let server: SmallServer;
  let environment: Record<string, string>;

  const write = (path: string, content: string | Uint8Array, mode = 0o600): string => {
    const file = join(directory.path, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
    chmodSync(file, mode);
    return file;
  };
  const cli = (...args: string[]): Promise<CliResult> =>
    runCli(args, { environment, cwd: join(directory.path, "task") });
  const submit = async (...args: string[]): Promise<string> => {
    const result = await cli("submit", "--space", SPACE, "--exec", "true", ...args);
    assert.equal(result.exitCode, 0, result.stderr);
    return result.stdout.trim();
  };
  const item = (result: CliResult): Record<string, unknown> => {
    assert.equal(result.exitCode, 0, result.stderr);
    const document = JSON.parse(result.stdout) as {
      apiVersion: string;
      item: Record<string, unknown>;
    };
    assert.equal(document.apiVersion, "hyperpilot/v1");
    return document.item;
  };

  beforeEach(async () => {
    directory = temporaryDirectory();
    server = await startSmallServer();
    const token = await server.token(["user", "operator", "admin"]);
    const tokenFile = write("token", `${token}\n`);
    mkdirSync(join(directory.path, "task"));
    environment = {
      HYPERPILOT_SERVER: server.origin,
      HYPERPILOT_TOKEN_FILE: tokenFile,
      HYPERPILOT_DATA: directory.path,
    };
  });

  afterEach(async () => {
    await server.close();
    await directory.remove();
  });

  describe("submit", () => {
    it("lists and sends the task's files, and nothing else below the directory", async () => {
      for (const path of ["train.py", "lib/model.py", "run.sh", "conf/a.yaml", "input.json"])
        write(`task/${path}`, path);
      for (const path of [
        "notes.txt",
        ".git/config.json",
        "venv/x.py",
        ".venv/y.py",
        "node_modules/z.json",
        "__pycache__/c.py",
      ])
        write(`task/${path}`, path);
      const result = await cli(
        "submit",
        "--space",
        SPACE,
        "--exec",
        "python3 train.py",
        "--seed",
        "7",
        "--maxPoints",
        "3",
      );
      assert.equal(result.exitCode, 0, result.stderr);
      const taskId = Number(result.stdout);
      const spec = server.core.tasks.get(taskId)?.spec;
      assert.ok(spec !== undefined && spec.sandboxSha256 !== null);
      assert.deepEqual(
        [spec.name, spec.seed, spec.limits.maxPoints, spec.searchSpace],
        ["task", 7, 3, SPACE],
      );
      assert.match(
        result.stderr,
        /Sending 5 files, .*: conf\/a\.yaml, input\.json, lib\/model\.py, run\.sh, train\.py/,
      );
      assert.match(result.stderr, new RegExp(`Next {2}hyperpilot task watch ${taskId}`));
      const blob = await server.blobs.get(spec.sandboxSha256);
      const file = join(directory.path, "sent.tar.gz");
      await pipeline(blob!.stream, createWriteStream(file));
      const entries = await listArchive(file, { filesMax: 100, bytesMax: 1e6, depthMax: 8 });
      assert.deepEqual(
        entries.map(({ path }) => path.replace(/^\.\//, "")),
        ["conf/a.yaml", "input.json", "lib/model.py", "run.sh", "train.py"],
      );
    });

    it("refuses more than 10 MB and names the largest files; nothing is sent", async () => {
      write("task/big.json", randomBytes(11_000_000));
      write("task/small.py", "x");
      const result = await cli("submit", "--space", SPACE, "--exec", "true");
      assert.equal(result.exitCode, EXIT.refusedByLimit);
      assert.match(
        result.stderr,
        /✗ E_SANDBOX_SIZE .*Nothing was sent\.\n {2}Why {3}The largest: big\.json 11\.0 MB, small\.py 1 B/,
      );
      assert.equal(server.core.tasks.size, 0);
    });

    it("refuses files that look like secrets, and directories that are none", async () => {
      write("task/credentials.json", "{}");
      const secret = await cli("submit", "--space", SPACE, "--exec", "true");
      assert.equal(secret.exitCode, EXIT.usage);
      assert.match(secret.stderr, /E_FILE Not sent: credentials\.json/);
      const missing = await cli("submit", "--space", SPACE, "--exec", "true", "--files", "nowhere");
      assert.match(missing.stderr, /E_FILE The directory .*nowhere cannot be read/);
      assert.equal(server.core.tasks.size, 0);
    });

    it("takes a file; the command line wins over it, and its search space stays as it is written", async () => {
      const space =
        '{"b": {"method": "fixed", "dimension": {"value": 1.0}},\n  "1": {"method": "fixed", "dimension": {"value": 2}}}';
      write(
        "task.json",
        `{"name":"from-file","seed":3,"searchSpace":${space},"evaluation":{"exec":"a"},"limits":{"maxPoints":5,"nParallelEvaluation":2}}`,
      );
      const result = await cli("submit", "--task", "../task.json", "--maxPoints", "7", "--json");
      const { taskId } = item(result);
      const spec = server.core.tasks.get(Number(taskId))?.spec;
      assert.deepEqual(
        [spec?.name, spec?.seed, spec?.limits.maxPoints, spec?.limits.nParallelEvaluation],
        ["from-file", 3, 7, 2],
      );
      assert.equal(spec?.searchSpace, space);
    });

    it("says where a file is wrong, and what was meant", async () => {
      write("task.json", '{"evaluation":{"exec":"a"},"limits":{"maxPoint":5},"searchSpace":{}}');
      const unknown = await cli("submit", "--task", "../task.json");
      assert.match(
        unknown.stderr,
        /unknown field "limits\.maxPoint"\.\n {2}Do {4}Did you mean "maxPoints"\?/,
      );
      write("space.json", '{"x":\n  {"method": "uniform", "dimension": {"low": 3, "high": 1}}}');
      const space = await cli("submit", "--space", "../space.json", "--exec", "true");
      assert.equal(space.exitCode, EXIT.usage);
      assert.match(space.stderr, /E_SEARCH_SPACE \.\.\/space\.json:2:\d+ .*low.*3/);
    });

    it("shows errors as JSON on stderr with --json", async () => {
      const result = await cli(
        "submit",
        "--space",
        SPACE,
        "--exec",
        "true",
        "--minUnevaluatedPoints",
        "5",
        "--json",
      );
      const { error } = JSON.parse(result.stderr) as { error: { code: string; exit: number } };
      assert.deepEqual(
        [error.code, error.exit, result.exitCode, result.stdout],
        ["E_TASK_SPECIFICATION", 2, 2, ""],
      );
    });
  });

  describe("task", () => {
    it("is chosen by id, by name, or as the last one", async () => {
      const first = await submit("--name", "one");
      const second = await submit("--name", "two");
      for (const [selector, id] of [
        [first, first],
        ["one", first],
        ["two", second],
        ["last", second],
      ] as const) {
        assert.equal(String(item(await cli("task", "show", selector, "--json"))["taskId"]), id);
      }
      const near = await cli("task", "show", "tow");
      assert.equal(near.exitCode, EXIT.notFound);
      assert.match(near.stderr, /Did you mean "two"\?/);
      await submit("--name", "two");
      const several = await cli("task", "kill", "two");
      assert.equal(several.exitCode, EXIT.conflict);
      assert.match(several.stderr, /2 tasks are named "two"/);
    });

    it("list, points, point and why answer in tabs for programs and in JSON", async () => {
      const id = await submit("--name", "evil\u001b[2J\tname", "--nParallelEvaluation", "2");
      const list = await cli("task", "list");
      const cells = list.stdout.trimEnd().split("\t");
      assert.deepEqual(cells.slice(0, 4), [id, "evil\\x1b[2J\\tname", "running", "0/10"]);
      const points = await waitUntil("points", async () => {
        const result = await cli("task", "points", id);
        return result.stdout === "" ? null : result.stdout.trimEnd().split("\n");
      });
      assert.deepEqual(points[0]?.split("\t"), ["0", "ready", "", "0", "", "run 0", '{"x":1.0}']);
      assert.equal(item(await cli("task", "point", id, "0", "--json"))["state"], "ready");
      const why = await cli("task", "why", id);
      assert.match(why.stderr, /^Do {4}/m);
      assert.ok(why.stdout.length > 10);
      assert.equal(item(await cli("task", "why", id, "--json"))["code"], "noQueueFits");
      assert.equal((await cli("task", "best", id)).exitCode, EXIT.notFinished);
      assert.equal((await cli("task", "point", id, "999")).exitCode, EXIT.notFound);
    });

    it("prints the output of a point, harmless on no terminal of ours", async () => {
      const id = await submit();
      server.output.set(`${id}/0`, "loss 1\nloss 2\n");
      await waitUntil("a point", async () => (await cli("task", "points", id)).stdout !== "");
      const result = await cli("task", "logs", id, "0");
      assert.equal(result.stdout, "loss 1\nloss 2\n");
      assert.equal((await cli("task", "logs", id)).exitCode, EXIT.notFound);
    });

    it("pause, resume, limits, finish and kill tell the new state and the next command", async () => {
      const id = await submit();
      const expected: readonly (readonly [string[], RegExp, RegExp])[] = [
        [["pause", id], /^Task \d+ paused: /, /task resume/],
        [["resume", id], /^Task \d+ running: /, /task watch/],
        [["limits", id, "--maxPoints", "12"], /^Task \d+ running: /, /task watch/],
        [["finish", id], /^Task \d+ (finishing|failed): /, /task/],
      ];
      for (const [args, state, next] of expected) {
        const result = await cli("task", ...args);
        assert.equal(result.exitCode, 0, result.stderr);
        assert.match(result.stdout, state);
        assert.match(result.stderr, next);
      }
      assert.equal(item(await cli("task", "show", id, "--json"))["maxPoints"], 12);
      assert.equal((await cli("task", "pause", id)).exitCode, EXIT.conflict);
      assert.equal((await cli("task", "limits", id)).exitCode, EXIT.usage);
      assert.equal((await cli("task", "retry", id, "x")).exitCode, EXIT.usage);
      const other = await submit();
      assert.match((await cli("task", "kill", other)).stdout, /aborted/);
    });

    it("watch ends with 5 when the task does not finish", async () => {
      const id = await submit();
      const watching = startCli(["task", "watch", id], { environment });
      await waitUntil("a line of progress", () => watching.stderr().includes("running"), {
        state: () => watching.stderr(),
      });
      await cli("task", "kill", id);
      const result = await watching.ended;
      assert.equal(result.exitCode, EXIT.taskUnsuccessful);
      assert.match(result.stdout, /✗ aborted/);
      assert.match(result.stderr, /Next {2}hyperpilot task why/);
    });

    it("watch --json is one document per change, and Ctrl-C leaves the task alone", async () => {
      const id = await submit();
      const watching = startCli(["task", "watch", id, "--json"], { environment });
      await waitUntil("a document", () => watching.stdout().includes("\n"));
      watching.child.kill("SIGINT");
      const result = await watching.ended;
      assert.equal(result.exitCode, EXIT.interrupted);
      assert.match(
        result.stderr,
        new RegExp(`Stopped watching, the task goes on: hyperpilot task watch ${id}`),
      );
      for (const line of result.stdout.trimEnd().split("\n")) {
        assert.equal((JSON.parse(line) as { kind: string }).kind, "Task");
      }
      assert.equal(server.core.tasks.get(Number(id))?.state, "running");
    });
  });

  describe("site and admin", () => {
    it("add, change and remove a queue; errors have their place", async () => {
      write("gpu.toml", 'name = "gpu"\nsite = "a"\n[slot]\ncpus = 4\ngpus = 1\n');
      assert.equal(
        (await cli("site", "queue", "add", "../gpu.toml")).stdout,
        "Queue gpu online: saved.\n",
      );
      assert.equal(
        (await cli("site", "queue", "set-state", "gpu", "drain")).stdout,
        "Queue gpu drain.\n",
      );
      assert.match((await cli("site", "queues")).stdout, /^gpu\ta\tdrain\t/);
      assert.match(
        (await cli("site", "queue", "set-state", "gpu", "drian")).stderr,
        /Did you mean drain\?/,
      );
      assert.match(
        (await cli("site", "queue", "set-state", "gup", "drain")).stderr,
        /Did you mean gpu\?/,
      );
      assert.equal(
        (await cli("site", "queue", "alias", "gpu", "registry.example/a:1", "/images/a.sif"))
          .stdout,
        "Queue gpu uses /images/a.sif for registry.example/a:1.\n",
      );
      assert.deepEqual(server.core.queues.get("gpu")?.images, {
        "registry.example/a:1": "/images/a.sif",
      });
      assert.equal((await cli("site", "queue", "rm", "gpu")).exitCode, 0);
      assert.equal((await cli("site", "queues")).stdout, "");
      write("bad.toml", 'name = "gpu"\nstate = \n');
      assert.match(
        (await cli("site", "queue", "add", "../bad.toml")).stderr,
        /E_QUEUE_CONFIG \.\.\/bad\.toml:2:/,
      );
      write("typo.toml", 'name = "gpu"\nstaet = "online"\n');
      assert.match(
        (await cli("site", "queue", "add", "../typo.toml")).stderr,
        /Did you mean "state"\?/,
      );
    });

    it("issue a token that works until it is revoked", async () => {
      const issued = await cli("admin", "tokens", "issue", "laptop", "--user", "bob");
      assert.equal(issued.exitCode, 0, issued.stderr);
      const file = write("bob", issued.stdout);
      const asBob = () =>
        runCli(["task", "list"], { environment: { ...environment, HYPERPILOT_TOKEN_FILE: file } });
      assert.equal((await asBob()).exitCode, 0);
      const tokens = (await cli("admin", "tokens")).stdout
        .split("\n")
        .map((line) => line.split("\t"));
      const id = tokens.find((cells) => cells[1] === "laptop")?.[0] ?? "";
      assert.equal((await cli("admin", "tokens", "revoke", id)).exitCode, 0);
      assert.equal((await asBob()).exitCode, EXIT.unauthenticated);
    });
  });

  it("admin status ends with 1 exactly when a check is not good", async () => {
    const result = await cli("admin", "status", "--json");
    const document = JSON.parse(result.stdout) as { item: { checks: { ok: boolean }[] } };
    assert.ok(document.item.checks.length > 0);
    const isGood = document.item.checks.every(({ ok }) => ok);
    assert.equal(result.exitCode, isGood ? EXIT.success : EXIT.failed);
  });

  describe("connection", () => {
    it("without a server, or to none, ends with 10 and the remedy", async () => {
      const none = await runCli(["task", "list"], {
        environment: { HYPERPILOT_DATA: directory.path },
      });
      assert.equal(none.exitCode, EXIT.unreachable);
      assert.match(none.stderr, /hyperpilot up/);
      const away = await runCli(["task", "list", "--server", "http://127.0.0.1:1"], {
        environment,
      });
      assert.equal(away.exitCode, EXIT.unreachable);
      assert.match(away.stderr, /cannot be reached/);
    });

    it("uses the access file of up, and refuses one that others may read", async () => {
      const token = await server.token(["user"]);
      const file = write(
        "access.json",
        JSON.stringify({ server: server.origin, token, caFingerprint: null }),
      );
      const own = { HYPERPILOT_DATA: directory.path };
      assert.equal((await runCli(["task", "list"], { environment: own })).exitCode, 0);
      chmodSync(file, 0o644);
      const open = await runCli(["task", "list"], { environment: own });
      assert.equal(open.exitCode, EXIT.usage);
      assert.match(open.stderr, /chmod 600/);
      assert.ok(!(open.stderr + open.stdout).includes(token));
    });

    it("sends the token of the access file to no other server", async () => {
      const seen: string[] = [];
      const other = await listen((request, response) => {
        seen.push(request.headers.authorization ?? "");
        response.end("{}");
      });
      try {
        write(
          "access.json",
          JSON.stringify({ server: server.origin, token: "hp_secret", caFingerprint: null }),
        );
        const result = await runCli(["task", "list", "--server", originOf(other)], {
          environment: { HYPERPILOT_DATA: directory.path },
        });
        assert.equal(result.exitCode, EXIT.unauthenticated);
        assert.deepEqual(seen, []);
      } finally {
        await close(other);
      }
    });

    it("to something that is no Hyperpilot server says so", async () => {
      const answers = ["<html>", '{"items":"x"}'];
      const other = await listen((_request, response) => response.end(answers.shift()));
      try {
        for (let times = 0; times < 2; times += 1) {
          const result = await runCli(["task", "list", "--server", originOf(other)], {
            environment,
          });
          assert.equal(result.exitCode, EXIT.failed);
          assert.match(
            result.stderr,
            /E_PROTOCOL The server's answer to "listTasks" is not understood/,
          );
        }
      } finally {
        await close(other);
      }
    });

    it("that breaks while watching is made again", async () => {
      const id = await submit();
      const shown = item(await cli("task", "show", id, "--json"));
      let requests = 0;
      const other = await listen((_request, response) => {
        requests += 1;
        if (requests === 2) return void response.destroy();
        const detail =
          requests < 3
            ? shown
            : { ...shown, state: "finished", reason: "all done", endedAt: shown["createdAt"] };
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(`event: task\ndata: ${JSON.stringify(detail)}\n\n`, () =>
          requests < 3 ? response.destroy() : response.end(),
        );
      });
      try {
        const result = await runCli(["task", "watch", id, "--server", originOf(other)], {
          environment,
        });
        assert.equal(result.exitCode, 0, result.stderr);
        assert.match(result.stderr, /Server away: .*\n(.*\n)*The server is back\./);
        assert.match(result.stdout, /✓ finished/);
        assert.equal(requests, 3);
      } finally {
        await close(other);
      }
    });
  });

  describe("phpo", () => {
    const phpo = (...args: string[]) =>
      runCli(args, { environment, cwd: join(directory.path, "task"), program: PHPO });

    it("names the place of a typographic quote, as in the founding document's example", async () => {
      write(
        "task/config_dev.json",
        '{"evaluationExec": "bash ./exec_in_container.sh", "evaluationMetrics": "metrics.tgz”}',
      );
      const result = await phpo("--loadJson", "config_dev.json", "--outDS", "user.blah.1");
      assert.equal(result.exitCode, EXIT.usage);
      assert.match(result.stderr, /config_dev\.json:1:84 typographic quote ”, write "/);
    });

    it("submits; the command line wins over --loadJson, and unknown names are told", async () => {
      write("task/space.json", SPACE);
      write(
        "task/config.json",
        JSON.stringify({
          steeringMethod: "random",
          searchSpaceFile: "space.json",
          evaluationContainer: "host:",
          evaluationExec: "true",
          maxPoints: "5",
          nParallelEvaluation: 2,
          maxPoint: 3,
        }),
      );
      const result = await phpo(
        "--loadJson",
        "config.json",
        "--outDS",
        "user.blah.1",
        "--maxPoints",
        "9",
      );
      assert.equal(result.exitCode, 0, result.stderr);
      assert.match(
        result.stderr,
        /unknown option "maxPoint" is passed over\. Did you mean "maxPoints"\?/,
      );
      const { spec } = server.core.tasks.get(Number(result.stdout))!;
      assert.deepEqual(
        [spec.name, spec.limits.maxPoints, spec.limits.nParallelEvaluation],
        ["user.blah.1", 9, 2],
      );
    });

    it("--noSubmit sends nothing", async () => {
      write("task/space.json", SPACE);
      const result = await phpo(
        "--steeringMethod",
        "tpe",
        "--searchSpaceFile",
        "space.json",
        "--evaluationContainer",
        "host:",
        "--evaluationExec",
        "true",
        "--outDS",
        "u.1",
        "--noSubmit",
      );
      assert.equal(item(result)["name"], "u.1");
      assert.equal(server.core.tasks.size, 0);
    });
  });

  it("the help is there at once: it loads the client's tables, commander, and nothing of the programs", async () => {
    // Of the sources: the build loads each module when these load it, but all of them are one file there.
    const args = [...namesLoadedModules(), "--import", "tsx", "client/main.ts", "--help"];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: REPOSITORY });
    const modules = [...stdout.matchAll(/^loaded file:\/\/(.*\.[cm]?[jt]s)$/gm)].map(
      ([, path = ""]) => relative(REPOSITORY, path),
    );
    const own = [...new Set(modules)].filter((path) => !path.startsWith("node_modules/"));
    const packages = modules.filter((path) => !own.includes(path));
    const loader = ["tsx", "esbuild"];
    const names = new Set(packages.map((path) => path.split("/")[1] ?? ""));
    assert.deepEqual(
      [...names].filter((name) => !loader.includes(name)),
      ["commander"],
    );
    assert.ok(own.includes("client/command-table.ts"), stdout);
    const heavy = own.filter((path) => /^(server|pilot|harvester)\/|\/run\.ts$/.test(path));
    assert.deepEqual(heavy, ["client/run.ts"]);
    assert.ok(own.length <= HELP_MODULES_MAX, `${own.length}: ${own.join(" ")}`);
  });
});

/** An option of node's that writes "loaded URL" for every module. */
function namesLoadedModules(): string[] {
  const text = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const hook = `import { writeSync } from "node:fs";
    export function load(url, context, next) {
      writeSync(1, "loaded " + url + "\\n");
      return next(url, context);
    }`;
  const register = `import { register } from "node:module"; register(${JSON.stringify(text(hook))});`;
  return ["--import", text(register)];
}

function listen(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  return new Promise((resolve) => {
    const server = createServer(handler);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

function originOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function close(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
