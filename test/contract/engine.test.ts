import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { processesNaming, startTicksOf } from "../../pilot/process-tree.ts";
import { createDocker } from "../../pilot/runtime/docker.ts";
import { createPodman } from "../../pilot/runtime/podman.ts";
import type { PayloadRequest, Runtime } from "../../pilot/runtime/runtime.ts";
import { createSpawner, type Spawner } from "../../pilot/spawner.ts";
import { startRegistry } from "../support/registry.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const IMAGE = "a".repeat(64);
const ENGINES = { podman: createPodman, docker: createDocker } as const;
const spawnerModule = new URL("../../pilot/spawner.ts", import.meta.url).href;
const clockModule = new URL("../../common/clock.ts", import.meta.url).href;
const podmanModule = new URL("../../pilot/runtime/podman.ts", import.meta.url).href;

let directory: TemporaryDirectory;

beforeEach(() => {
  directory = temporaryDirectory();
});
afterEach(async () => {
  await directory.remove();
});

function requestOf(exec: string, more: Partial<PayloadRequest> = {}): PayloadRequest {
  const workDirectory = join(directory.path, "work");
  const temporaryDirectory = join(directory.path, "tmp");
  mkdirSync(workDirectory, { recursive: true });
  mkdirSync(temporaryDirectory, { recursive: true });
  return {
    image: IMAGE,
    workDirectory,
    temporaryDirectory,
    exec,
    environment: { PATH: "/usr/bin:.", GREETING: "canary" },
    readOnlyPaths: [],
    gpus: [],
    ...more,
  };
}

for (const [name, create] of Object.entries(ENGINES))
  describe(`Command line of ${name}`, () => {
    const ofProgram = (program: string): Runtime =>
      create({ scratchDirectory: directory.path, program });

    it("binds the work directory and private temporary directories, nothing else", () => {
      const request = requestOf("./train.sh", { mounts: ["/HPOiDDS"] });
      const { argv } = ofProgram("/usr/bin/engine").command(request);
      const volumes = argv.filter((_, index) => argv[index - 1] === "--volume");
      assert.deepEqual(volumes, [
        `${request.workDirectory}:/srv/workDir`,
        `${request.workDirectory}:/HPOiDDS`,
        `${request.temporaryDirectory}:/tmp`,
        `${request.temporaryDirectory}:/var/tmp`,
      ]);
    });

    it("gives up all rights, and neither pulls nor logs by itself", () => {
      const { argv } = ofProgram("/usr/bin/engine").command(requestOf("true"));
      const text = argv.join(" ");
      for (const option of [
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--pull never",
        "--log-driver none",
        "--network host",
        `--user ${process.getuid!()}:${process.getgid!()}`,
        "--workdir /srv/workDir",
        "--entrypoint /bin/sh",
      ])
        assert.ok(text.includes(` ${option} `), `${option} in ${text}`);
      assert.equal(/--privileged|--device|--gpus|docker\.sock|--pid/.test(text), false);
    });

    it("passes variables under names that mean nothing to the engine, their values in no argument", () => {
      const { argv, environment } = ofProgram("/usr/bin/engine").command(requestOf("true"));
      assert.equal(environment["HYPERPILOT_ENV_GREETING"], "canary");
      assert.equal(environment["GREETING"], undefined);
      assert.equal(environment["PATH"]?.split(":").includes("."), false);
      assert.equal(argv.join("\n").includes("canary"), false);
    });

    it("names each container anew, after the pilot that it belongs to", () => {
      const runtime = ofProgram("/usr/bin/engine");
      const names = [1, 2].map(() => {
        const { argv } = runtime.command(requestOf("true"));
        return argv[argv.indexOf("--name") + 1]!;
      });
      const owner = `-${process.pid}-${startTicksOf("self")!}-`;
      assert.ok(
        names.every((each) => each.includes(owner)),
        names.join(),
      );
      assert.equal(new Set(names).size, 2);
    });

    it("asks for the GPUs of the slot only", () => {
      const gpus = ["GPU-1", "GPU-2"].map((uuid) => ({
        uuid,
        model: "A100",
        memoryBytes: 1,
        driver: null,
      }));
      const { argv } = ofProgram("/usr/bin/engine").command(requestOf("true", { gpus }));
      const asked = argv.filter((_, index) => /^--(gpus|device)$/.test(argv[index - 1] ?? ""));
      assert.deepEqual(
        asked,
        name === "podman"
          ? ["nvidia.com/gpu=GPU-1", "nvidia.com/gpu=GPU-2"]
          : ['"device=GPU-1,GPU-2"'],
      );
    });

    it("refuses names of images that could be options, and directories that would add options", () => {
      const runtime = ofProgram("/usr/bin/engine");
      for (const image of ["--privileged", "debian", "/image", `${IMAGE} x`])
        assert.throws(() => runtime.command(requestOf("true", { image })), { code: "E_IMAGE" });
      const workDirectory = "/scratch/a:/etc:rw,b";
      assert.throws(() => runtime.command(requestOf("true", { workDirectory })), {
        code: "E_RUNTIME",
      });
    });

    it("fails its self-test with the engine's own words and the remedy where no engine answers", async () => {
      const missing = await ofProgram("/no/engine").selfTest();
      assert.ok(!missing.works);
      assert.match(missing.reason, new RegExp(`${name} failed its self-test.*install ${name}`));
      const program = join(directory.path, "engine");
      writeFileSync(
        program,
        '#!/bin/sh\n[ "$1" = --version ] && echo version 1 && exit\necho "Cannot connect to the daemon" >&2; exit 1\n',
        { mode: 0o755 },
      );
      const silent = await ofProgram(program).selfTest();
      assert.ok(!silent.works);
      assert.match(silent.reason, /Cannot connect to the daemon/);
    });

    it("tells the engine's failure from the payload's by what the engine knows of the container", () => {
      const runtime = ofProgram("/usr/bin/engine");
      const ended = (statusText: string) =>
        runtime.verdict({ exitCode: 125, outputTail: "Error: no such image\nbye\n", statusText });
      assert.deepEqual(ended("started 2026-01-02T03:04:05.6Z running false\n"), {
        type: "payload",
      });
      assert.deepEqual(ended("started 2026-01-02 03:04:05 +0000 UTC running false\n"), {
        type: "payload",
      });
      for (const status of ["", "started 0001-01-01T00:00:00Z running false\n"]) {
        const judged = ended(status);
        assert.ok(judged.type === "runtimeFailed");
        assert.match(judged.message, /did not start the payload.*Error: no such image/);
      }
      const lost = ended("started 2026-01-02T03:04:05.6Z running true\n");
      assert.match(lost.type === "runtimeFailed" ? lost.message : "", /lost the payload/);
    });
  });

