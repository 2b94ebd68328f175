import assert from "node:assert/strict";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { createOutputFile } from "../../pilot/output-file.ts";
import { isRunning, readProc } from "../../pilot/process-tree.ts";
import { createApptainer } from "../../pilot/runtime/apptainer.ts";
import { createBubblewrap } from "../../pilot/runtime/bubblewrap.ts";
import { createDocker } from "../../pilot/runtime/docker.ts";
import { gpuDevices } from "../../pilot/runtime/gpu-devices.ts";
import { kernelPaths } from "../../pilot/runtime/kernel-paths.ts";
import { runtimeFor, runtimeNames, workingRuntimes } from "../../pilot/runtime/ladder.ts";
import { createNone } from "../../pilot/runtime/none.ts";
import { createPodman } from "../../pilot/runtime/podman.ts";
import type { PayloadRequest, Runtime } from "../../pilot/runtime/runtime.ts";
import { type Spawner, createSpawner } from "../../pilot/spawner.ts";
import { startRegistry } from "../support/registry.ts";
import { requireTool } from "../support/requires.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

interface Driver {
  readonly name: string;
  /** As a task names it; an image of a registry is pulled once for the suite. */
  readonly image: string;
  /** Skips the suite where the machine lacks the real program or image. */
  require(context: Mocha.Context): void;
  create(scratchDirectory: string): Runtime;
}

const OF_REGISTRY = "docker://an image of the test's registry";

const apptainer = (name: "apptainer" | "singularity", image: string): Driver => ({
  name: `${name}, ${image.endsWith(".sif") ? "SIF file" : image === OF_REGISTRY ? "docker://" : "sandbox directory"}`,
  image,
  require: (context) => requireTestbed(context),
  create: (scratchDirectory) => createApptainer({ name, scratchDirectory, program: testbed[name] }),
});

const DRIVERS: readonly Driver[] = [
  apptainer("apptainer", testbed.sifFile),
  apptainer("apptainer", testbed.imageDirectory),
  apptainer("apptainer", OF_REGISTRY),
  apptainer("singularity", testbed.sifFile),
  {
    name: "podman, docker://",
    image: OF_REGISTRY,
    require: (context) => requireTestbed(context),
    create: (scratchDirectory) => createPodman({ scratchDirectory, program: testbed.podman }),
  },
  {
    // No engine of docker is here: podman, which takes docker's command line, stands in for it.
    name: "docker's command line in podman, docker://",
    image: OF_REGISTRY,
    require: (context) => requireTestbed(context),
    create: (scratchDirectory) =>
      createDocker({ scratchDirectory, program: dockerByPodman(scratchDirectory) }),
  },
  {
    name: "bubblewrap, host:",
    image: "host:",
    require: (context) => requireTool(context, "bwrap"),
    create: (scratchDirectory) => createBubblewrap({ scratchDirectory }),
  },
  {
    name: "bubblewrap, sandbox directory",
    image: testbed.imageDirectory,
    require: (context) => {
      requireTool(context, "bwrap");
      requireTestbed(context);
    },
    create: (scratchDirectory) => createBubblewrap({ scratchDirectory }),
  },
  { name: "none", image: "host:", require: () => undefined, create: () => createNone() },
];

