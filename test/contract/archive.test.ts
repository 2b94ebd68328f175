import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { extractArchive, listArchive, packFiles, sha256OfFile } from "../../common/archive.ts";
import { PILOT } from "../../protocol/limits.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

const BOUNDS = { filesMax: 10, bytesMax: 10_000, depthMax: 4 };

let directory: TemporaryDirectory;
let files: string;
let archive: string;
let target: string;

beforeEach(() => {
  directory = temporaryDirectory();
  files = join(directory.path, "files");
  archive = join(directory.path, "archive.tar.gz");
  target = join(directory.path, "target");
  mkdirSync(files);
});
afterEach(async () => {
  await directory.remove();
});

function put(name: string, text: string, mode = 0o644): void {
  mkdirSync(join(files, name, ".."), { recursive: true });
  writeFileSync(join(files, name), text, { mode });
}

/** Made by GNU tar, which does not care: the way to archives that `packFiles` would never make. */
function gnuTar(...options: string[]): void {
  execFileSync("tar", ["-czf", archive, "-C", files, ...options], { stdio: "pipe" });
}

describe("Packing files", () => {
  it("gives the same bytes for the same files, whatever their times, order and owners", async () => {
    put("b.py", "b");
    put("a/c.sh", "c", 0o755);
    const first = await packFiles(files, ["b.py", "a/c.sh"], archive);
    utimesSync(join(files, "b.py"), 1, 1);
    const again = join(directory.path, "again.tar.gz");
    const second = await packFiles(files, ["a/c.sh", "b.py"], again);
    assert.deepEqual(second, first);
    assert.deepEqual(readFileSync(again), readFileSync(archive));
    assert.equal(first.sha256, await sha256OfFile(archive));
    assert.equal(first.sizeBytes, statSync(archive).size);
  });

  it("comes back with contents, executable bits, and names that look like options", async () => {
    const names = ["@list.py", "-x.py", "a/b c/é.json", "run.sh"];
    for (const name of names) put(name, name, name === "run.sh" ? 0o755 : 0o640);
    await packFiles(files, names, archive);
    await extractArchive(archive, target, BOUNDS);
    for (const name of names) assert.equal(readFileSync(join(target, name), "utf8"), name);
    assert.equal(statSync(join(target, "run.sh")).mode & 0o777, 0o700);
    assert.equal(statSync(join(target, "-x.py")).mode & 0o777, 0o600);
  });

  it("refuses links, directories, missing files and names that lead outside", async () => {
    put("a.py", "a");
    symlinkSync("/etc/passwd", join(files, "link.py"));
    mkdirSync(join(files, "dir"));
    for (const name of ["link.py", "dir", "missing.py", "../files/a.py", join(files, "a.py")])
      await assert.rejects(packFiles(files, [name], archive), { code: "E_FILE" }, name);
  });

  it("refuses two names that differ in case only", async () => {
    put("Model.py", "1");
    put("model.py", "2");
    await assert.rejects(packFiles(files, ["Model.py", "model.py"], archive), {
      why: "the same name comes twice",
    });
  });
});