describe("Containers of podman", function () {
  this.timeout(30_000);
  let ofSuite: TemporaryDirectory | undefined;
  let image: string;

  before(async function () {
    requireTestbed(this);
    ofSuite = temporaryDirectory();
    image = await pulledImage(ofSuite.path);
  });
  after(async () => {
    await ofSuite?.remove();
  });

  function containers(): readonly string[] {
    const args = ["ps", "--all", "--format", "{{.Names}}"];
    const text = execFileSync(testbed.podman, args, { encoding: "utf8" });
    return text.split("\n").filter((each) => each.includes(`-${process.pid}-`));
  }

  async function podman(): Promise<Runtime> {
    const runtime = createPodman({ scratchDirectory: directory.path, program: testbed.podman });
    assert.equal((await runtime.selfTest()).works, true);
    return runtime;
  }

  function start(spawner: Spawner, runtime: Runtime, request: PayloadRequest) {
    const { argv, environment, container } = runtime.command(request);
    const outputFile = join(directory.path, "output");
    const statusFile = join(directory.path, "status");
    writeFileSync(outputFile, "");
    const files = { cwd: request.workDirectory, outputFile, statusFile };
    const ended = spawner.start({ argv, environment, container: container!, ...files });
    return ended.then((end) => {
      const outputTail = readFileSync(outputFile, "utf8");
      const statusText = readFileSync(statusFile, "utf8");
      return runtime.verdict({ exitCode: end.exitCode, outputTail, statusText });
    });
  }

  it("are gone when the payload has ended, and no process of them is left when it is stopped at any moment", async () => {
    const runtime = await podman();
    const spawner = createSpawner({ directory: join(directory.path, "s"), clock: systemClock });
    try {
      const own = `-${process.pid}-${startTicksOf("self")!}-`;
      await start(spawner, runtime, requestOf("true", { image }));
      assert.deepEqual(containers(), []);
      for (const delayMs of [0, 30, 60, 90, 120, 150, 200, 300]) {
        const ended = start(spawner, runtime, requestOf("sleep 1000", { image }));
        await systemClock.sleep(delayMs);
        await spawner.kill("SIGKILL");
        await ended;
        assert.deepEqual(containers(), [], `after ${delayMs} ms`);
        await waitUntil("its monitor has ended", () => processesNaming(own).length === 0);
      }
    } finally {
      await spawner.close();
    }
  });

  it("tell an image that the engine does not have from a failing payload", async () => {
    const runtime = await podman();
    const spawner = createSpawner({ directory: join(directory.path, "s"), clock: systemClock });
    try {
      const verdict = await start(spawner, runtime, requestOf("true"));
      assert.ok(verdict.type === "runtimeFailed");
      assert.match(verdict.message, /podman did not start the payload.*Error/);
    } finally {
      await spawner.close();
    }
  });

  /** A pilot's process with a running container. */
  async function startPilot(program: string) {
    const code = `
      const { createSpawner } = await import(${JSON.stringify(spawnerModule)});
      const { systemClock } = await import(${JSON.stringify(clockModule)});
      const { createPodman } = await import(${JSON.stringify(podmanModule)});
      const [scratchDirectory, program, request] = process.argv.slice(1);
      const runtime = createPodman({ scratchDirectory, program });
      await runtime.selfTest();
      const spawner = createSpawner({ directory: scratchDirectory + "/child", clock: systemClock });
      const { argv, environment, container } = runtime.command(JSON.parse(request));
      const outputFile = scratchDirectory + "/output";
      await spawner.start({ argv, environment, container, cwd: "/", outputFile, statusFile: null });
    `;
    writeFileSync(join(directory.path, "output"), "");
    const request = requestOf("echo >ready; sleep 1000", { image });
    const flags = ["--import", "tsx", "--input-type=module", "-e", code];
    const child = spawn(
      process.execPath,
      [...flags, directory.path, program, JSON.stringify(request)],
      { stdio: ["ignore", "inherit", "inherit"] },
    );
    await waitUntil("the payload runs", () => existsSync(join(request.workDirectory, "ready")), {
      timeoutMs: 20_000,
    });
    const named = `-${child.pid}-`;
    assert.notDeepEqual(processesNaming(named), []);
    return { child, named };
  }

  it("are removed when their pilot is killed, by what survives of it", async () => {
    const { child, named } = await startPilot(testbed.podman);
    child.kill("SIGKILL");
    await waitUntil("the container is gone", () => processesNaming(named).length === 0);
  });

  it("are removed by the next pilot on the node when nothing of theirs has survived, and by no other", async () => {
    const { child, named } = await startPilot(testbed.podman);
    const runtime = await podman();
    assert.equal(await runtime.removeOrphans!(), 0);
    assert.notDeepEqual(processesNaming(named), []);
    // As a batch system does: all processes of the job at once.
    writeFileSync(join(directory.path, "child", "remove-container.sh"), "");
    child.kill("SIGKILL");
    await waitUntil("the pilot is gone", () => startTicksOf(child.pid!) === null);
    assert.notDeepEqual(processesNaming(named), []);
    assert.equal(await runtime.removeOrphans!(), 1);
    await waitUntil("the container is gone", () => processesNaming(named).length === 0);
  });

  it("keep the memory of their payload in sight, although another process holds them", async () => {
    const runtime = await podman();
    const spawner = createSpawner({ directory: join(directory.path, "s"), clock: systemClock });
    try {
      const ended = start(spawner, runtime, requestOf("sleep 1000", { image }));
      await waitUntil("the payload is among the slot's processes", async () => {
        const pids = await spawner.processes();
        return pids.some((pid) => nameOf(pid) === "sleep");
      });
      await spawner.kill("SIGKILL");
      await ended;
    } finally {
      await spawner.close();
    }
  });
});

/** Null: the process is gone. */
function nameOf(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trimEnd();
  } catch {
    return null;
  }
}

async function pulledImage(parent: string): Promise<string> {
  const registry = await startRegistry(parent);
  try {
    const runtime = createPodman({ scratchDirectory: parent, program: testbed.podman });
    assert.equal((await runtime.selfTest()).works, true);
    const scratch = join(parent, "pull");
    mkdirSync(scratch);
    const entry = join(parent, "entry");
    await runtime.store!.pull({
      reference: registry.image.slice("docker://".length),
      isPlainHttp: true,
      credential: null,
      entry,
      scratch,
      environment: {},
      signal: new AbortController().signal,
    });
    return (await runtime.store!.open(entry))!.image;
  } finally {
    await registry.stop();
  }
}