/** A program "docker": options that differ by engine or by what this machine allows are set here, all else is docker's. */
function dockerByPodman(parent: string): string {
  const program = join(parent, "docker");
  const script = `#!/bin/sh
[ "$1" = --log-level ] && shift 2
verb=$1; shift
case $verb in
  run) set -- --read-only-tmpfs=false --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 "$@" ;;
  rm) set -- --time 0 "$@" ;;
  pull) set -- --tls-verify=false "$@" ;;
esac
exec ${testbed.podman} --log-level error --cgroup-manager cgroupfs --runtime runc "$verb" "$@"
`;
  writeFileSync(program, script, { mode: 0o755 });
  return program;
}

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
  describe(`Runtime: ${driver.name}`, function () {
    this.timeout(30_000);
    let runtime: Runtime;
    let spawner: Spawner;
    /** What `command` takes. */
    let image = driver.image;
    let ofSuite: TemporaryDirectory | undefined;
    let pulling: Runtime | undefined;

    before(async function () {
      driver.require(this);
      ofSuite = temporaryDirectory();
      if (driver.image === OF_REGISTRY)
        ({ image, runtime: pulling } = await pulledImage(driver, ofSuite.path));
    });
    after(async () => {
      await ofSuite?.remove();
    });
    beforeEach(() => {
      // One that has passed its self-test: engines choose their options by it.
      runtime = pulling ?? driver.create(directory.path);
      spawner = createSpawner({ directory: join(directory.path, "scripts"), clock: systemClock });
    });
    afterEach(async () => {
      await spawner.close();
    });

    function requestFor(exec: string, more: Partial<PayloadRequest> = {}): PayloadRequest {
      const isTestbeds = image.startsWith(testbed.directory);
      const trust = driver.image === OF_REGISTRY ? { imageIsTrusted: true } : {};
      const readOnlyPaths = isTestbeds ? [testbed.directory] : [];
      return requestOf(exec, { image, readOnlyPaths, ...trust, ...more });
    }

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
        ...(command.container === undefined ? {} : { container: command.container }),
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
        requestFor('echo "$GREETING"; pwd; echo kept >kept; exit 9'),
      );
      const request = requestFor("");
      const inside = runtime.pathsInside(request).workDirectory;
      assert.equal(text, `hello 'you'\n${inside}\n`);
      assert.equal(exitCode, 9);
      assert.deepEqual(verdict, { type: "payload" });
      assert.equal(readFileSync(join(request.workDirectory, "kept"), "utf8"), "kept\n");
    });

    it("hands the user's text to the inner shell as one last argument, and reads it nowhere else", () => {
      const exec = "; touch /tmp/pwned; $(id) `id` --help\n-x 'a' \"b\"";
      const { argv } = runtime.command(requestFor(exec));
      assert.deepEqual(argv.slice(-3), ["/bin/sh", "-c", exec]);
      assert.equal(argv.slice(0, -1).join("\n").includes("pwned"), false);
    });

    it("keeps values of the environment out of the argument list, which every user can read", () => {
      const request = requestFor("true", { environment: { PROXY: "http://user:canary@proxy" } });
      assert.equal(runtime.command(request).argv.join("\n").includes("canary"), false);
    });

    it("tells the signal that ended the payload", async () => {
      const { signal, verdict } = await run(requestFor("kill -SEGV $$"));
      assert.equal(signal, "SIGSEGV");
      assert.deepEqual(verdict, { type: "payload" });
    });

    it("takes an exit code of 1 and the runtime's own words for the payload's when it had started", async () => {
      const { verdict } = await run(
        requestFor("echo 'bwrap: Creating new namespace failed'; exit 1"),
      );
      assert.deepEqual(verdict, { type: "payload" });
    });

    it("takes exit code 255 with a FATAL line for the payload's when it had started", async () => {
      const { exitCode, verdict } = await run(requestFor("echo 'FATAL:   no image'; exit 255"));
      assert.equal(exitCode, 255);
      assert.deepEqual(verdict, { type: "payload" });
    });

    it("gives the payload no descriptor besides the three that every program has", async () => {
      const { text } = await run(requestFor("(echo forged >&3) 2>/dev/null || echo closed"));
      assert.equal(text, "closed\n");
    });

    it("hands every character of a value on, and leaves PATH ending in the current directory", async () => {
      const value = "a 'b' \"c\" $HOME $(id) `id` \\ \n#é;";
      const { text } = await run(
        requestFor('printf %s "$VALUE"; case $PATH in *:.) echo .;; esac', {
          environment: { PATH: "/usr/bin:/bin:.", VALUE: value },
        }),
      );
      assert.equal(text, `${value}.\n`);
    });

    it("takes the exit codes that engines and shells use themselves for the payload's", async () => {
      for (const code of [125, 126, 127]) {
        const { exitCode, verdict } = await run(requestFor(`exit ${code}`));
        assert.equal(exitCode, code);
        assert.deepEqual(verdict, { type: "payload" });
      }
    });

    it("asks every process of the payload once, with SIGTERM, so that it can save its work", async () => {
      const request = requestFor(
        `sh -c 'trap "echo child; exit" TERM; : >child; while :; do sleep 0.05; done' &
         trap 'echo asked; end=yes' TERM; while ! test -e child; do sleep 0.05; done; : >ready; while test -z "$end"; do sleep 0.05; done; sleep 0.2; wait; exit 4`,
      );
      const running = run(request);
      await waitUntil("the payload is ready", () =>
        existsSync(join(request.workDirectory, "ready")),
      );
      await spawner.kill("SIGTERM");
      const { exitCode, text } = await running;
      assert.deepEqual(text.match(/^(asked|child)$/gm)?.sort(), ["asked", "child"]);
      assert.equal(exitCode, 4);
    });

    it("ends every process of the payload, whatever it did to stay", async () => {
      const stubborn = `trap "" TERM HUP; while :; do sleep 1; done`;
      const doubleForked =
        driver.name === "none" ? "" : `(setsid sh -c '(${stubborn}) & exit 0' &) ;`;
      const request = requestFor(`setsid sh -c '${stubborn}' & ${doubleForked} ${stubborn}`);
      const running = run(request);
      const wanted = driver.name === "none" ? 2 : 3;
      const pids = await waitUntil("all processes of the payload run", async () => {
        const found = await spawner.processes();
        const sleeping = found.filter((pid) => readProc(`/proc/${pid}/comm`) === "sleep\n");
        return sleeping.length >= wanted ? found : null;
      });
      await spawner.kill("SIGKILL");
      assert.equal((await running).signal, "SIGKILL");
      assert.deepEqual(
        pids.filter((pid) => isRunning(pid)),
        [],
      );
    });

    it("refuses an image form that it cannot run", () => {
      assert.equal(runtime.supports("oras://debian"), false);
      assert.equal(runtime.supports(driver.image), true);
      for (const other of ["oras://debian", "docker://debian", "--privileged"])
        assert.throws(() => runtime.command(requestFor("true", { image: other })), {
          code: "E_IMAGE",
        });
    });

    if (driver.name !== "none") describeContainment(driver, requestFor, run);
  });
}

