import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { createOutputFile } from "../../pilot/output-file.ts";
import { createBubblewrap } from "../../pilot/runtime/bubblewrap.ts";
import { gpuDevices } from "../../pilot/runtime/gpu-devices.ts";
import { chooseRuntime } from "../../pilot/runtime/ladder.ts";
import { createNone } from "../../pilot/runtime/none.ts";
import type { PayloadRequest, Runtime } from "../../pilot/runtime/runtime.ts";
import { type Spawner, createSpawner } from "../../pilot/spawner.ts";
import { requireTool } from "../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

interface Driver {
  readonly name: string;
  readonly program: string;
  create(scratchDirectory: string): Runtime;
}

const DRIVERS: readonly Driver[] = [
  {
    name: "bubblewrap",
    program: "bwrap",
    create: (scratchDirectory) => createBubblewrap({ scratchDirectory }),
  },
  { name: "none", program: "sh", create: () => createNone() },
];

let directory: TemporaryDirectory;
let outputs = 0;

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(async () => {
  await directory.remove();
});

function requestOf(exec: string, more: Partial<PayloadRequest> = {}): PayloadRequest {
  const workDirectory = join(directory.path, "work");
  const temporary = join(directory.path, "tmp");
  mkdirSync(workDirectory, { recursive: true });
  mkdirSync(temporary, { recursive: true });
  return {
    image: "host:",
    workDirectory,
    temporaryDirectory: temporary,
    exec,
    environment: { PATH: "/usr/bin:/bin:.", GREETING: "hello 'you'" },
    readOnlyPaths: [],
    gpus: [],
    ...more,
  };
}

for (const driver of DRIVERS) {
  describe(`Runtime: ${driver.name}`, () => {
    let runtime: Runtime;
    let spawner: Spawner;

    before(function () {
      requireTool(this, driver.program);
    });
    beforeEach(() => {
      runtime = driver.create(directory.path);
      spawner = createSpawner({ directory: join(directory.path, "scripts"), clock: systemClock });
    });
    afterEach(async () => {
      await spawner.close();
    });

    async function run(request: PayloadRequest) {
      const command = runtime.command(request);
      outputs += 1;
      const output = createOutputFile(join(directory.path, `output-${outputs}`));
      const statusFile = command.reportsStatus ? join(directory.path, `status-${outputs}`) : null;
      const end = await spawner.start({
        argv: command.argv,
        environment: command.environment,
        cwd: request.workDirectory,
        outputFile: output.path,
        statusFile,
      });
      const text = readFileSync(output.path, "utf8");
      const statusText = statusFile === null ? "" : readFileSync(statusFile, "utf8");
      const verdict = runtime.verdict({ exitCode: end.exitCode, outputTail: text, statusText });
      return { ...end, text, verdict };
    }

    it("passes its self-test here", async () => {
      assert.equal((await runtime.selfTest()).works, true);
    });

    it("runs the command in the work directory, with the given environment and its exit code", async () => {
      const { exitCode, text, verdict } = await run(
        requestOf('echo "$GREETING"; pwd; echo kept >kept; exit 9'),
      );
      const request = requestOf("");
      const inside = runtime.pathsInside(request).workDirectory;
      assert.equal(text, `hello 'you'\n${inside}\n`);
      assert.equal(exitCode, 9);
      assert.deepEqual(verdict, { type: "payload" });
      assert.equal(readFileSync(join(request.workDirectory, "kept"), "utf8"), "kept\n");
    });

    it("hands the user's text to the inner shell as one last argument, and reads it nowhere else", () => {
      const exec = "; touch /tmp/pwned; $(id) `id` --help\n-x 'a' \"b\"";
      const { argv } = runtime.command(requestOf(exec));
      assert.deepEqual(argv.slice(-3), ["/bin/sh", "-c", exec]);
      assert.equal(argv.slice(0, -1).join("\n").includes("pwned"), false);
    });

    it("keeps values of the environment out of the argument list, which every user can read", () => {
      const request = requestOf("true", { environment: { PROXY: "http://user:canary@proxy" } });
      assert.equal(runtime.command(request).argv.join("\n").includes("canary"), false);
    });

    it("tells the signal that ended the payload", async () => {
      const { signal, verdict } = await run(requestOf("kill -SEGV $$"));
      assert.equal(signal, "SIGSEGV");
      assert.deepEqual(verdict, { type: "payload" });
    });

    it("takes an exit code of 1 and the runtime's own words for the payload's when it had started", async () => {
      const { verdict } = await run(
        requestOf("echo 'bwrap: Creating new namespace failed'; exit 1"),
      );
      assert.deepEqual(verdict, { type: "payload" });
    });

    it("refuses an image form that it cannot run", () => {
      assert.equal(runtime.supports("docker://debian"), false);
      assert.equal(runtime.supports("host:"), true);
    });
  });
}

