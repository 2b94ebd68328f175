import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createApptainer } from "../../pilot/runtime/apptainer.ts";
import { createBubblewrap } from "../../pilot/runtime/bubblewrap.ts";
import { createPodman } from "../../pilot/runtime/podman.ts";
import type { Runtime } from "../../pilot/runtime/runtime.ts";
import { evaluationBench } from "../support/evaluation-bench.ts";
import { startRegistry } from "../support/registry.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { requireImages, requireTestbed, testbed } from "../support/testbed.ts";

/**
 * Tries every directory and every file that the payload can see, but for those of processes, and the ways in which a
 * read-only file system is made writable. Opening for appending writes nothing, so that a success does no harm.
 */
const WRITE_EVERYWHERE = `
mount -o remount,rw / 2>/dev/null && echo 'remounted /'
mount -o remount,rw,bind /usr 2>/dev/null && echo 'remounted /usr'
mkdir /made 2>/dev/null && echo 'made /made'
rm -f /marker 2>/dev/null; test -e /marker || echo 'removed /marker'
chmod 777 / 2>/dev/null && echo 'changed the mode of /'
for d in $(find / -path '/proc/[0-9]*' -prune -o -type d -print 2>/dev/null); do
  { true >"$d/hyperpilot-probe"; } 2>/dev/null && echo "directory $d"
done
for f in $(find / -path '/proc/[0-9]*' -prune -o -type f ! -name hyperpilot-probe -print 2>/dev/null); do
  { true >>"$f"; } 2>/dev/null || continue
  # What the runtime makes up for this one container lies in memory.
  grep -q "^tmpfs $f " /proc/mounts && echo "memory $f" || echo "file $f"
done
for outside in HOST_PATHS; do { true >"$outside/hyperpilot-probe"; } 2>/dev/null && echo "outside $outside"; done
echo done`;

const WHERE_AM_I = 'echo "$PWD"; pwd -P; readlink /proc/self/cwd; cd /srv/workDir && pwd -P';

/**
 * What may be written: the work directory, private temporary directories, devices and names in the container's own memory,
 * and what the kernel lets everybody open, which stores nothing.
 */
const ALLOWED = [
  /^(directory|file) (\/srv\/workDir|\/tmp|\/var\/tmp|\/dev)(\/|$)/,
  /^memory \/etc\/(passwd|group|resolv\.conf)$/,
  /^file \/proc\/(pressure\/(io|cpu|memory)|sys\/kernel\/ns_last_pid)$/,
];

const HOST_PATHS = [homedir(), "/etc", "/var/lib", testbed.directory, testbed.imageDirectory];

interface Place {
  readonly name: string;
  readonly image: string | null;
  create(scratchDirectory: string): Runtime;
}

const apptainer = (scratchDirectory: string): Runtime =>
  createApptainer({ name: "apptainer", scratchDirectory, program: testbed.apptainer });

const PLACES: readonly Place[] = [
  { name: "apptainer, SIF file", image: testbed.sifFile, create: apptainer },
  { name: "apptainer, sandbox directory", image: testbed.imageDirectory, create: apptainer },
  {
    name: "podman",
    image: null,
    create: (scratchDirectory) => createPodman({ scratchDirectory, program: testbed.podman }),
  },
  {
    name: "bubblewrap, sandbox directory",
    image: testbed.imageDirectory,
    create: (scratchDirectory) => createBubblewrap({ scratchDirectory }),
  },
];