interface Run {
  readonly exitCode: number;
  readonly text: string;
}

/** What holds wherever payloads are contained. */
function describeContainment(
  driver: Driver,
  requestFor: (exec: string, more?: Partial<PayloadRequest>) => PayloadRequest,
  run: (request: PayloadRequest) => Promise<Run>,
): void {
  it("agrees with the payload on where it is: $PWD, HOME, the kernel and pwd say /srv/workDir", async () => {
    const { text } = await run(
      requestFor('echo "$PWD $HOME"; pwd -P; readlink /proc/self/cwd; env | grep ^PWD=', {
        environment: { PATH: "/usr/bin:/bin", HOME: "/srv/workDir" },
      }),
    );
    const here = "/srv/workDir";
    assert.equal(text, `${here} ${here}\n${here}\n${here}\nPWD=${here}\n`);
  });

  it("lets it write in its work directory and its own temporary directories only", async () => {
    const request = requestFor(
      `for d in / /bin /usr /etc /etc/hosts /srv /root /var /run /home /opt /proc /proc/sys/kernel /sys; do
         (: >>"$d/probe" || : >>"$d") 2>/dev/null && echo "wrote $d"; done
       for d in . /tmp /var/tmp /dev/shm; do echo x >"$d/probe" && echo "may write $d"; done`,
    );
    const { text } = await run(request);
    assert.deepEqual(
      text.trim().split("\n"),
      [".", "/tmp", "/var/tmp", "/dev/shm"].map((path) => `may write ${path}`),
    );
    assert.equal(existsSync(join(request.workDirectory, "probe")), true);
    assert.equal(existsSync(join(request.temporaryDirectory, "probe")), true);
    assert.equal(existsSync("/tmp/probe"), false);
  });

  it("leaves it no capability and no way to gain one, and shows it no process of the node", async () => {
    const { text } = await run(
      requestFor(
        "grep -E '^(Cap(Inh|Prm|Eff|Bnd|Amb)|NoNewPrivs):' /proc/self/status | tr -d ' \\t'; ls -d /proc/[0-9]* | wc -l",
      ),
    );
    const zero = "0000000000000000";
    const lines = text.trim().split("\n");
    const seen = Number(lines.pop());
    assert.deepEqual(lines, [
      ...["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"].map((name) => `${name}:${zero}`),
      "NoNewPrivs:1",
    ]);
    assert.ok(seen > 0 && seen < 12, `${seen} processes`);
  });

  if (driver.image === OF_REGISTRY)
    it("keeps the image's own variables, and its PATH in front", async () => {
      const { text } = await run(requestFor('echo "$OF_IMAGE $PATH"'));
      assert.match(text, /^kept \/opt\/of-image\/bin:\/bin:.*:\.\n$/);
    });
}

