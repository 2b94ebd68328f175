import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import type { SpawnCommand } from "../../pilot/command-script.ts";
import { descendants, isRunning } from "../../pilot/process-tree.ts";
import { type Spawner, createSpawner } from "../../pilot/spawner.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const spawnerModule = new URL("../../pilot/spawner.ts", import.meta.url).href;
const clockModule = new URL("../../common/clock.ts", import.meta.url).href;

function endGroupOf(pid: number): void {
  if (isRunning(pid)) process.kill(pid, "SIGKILL");
}

describe("Spawner: a shell per slot", () => {
  let directory: TemporaryDirectory;
  let spawner: Spawner;
  let outputs = 0;

  beforeEach(() => {
    directory = temporaryDirectory();
    spawner = createSpawner({
      directory: join(directory.path, "with 'quotes' and spaces"),
      clock: systemClock,
    });
  });

  afterEach(async () => {
    await spawner.close();
    await directory.remove();
  });

  function commandOf(argv: readonly string[], more: Partial<SpawnCommand> = {}): SpawnCommand {
    outputs += 1;
    const outputFile = join(directory.path, `output-${outputs}`);
    writeFileSync(outputFile, "");
    return { argv, environment: {}, cwd: directory.path, outputFile, statusFile: null, ...more };
  }

  function shell(script: string): SpawnCommand {
    return commandOf(["/bin/sh", "-c", script]);
  }

  async function pidWrittenBy(name: string): Promise<number> {
    const file = join(directory.path, name);
    // The file exists a moment before its text.
    return waitUntil<number | null>(`${name} is written`, () => {
      const pid = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
      return pid === 0 ? null : pid;
    });
  }

  it("tells the exit code and keeps stdout and stderr in the output file", async () => {
    const command = shell("echo out; echo err >&2; exit 7");
    const end = await spawner.start(command);
    assert.equal(end.exitCode, 7);
    assert.equal(end.signal, null);
    assert.equal(readFileSync(command.outputFile, "utf8"), "out\nerr\n");
  });

  it("names the signal that ended the command", async () => {
    const end = await spawner.start(shell("kill -SEGV $$"));
    assert.equal(end.signal, "SIGSEGV");
    assert.equal(end.exitCode, 128 + 11);
  });

  it("passes every argument and variable literally, whatever a shell would make of it", async () => {
    const nasty = "a 'b' \"c\" $(touch pwned) `touch pwned` ; touch pwned \\ * \n -n é";
    const command = commandOf(["/usr/bin/printf", "%s|", nasty, "", "*"], {
      environment: { NASTY: nasty },
    });
    assert.equal((await spawner.start(command)).exitCode, 0);
    assert.equal(readFileSync(command.outputFile, "utf8"), `${nasty}||*|`);
    const environment = commandOf(["/usr/bin/env"], { environment: { NASTY: nasty, B: "2" } });
    await spawner.start(environment);
    const lines = readFileSync(environment.outputFile, "utf8");
    assert.ok(lines.includes(`NASTY=${nasty}\n`), lines);
    assert.equal(existsSync(join(directory.path, "pwned")), false);
  });

  it("gives the command no variable that was not asked for", async () => {
    const command = commandOf(["/usr/bin/env"], { environment: { ONLY: "this" } });
    await spawner.start(command);
    const names = readFileSync(command.outputFile, "utf8")
      .trim()
      .split("\n")
      .map((line) => line.split("=")[0]);
    assert.deepEqual(
      names.filter((name) => name !== "PWD" && name !== "_"),
      ["ONLY"],
    );
  });

  it("gives the command an empty input and none of its own descriptors", async () => {
    const command = shell("cat; ls /proc/self/fd; readlink /proc/self/fd/0");
    await spawner.start(command);
    const lines = readFileSync(command.outputFile, "utf8").trim().split("\n");
    assert.equal(lines.at(-1), "/dev/null");
    assert.deepEqual(
      lines.slice(0, -1).filter((fd) => Number(fd) > 3 && Number(fd) < 10),
      [],
    );
  });

  it("writes what the command says on descriptor 3 into the status file", async () => {
    const statusFile = join(directory.path, "status");
    await spawner.start({ ...shell("echo fine >&3"), statusFile });
    assert.equal(readFileSync(statusFile, "utf8"), "fine\n");
  });

  it("tells a missing program and a missing directory by exit codes of their own", async () => {
    assert.equal((await spawner.start(commandOf(["/no/such/program"]))).exitCode, 127);
    const lost = { ...shell("true"), cwd: join(directory.path, "nowhere") };
    assert.equal((await spawner.start(lost)).exitCode, 126);
  });

  it("keeps one shell for command after command, and leaves no script behind", async () => {
    await spawner.start(shell("true"));
    const first = spawner.pid;
    for (let n = 0; n < 20; n += 1) assert.equal((await spawner.start(shell("true"))).exitCode, 0);
    assert.equal(spawner.pid, first);
    assert.deepEqual(readdirSync(join(directory.path, "with 'quotes' and spaces")), []);
  });

  it("ends background processes that a successful command leaves behind", async () => {
    await spawner.start(shell("sleep 1000 & echo $! >left"));
    const left = await pidWrittenBy("left");
    await waitUntil("the left process is gone", () => !isRunning(left));
  });

  it("ends processes that ignore SIGTERM after a failed command", async () => {
    await spawner.start(
      shell("(trap '' TERM; echo ready >ready; exec sleep 1000) & echo $! >left; exit 1"),
    );
    assert.equal(isRunning(await pidWrittenBy("left")), false);
  });

  it("asks the command to end with SIGTERM and lets it say goodbye", async () => {
    const command = shell(
      "trap 'echo goodbye; exit 5' TERM; echo x >ready; while :; do sleep 0.01; done",
    );
    const ending = spawner.start(command);
    await waitUntil("the trap is set", () => existsSync(join(directory.path, "ready")));
    await spawner.kill("SIGTERM");
    assert.equal((await ending).exitCode, 5);
    assert.match(readFileSync(command.outputFile, "utf8"), /^goodbye$/m);
  });

  it("kills every process of the command's session and resolves when they are gone", async () => {
    const ending = spawner.start(
      shell(
        "trap '' TERM; (sleep 1000 & echo $! >orphan) ; echo $$ >main; while :; do sleep 1; done",
      ),
    );
    const pids = [await pidWrittenBy("orphan"), await pidWrittenBy("main")];
    await spawner.kill("SIGKILL");
    assert.deepEqual(
      pids.map((pid) => isRunning(pid)),
      [false, false],
    );
    assert.equal((await ending).signal, "SIGKILL");
    assert.equal((await spawner.start(shell("exit 3"))).exitCode, 3);
  });

  it("runs a command that was asked for while the former is being killed", async () => {
    const first = spawner.start(shell("echo x >ready; sleep 1000"));
    await waitUntil("it runs", () => existsSync(join(directory.path, "ready")));
    const killing = spawner.kill("SIGKILL");
    assert.equal((await first).signal, "SIGKILL");
    assert.equal((await spawner.start(shell("exit 4"))).exitCode, 4);
    await killing;
  });

  it("refuses a second command while one runs", async () => {
    const first = spawner.start(shell("echo x >ready; sleep 1000"));
    await waitUntil("it runs", () => existsSync(join(directory.path, "ready")));
    await assert.rejects(spawner.start(shell("true")), /one command at a time/);
    await spawner.kill("SIGKILL");
    await first;
  });

  it("lists the processes of a command, parents first and no more than asked for", async () => {
    const running = spawner.start(shell("(sleep 1000 & sleep 1000 & wait) & echo x >ready; wait"));
    const all = await waitUntil("all four run", () => {
      // One of the shell's children is no command: it waits for the end of the pilot.
      const found = descendants(spawner.pid!);
      return found.length >= 5 ? found : null;
    });
    assert.deepEqual(descendants(spawner.pid!, 3), all.slice(0, 3));
    assert.deepEqual(descendants(spawner.pid!, 0), []);
    await spawner.kill("SIGKILL");
    await running;
  });

  it("reports a shell that something else has killed, and starts a new one", async () => {
    const first = spawner.start(shell("echo x >ready; sleep 1000"));
    const rejected = assert.rejects(first, { code: "E_RUNTIME" });
    await waitUntil("it runs", () => existsSync(join(directory.path, "ready")));
    process.kill(-spawner.pid!, "SIGKILL");
    await rejected;
    assert.equal((await spawner.start(shell("exit 0"))).exitCode, 0);
  });

  it("refuses a NUL, which no program can be given", async () => {
    await assert.rejects(spawner.start(commandOf(["/bin/echo", "a\0b"])), { code: "E_PAYLOAD" });
  });

  it("ends its processes when the pilot itself is killed", async () => {
    const pidFile = join(directory.path, "payload");
    const program = `
      const { createSpawner } = await import(${JSON.stringify(spawnerModule)});
      const { systemClock } = await import(${JSON.stringify(clockModule)});
      const [directory, outputFile] = process.argv.slice(1);
      const spawner = createSpawner({ directory: directory + "/child", clock: systemClock });
      const argv = ["/bin/sh", "-c", "trap '' TERM; echo $$ >payload; while :; do sleep 1; done"];
      await spawner.start({ argv, environment: {}, cwd: directory, outputFile, statusFile: null });
    `;
    const { outputFile } = shell("");
    const flags = ["--import", "tsx", "--input-type=module", "-e", program];
    const pilot = spawn(process.execPath, [...flags, directory.path, outputFile], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    try {
      const payload = await pidWrittenBy("payload");
      assert.equal(isRunning(payload), true);
      pilot.kill("SIGKILL");
      await waitUntil("the payload is gone", () => !isRunning(payload));
    } finally {
      pilot.kill("SIGKILL");
      if (existsSync(pidFile)) endGroupOf(Number(readFileSync(pidFile, "utf8")));
    }
  });

  it("leaves no process behind when it is closed", async () => {
    const running = spawner.start(shell("echo x >ready; sleep 1000"));
    await waitUntil("it runs", () => existsSync(join(directory.path, "ready")));
    const all = [spawner.pid!, ...descendants(spawner.pid!)];
    await spawner.close();
    await running;
    assert.deepEqual(
      all.filter((pid) => isRunning(pid)),
      [],
    );
  });
});