describe("Extracting an archive", function () {
  // One of them makes ten thousand files.
  this.timeout(30_000);
  async function refused(why: RegExp): Promise<void> {
    await assert.rejects(
      extractArchive(archive, target, BOUNDS),
      (error: { code?: string; why?: string }) => {
        assert.equal(error.code, "E_FILE");
        assert.match(error.why ?? "", why);
        return true;
      },
    );
    assert.equal(existsSync(target), false, "nothing is left");
    assert.equal(existsSync(join(directory.path, "escaped")), false);
  }

  it("makes a private directory with private files, without set-user-id and other people's bits", async () => {
    put("tool", "x", 0o755);
    execFileSync("chmod", ["6777", join(files, "tool")]);
    gnuTar(".");
    await extractArchive(archive, target, BOUNDS);
    assert.equal(statSync(target).mode & 0o7777, 0o700);
    assert.equal(statSync(join(target, "tool")).mode & 0o7777, 0o700);
  });

  it("does not extract over what is there", async () => {
    put("a", "a");
    gnuTar("a");
    mkdirSync(target);
    await assert.rejects(extractArchive(archive, target, BOUNDS), { code: "EEXIST" });
  });

  it("refuses a symbolic link", async () => {
    put("a", "a");
    symlinkSync("/etc", join(files, "link"));
    gnuTar("a", "link");
    await refused(/"link" is a SymbolicLink/);
  });

  it("refuses a hard link", async () => {
    put("a", "a");
    execFileSync("ln", [join(files, "a"), join(files, "b")]);
    gnuTar("a", "b");
    await refused(/"b" is a Link/);
  });

  it("refuses a FIFO and a device", async () => {
    execFileSync("mkfifo", [join(files, "pipe")]);
    gnuTar("pipe");
    await refused(/"pipe" is a FIFO/);
    execFileSync("tar", ["-czf", archive, "-C", "/dev", "null"], { stdio: "pipe" });
    await refused(/"null" is a CharacterDevice/);
  });

  it("refuses names that are absolute or lead upwards", async () => {
    put("a", "a");
    gnuTar("--absolute-names", join(files, "a"));
    await refused(/the name is absolute/);
    for (const name of ["../escaped", "x/../../escaped", "x/.."]) {
      gnuTar("--absolute-names", `--transform=s,^a$,${name},`, "a");
      await refused(/the name holds "\.\."/);
    }
  });

  it("refuses control characters, very long names and the same name twice", async () => {
    put("a\nb", "a");
    gnuTar("--", "a\nb");
    await refused(/control character/);
    put("a", "a");
    gnuTar(`--transform=s,^a$,${"n".repeat(256)},`, "a");
    await refused(/more than 255 bytes/);
    gnuTar("a", "a");
    await refused(/same name comes twice|is a Link/);
  });

  it("refuses one entry, one byte and one level too many, and takes exactly the bounds", async () => {
    for (let n = 0; n < BOUNDS.filesMax; n += 1)
      put(`f${n}`, "x".repeat(BOUNDS.bytesMax / BOUNDS.filesMax));
    gnuTar(...readdirSync(files));
    assert.equal((await listArchive(archive, BOUNDS)).length, BOUNDS.filesMax);
    put("f0", "x".repeat(BOUNDS.bytesMax / BOUNDS.filesMax + 1));
    gnuTar(...readdirSync(files));
    await refused(/more than 10000 bytes/);
    put("f0", "");
    put("one-more", "");
    gnuTar(...readdirSync(files));
    await refused(/more than 10 entries/);
    put("1/2/3/4", "");
    gnuTar("1/2/3/4");
    await extractArchive(archive, join(directory.path, "deep"), BOUNDS);
    put("1/2/3/5/6", "");
    gnuTar("1/2/3/5/6");
    await refused(/deeper than 4 directories/);
  });

  it("refuses a sandbox above the pilot's bounds on files, bytes and depth", async () => {
    const bounds = {
      filesMax: PILOT.extractedSandboxFilesMax,
      bytesMax: PILOT.extractedSandboxBytesMax,
      depthMax: PILOT.extractedSandboxDepthMax,
    };
    for (let n = 0; n <= bounds.filesMax; n += 1) writeFileSync(join(files, `${n}`), "");
    gnuTar(...readdirSync(files));
    await assert.rejects(extractArchive(archive, target, bounds), {
      why: /more than 10000 entries/,
    });
    put("deep/".repeat(bounds.depthMax) + "file", "");
    gnuTar("deep");
    await assert.rejects(extractArchive(archive, target, bounds), { why: /deeper than 32/ });
    // Not compressed, as zeros would be refused for the ratio of their compression.
    put("big", "");
    truncateSync(join(files, "big"), bounds.bytesMax + 1);
    execFileSync("tar", ["-cf", archive, "-C", files, "big"], { stdio: "pipe" });
    await assert.rejects(extractArchive(archive, target, bounds), {
      why: /more than 100000000 bytes/,
    });
  });

  it("stops at a decompression bomb, a cut archive, a damaged one and one that is none", async () => {
    put("zeros", "\0".repeat(9_000_000));
    gnuTar("zeros");
    await refused(/ratio|more than 10000 bytes/);
    put("a", "abc");
    gnuTar("a");
    const whole = readFileSync(archive);
    writeFileSync(archive, whole.subarray(0, whole.length - 30));
    await refused(/./);
    writeFileSync(
      archive,
      "no archive at all, but some text that is long enough for a header".repeat(20),
    );
    await refused(/./);
  });

  it("passes a missing archive on as what it is", async () => {
    await assert.rejects(extractArchive(archive, target, BOUNDS), { code: "ENOENT" });
  });
});