/** The registry's image in the store of the driver's runtime. */
async function pulledImage(
  driver: Driver,
  parent: string,
): Promise<{ image: string; runtime: Runtime }> {
  const registry = await startRegistry(parent);
  try {
    const runtime = driver.create(parent);
    assert.equal((await runtime.selfTest()).works, true);
    const scratch = join(parent, "pull");
    mkdirSync(scratch);
    const entry = join(parent, "entry.sif");
    await runtime.store!.pull({
      reference: registry.image.slice("docker://".length),
      isPlainHttp: true,
      credential: null,
      entry,
      scratch,
      environment: {},
      signal: new AbortController().signal,
    });
    const { image } = (await runtime.store!.open(entry))!;
    return { image, runtime };
  } finally {
    await registry.stop();
  }
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
      ...kernelPaths().settings.flatMap((path) => ["--ro-bind", path, path]),
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

describe("Runtime: apptainer, its own ways", () => {
  const ofProgram = (program: string) =>
    createApptainer({ name: "apptainer", scratchDirectory: directory.path, program });

  function sifRequest(more: Partial<PayloadRequest> = {}): PayloadRequest {
    const image = join(directory.path, "train.sif");
    writeFileSync(image, "");
    return requestOf("./train.sh", { image, readOnlyPaths: [directory.path], ...more });
  }

  it("isolates all, binds the work directory and private temporary directories, nothing else", () => {
    const request = sifRequest();
    const { argv } = ofProgram("/usr/bin/apptainer").command(request);
    const image = argv.indexOf(request.image);
    assert.deepEqual(argv.slice(0, image + 1), [
      ...["/usr/bin/apptainer", "--quiet", "exec"],
      ...(process.getuid?.() === 0 ? ["--no-privs"] : []),
      ...["--containall", "--no-home", "--cleanenv", "--pwd", "/srv/workDir"],
      ...["--bind", `${request.workDirectory}:/srv/workDir`],
      ...["--bind", `${request.temporaryDirectory}:/tmp`],
      ...["--bind", `${request.temporaryDirectory}:/var/tmp`],
      ...protectedPaths(),
      request.image,
    ]);
  });

  it("gives the driver's libraries to a slot with GPUs only", () => {
    const gpus = [{ uuid: "GPU-1", model: "A100", memoryBytes: 1, driver: null }];
    const runtime = ofProgram("/usr/bin/apptainer");
    assert.equal(runtime.command(sifRequest({ gpus })).argv.includes("--nv"), true);
    assert.equal(runtime.command(sifRequest()).argv.includes("--nv"), false);
  });

  it("hides the payload's PATH from the program, so that it runs nothing of the work directory", () => {
    const { environment } = ofProgram("/usr/bin/apptainer").command(sifRequest());
    assert.equal(environment["PATH"]?.split(":").includes("."), false);
    assert.equal(environment["APPTAINERENV_APPEND_PATH"], "/usr/bin:/bin:.");
    assert.equal("GREETING" in environment, false);
  });

  it("refuses images outside of the paths that payloads may read", () => {
    const runtime = ofProgram("/usr/bin/apptainer");
    for (const image of ["/", "/etc", "/etc/passwd", "/no/such.sif", "host:"])
      assert.throws(() => runtime.command(sifRequest({ image })), { code: "E_IMAGE" });
    assert.throws(() => runtime.command(sifRequest({ readOnlyPaths: [] })), { code: "E_IMAGE" });
  });

  it("refuses a work directory whose name would add options to the bind", () => {
    const request = sifRequest({ workDirectory: "/scratch/a:/etc:rw,b" });
    assert.throws(() => ofProgram("/usr/bin/apptainer").command(request), { code: "E_RUNTIME" });
  });

  it("says what to install when the program cannot be run", async () => {
    const result = await ofProgram("/no/apptainer").selfTest();
    assert.ok(!result.works);
    assert.match(result.reason, /install apptainer/);
  });

  it("passes no self-test with a program that does not tell whether the payload began", async () => {
    const program = join(directory.path, "apptainer");
    writeFileSync(
      program,
      '#!/bin/sh\n[ "$1" = --version ] && echo version 1 && exit\ntouch written; echo capabilities=0\n',
      { mode: 0o755 },
    );
    const result = await ofProgram(program).selfTest();
    assert.ok(!result.works);
    assert.match(result.reason, /did not start the payload/);
  });
});

/** What root's payload could write without it. */
function protectedPaths(): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  const { settings, belowSys } = kernelPaths();
  assert.ok(settings.includes("/proc/sys"));
  return [
    ...[...settings, "/sys", "/etc/hosts", "/etc/localtime"].map((path) => `${path}:${path}:ro`),
    ...belowSys.map((path) => `${join(directory.path, "empty")}:${path}:ro`),
  ].flatMap((text) => ["--bind", text]);
}

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
  const fake = (name: string, works: boolean, images: readonly string[] = ["host:"]): Runtime => ({
    ...createNone(),
    name,
    supports: (image) => images.includes(image),
    selfTest: () =>
      Promise.resolve(works ? { works, version: "1" } : { works, reason: `${name} is broken` }),
  });
  const names = (runtimes: readonly Runtime[]) => runtimes.map((runtime) => runtime.name);

  it("takes all that work, in order, and tells why the others were passed over", async () => {
    const choice = await workingRuntimes("auto", [
      fake("apptainer", true),
      fake("singularity", false),
      fake("bubblewrap", true),
      fake("none", true),
    ]);
    assert.deepEqual(names(choice.runtimes), ["apptainer", "bubblewrap"]);
    assert.deepEqual(choice.tried, [{ name: "singularity", reason: "singularity is broken" }]);
  });

  it("never runs payloads uncontained unless the operator wrote none", async () => {
    const candidates = [fake("bubblewrap", false), fake("none", true)];
    await assert.rejects(workingRuntimes("auto", candidates), {
      code: "E_RUNTIME_MISSING",
      why: "bubblewrap: bubblewrap is broken",
    });
    assert.deepEqual(names((await workingRuntimes("none", candidates)).runtimes), ["none"]);
  });

  it("takes no other runtime than the one that the queue names", async () => {
    const candidates = [fake("apptainer", true), fake("bubblewrap", true)];
    const { runtimes } = await workingRuntimes("bubblewrap", candidates);
    assert.deepEqual(names(runtimes), ["bubblewrap"]);
    await assert.rejects(workingRuntimes("apptainer", candidates.slice(1)), {
      code: "E_RUNTIME_MISSING",
    });
  });

  it("gives an image to the first that can run it", () => {
    const runtimes = [fake("apptainer", true, ["/i"]), fake("bubblewrap", true, ["host:", "/i"])];
    assert.equal(runtimeFor("/i", runtimes).name, "apptainer");
    assert.equal(runtimeFor("host:", runtimes).name, "bubblewrap");
    assert.throws(() => runtimeFor("docker://debian", runtimes), {
      code: "E_IMAGE",
      why: /apptainer, bubblewrap/,
    });
  });

  it("names the one for host: images first", () => {
    const runtimes = [fake("apptainer", true, ["/i"]), fake("bubblewrap", true, ["host:", "/i"])];
    assert.deepEqual(runtimeNames(runtimes), ["bubblewrap", "apptainer"]);
    assert.deepEqual(runtimeNames(runtimes.slice(0, 1)), ["apptainer"]);
  });
});