describe("Runtime: bubblewrap, its own ways", () => {
  before(function () {
    requireTool(this, "bwrap");
  });

  it("gives exactly these namespaces and rights, and a read-only root", () => {
    const runtime = createBubblewrap({
      scratchDirectory: directory.path,
      program: "/usr/bin/bwrap",
    });
    const request = requestOf("./train.sh", { readOnlyPaths: ["/data/b/c", "/data/a"] });
    const { argv } = runtime.command(request);
    assert.deepEqual(argv.slice(0, 10), [
      "/usr/bin/bwrap",
      "--unshare-user",
      "--unshare-pid",
      "--unshare-ipc",
      "--unshare-uts",
      "--unshare-cgroup-try",
      "--die-with-parent",
      "--new-session",
      "--cap-drop",
      "ALL",
    ]);
    const tail = [
      ...["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/dev/shm"],
      ...["--bind", request.temporaryDirectory, "/tmp"],
      ...["--bind", request.temporaryDirectory, "/var/tmp"],
      ...["--ro-bind", "/data/a", "/data/a", "--ro-bind", "/data/b/c", "/data/b/c"],
      ...["--bind", request.workDirectory, "/srv/workDir"],
      ...["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", "/srv/workDir"],
      ...["--json-status-fd", "3", "--", "/bin/sh", "-c", "./train.sh"],
    ];
    assert.deepEqual(argv.slice(-tail.length), tail);
    assert.equal(argv.includes("--unshare-net"), false);
    const writable = argv.filter((_, index) => argv[index - 1] === "--bind");
    assert.deepEqual(
      [...new Set(writable)].sort(),
      [request.temporaryDirectory, request.workDirectory].sort(),
    );
  });

  it("tells its own failure from the payload's", () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path });
    const verdict = runtime.verdict({
      exitCode: 1,
      outputTail: "bwrap: Can't find source path /nope: No such file or directory\n",
      statusText: '{ "child-pid": 12 }\n',
    });
    assert.ok(verdict.type === "runtimeFailed");
    assert.match(verdict.message, /source path \/nope/);
  });

  it("says what to install when bwrap cannot be run", async () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path, program: "/no/bwrap" });
    const result = await runtime.selfTest();
    assert.ok(!result.works);
    assert.match(result.reason, /install bubblewrap/);
  });

  it("refuses / as a path that payloads may read", () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path });
    assert.throws(() => runtime.command(requestOf("true", { readOnlyPaths: ["/"] })), {
      code: "E_RUNTIME",
    });
  });

  it("refuses a directory as image that the operator does not let payloads read", () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path });
    const image = join(directory.path, "image");
    mkdirSync(image);
    for (const path of ["/", "/etc", "/root", image])
      assert.throws(() => runtime.command(requestOf("true", { image: path })), { code: "E_IMAGE" });
  });

  it("refuses a link that leads out of the paths that payloads may read", () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path });
    const images = join(directory.path, "images");
    mkdirSync(images);
    symlinkSync("/", join(images, "escape"));
    const request = requestOf("true", { image: join(images, "escape"), readOnlyPaths: [images] });
    assert.throws(() => runtime.command(request), { code: "E_IMAGE" });
  });

  it("names the directory that an image lacks", () => {
    const runtime = createBubblewrap({ scratchDirectory: directory.path });
    const image = join(directory.path, "image");
    mkdirSync(image);
    const request = requestOf("true", { image, readOnlyPaths: [directory.path] });
    assert.throws(() => runtime.command(request), /no directory \/srv\/workDir/);
  });
});

describe("GPU devices of a payload", () => {
  const gpu = (uuid: string) => ({ uuid, model: "A100", memoryBytes: 1, driver: null });

  function fakeNode() {
    const paths = { devices: join(directory.path, "dev"), driver: join(directory.path, "gpus") };
    mkdirSync(paths.devices);
    for (const name of ["nvidiactl", "nvidia-uvm", "nvidia0", "nvidia1", "nvidia-other", "null"])
      writeFileSync(join(paths.devices, name), "");
    for (const minor of [0, 1]) {
      const folder = join(paths.driver, `0000:0${minor}:00.0`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(
        join(folder, "information"),
        `Model: \t\t NVIDIA A100\nGPU UUID: \t GPU-${minor}\nDevice Minor: \t ${minor}\n`,
      );
    }
    return paths;
  }

  it("are none for a slot without GPUs", () => {
    assert.deepEqual(gpuDevices([], fakeNode()), []);
  });

  it("are the shared ones and those of the slot's GPUs only", () => {
    const paths = fakeNode();
    assert.deepEqual(
      gpuDevices([gpu("GPU-1")], paths).map((path) => path.slice(paths.devices.length + 1)),
      ["nvidiactl", "nvidia-uvm", "nvidia1"],
    );
  });

  it("are all where the driver does not tell which one is meant", () => {
    const paths = fakeNode();
    const found = gpuDevices([gpu("MIG-7")], paths);
    assert.equal(found.length, readdirSync(paths.devices).length - 2);
  });
});

describe("Ladder of runtimes", () => {
  const fake = (name: string, works: boolean): Runtime => ({
    ...createNone(),
    name,
    selfTest: () =>
      Promise.resolve(works ? { works, version: "1" } : { works, reason: `${name} is broken` }),
  });

  it("takes the first that works and tells why the others were passed over", async () => {
    const choice = await chooseRuntime("auto", [
      fake("apptainer", false),
      fake("bubblewrap", true),
      fake("none", true),
    ]);
    assert.equal(choice.runtime.name, "bubblewrap");
    assert.deepEqual(choice.tried, [{ name: "apptainer", reason: "apptainer is broken" }]);
  });

  it("never runs payloads uncontained unless the operator wrote none", async () => {
    const candidates = [fake("bubblewrap", false), fake("none", true)];
    await assert.rejects(chooseRuntime("auto", candidates), {
      code: "E_RUNTIME_MISSING",
      why: "bubblewrap: bubblewrap is broken",
    });
    assert.equal((await chooseRuntime("none", candidates)).runtime.name, "none");
  });

  it("takes no other runtime than the one that the queue names", async () => {
    await assert.rejects(chooseRuntime("apptainer", [fake("bubblewrap", true)]), {
      code: "E_RUNTIME_MISSING",
    });
  });
});