describe("A payload that tries to write everywhere", function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;

  before(function () {
    requireTestbed(this);
  });
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  for (const place of PLACES)
    it(`writes only in its work directory and its own temporary directories: ${place.name}`, async () => {
      const { image } = place;
      const registry = image === null ? await startRegistry(directory.path) : null;
      let runtime: Runtime | null = null;
      const bench = evaluationBench({
        readOnlyPaths: [testbed.directory],
        runtime: (scratchDirectory) => (runtime = place.create(scratchDirectory)),
      });
      try {
        await runtime!.selfTest();
        const before = fingerprint(testbed.imageDirectory);
        const exec = writeEverywhere();
        const end = await bench.run({
          exec: `${WHERE_AM_I}; ${exec}`,
          container: image ?? registry!.image,
          output: "none",
        });
        assert.equal(end.outcome?.type, "loss", JSON.stringify(end));
        assertContained(readFileSync(end.logFile!, "utf8").replaceAll(/^\[hyperpilot\].*\n/gm, ""));
        assert.equal(fingerprint(testbed.imageDirectory), before);
        assertNothingOutside();
      } finally {
        await bench.close();
        await registry?.stop();
      }
    });

  it("is told the same place by /srv/workDir, $PWD and os.getcwd()", async function () {
    requireImages(this);
    const bench = evaluationBench({
      readOnlyPaths: [testbed.directory],
      runtime: apptainer,
    });
    const python = `python3 -c 'import os; print(os.getcwd(), os.environ["PWD"], os.path.realpath("."))'`;
    const exec = `${WHERE_AM_I}; ${python}`;
    try {
      const end = await bench.run({ exec, container: testbed.evaluationImage, output: "none" });
      assert.equal(end.outcome?.type, "loss", JSON.stringify(end));
      const log = readFileSync(end.logFile!, "utf8").replaceAll(/^\[hyperpilot\].*\n/gm, "");
      assert.deepEqual(log.trim().split(/\s+/), Array(7).fill("/srv/workDir"));
    } finally {
      await bench.close();
    }
  });

  it("does so too when the pilot is an ordinary user", () => {
    const user = 65_534;
    const program = join(directory.path, "apptainer");
    // The testbed's program without its rights: what it needs root for is done by then.
    const text = readFileSync(testbed.apptainer, "utf8")
      .replace(/^root=.*$/m, `root='${testbed.directory}/root'`)
      .replace(
        'exec /usr/bin/apptainer "$@"',
        `exec /usr/bin/setpriv --reuid ${user} --regid ${user} --clear-groups /usr/bin/apptainer "$@"`,
      );
    assert.match(text, /setpriv/);
    writeFileSync(program, text, { mode: 0o755 });
    chmodSync(directory.path, 0o755);
    // The testbed may lie in a directory that other users cannot enter.
    const image = join(directory.path, "image");
    cpSync(testbed.imageDirectory, image, { recursive: true, verbatimSymlinks: true });
    const [workDirectory, temporary] = ["work", "tmp"].map((name) => join(directory.path, name));
    for (const path of [workDirectory!, temporary!]) {
      mkdirSync(path);
      chownSync(path, user, user);
    }
    const runtime = createApptainer({
      name: "apptainer",
      scratchDirectory: directory.path,
      program,
    });
    const { argv, environment } = runtime.command({
      image,
      workDirectory: workDirectory!,
      temporaryDirectory: temporary!,
      exec: `id -u; ${WHERE_AM_I}; ${writeEverywhere()}`,
      environment: { PATH: "/usr/bin:/bin" },
      readOnlyPaths: [image],
      gpus: [],
    });
    const status = join(directory.path, "status");
    const wrapped = ["-c", 'exec "$@" 3>"$0"', status, ...argv];
    const before = fingerprint(image);
    const { stdout, stderr } = spawnSync("/bin/sh", wrapped, {
      cwd: workDirectory!,
      env: { ...environment },
      encoding: "utf8",
    });
    const [uid, ...rest] = stdout.split("\n");
    assert.equal(uid, String(user), stderr);
    assertContained(rest.join("\n"));
    assert.equal(lstatSync(join(workDirectory!, "hyperpilot-probe")).uid, user);
    assert.equal(fingerprint(image), before);
    assertNothingOutside();
  });
});

function writeEverywhere(): string {
  return WRITE_EVERYWHERE.replace("HOST_PATHS", HOST_PATHS.join(" "));
}

function assertContained(text: string): void {
  const lines = text.trimEnd().split("\n");
  assert.deepEqual(
    lines.slice(0, 4),
    Array(4).fill("/srv/workDir"),
    "the payload knows where it is",
  );
  assert.equal(lines.at(-1), "done", text);
  const written = lines.slice(4, -1);
  assert.deepEqual(
    written.filter((line) => !ALLOWED.some((allowed) => allowed.test(line))),
    [],
  );
  for (const path of ["/srv/workDir", "/tmp", "/var/tmp"])
    assert.ok(written.includes(`directory ${path}`), `${path} in ${written.join("; ")}`);
}

function assertNothingOutside(): void {
  for (const path of [...HOST_PATHS, "/tmp", "/var/tmp", "/dev", "/srv", "/"])
    assert.equal(existsSync(join(path, "hyperpilot-probe")), false, path);
}

/** Of names, contents, modes and owners below a directory. */
function fingerprint(directory: string): string {
  const hash = createHash("sha256");
  const names = readdirSync(directory, { recursive: true }) as string[];
  for (const name of names.sort()) {
    const path = join(directory, name);
    const entry = lstatSync(path);
    hash.update(`${name} ${entry.mode} ${entry.uid} ${entry.gid}\n`);
    if (entry.isFile()) hash.update(readFileSync(path));
    if (entry.isSymbolicLink()) hash.update(readlinkSync(path));
  }
  if (existsSync(testbed.sifFile)) hash.update(execFileSync("sha256sum", [testbed.sifFile]));
  return hash.digest("hex");
}
