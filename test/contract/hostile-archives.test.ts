import assert from "node:assert/strict";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { extractArchive } from "../../common/archive.ts";
import { restoreInto } from "../../pilot/restore.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { archive, entry, gnuLong, packed, pax } from "../support/tar-bytes.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

const BOUNDS = { filesMax: 20, bytesMax: 100_000, depthMax: 8 };
const file = (name: string, data = "x"): Buffer => entry({ name, data });
const link = (name: string, to: string, type = "2"): Buffer => entry({ name, type, link: to });
const base256 = (text: string): Buffer => Buffer.from(text, "hex");

/** 24 zeros behind one another compress to nothing. */
const BOMB = Buffer.alloc(60_000_000);

/** `OUT` stands for a directory beside the target that must not change. */
const HOSTILE: readonly (readonly [string, (out: string) => Buffer])[] = [
  // Out of the directory by name.
  ["a name that leads upwards", () => packed(file("../escaped"))],
  ["a name that leads upwards from below", () => packed(file("a/../../escaped"))],
  ["a name that leads upwards by its end", () => packed(entry({ name: "a/..", type: "5" }))],
  ["nothing but two dots", () => packed(entry({ name: "..", type: "5" }))],
  ["an absolute name", (out) => packed(file(`${out}/escaped`))],
  ["two slashes in front", (out) => packed(file(`/${out}/escaped`))],
  ["backslashes", () => packed(file("..\\escaped"))],
  ["a drive", () => packed(file("c:escaped"))],
  ["a drive with a path", () => packed(file("C:/escaped"))],
  ["a prefix that leads upwards", () => packed(entry({ name: "escaped", prefix: "..", data: "x" }))],
  ["an absolute prefix", (out) => packed(entry({ name: "escaped", prefix: out, data: "x" }))],
  ["a long name of GNU that leads upwards", () => packed(gnuLong("L", "../escaped"), file("a"))],
  ["a long name of GNU that is absolute", (out) => packed(gnuLong("L", `${out}/escaped`), file("a"))],
  ["an extended header that leads upwards", () => packed(pax({ path: "../escaped" }), file("a"))],
  ["an extended header that is absolute", (out) => packed(pax({ path: `${out}/e` }), file("a"))],
  ["two extended headers for one entry", () => packed(pax({ path: "a" }), pax({ path: "../e" }), file("a"))],
  ["an extended header after a long name", () => packed(gnuLong("L", "a"), pax({ path: "../e" }), file("a"))],
  // Links of every kind.
  ["a symbolic link", (out) => packed(link("a", out))],
  ["a symbolic link and a file through it", (out) => packed(link("a", out), file("a/escaped"))],
  ["a symbolic link upwards and a file through it", () => packed(link("a", ".."), file("a/escaped"))],
  ["a symbolic link inside", () => packed(file("b"), link("a", "b"))],
  ["a chain of symbolic links", () => packed(link("a", "."), link("a/b", ".."), file("a/b/escaped"))],
  ["a symbolic link in place of a directory", (out) =>
    packed(entry({ name: "a", type: "5" }), link("a", out), file("a/escaped"))],
  ["a hard link to a file outside", (out) => packed(link("a", `${out}/canary`, "1"))],
  ["a hard link, then data for it", (out) => packed(link("a", `${out}/canary`, "1"), file("a", "changed"))],
  ["a hard link upwards", () => packed(link("a", "../outside/canary", "1"))],
  ["a link by an extended header", (out) => packed(pax({ linkpath: `${out}/canary` }), link("a", "b", "1"))],
  ["a file with a link's target", (out) => packed(entry({ name: "a", link: `${out}/canary`, data: "x" }))],
  ["a file with a link's target by an extended header", (out) => packed(pax({ linkpath: out }), file("a"))],
  ["a long link of GNU", (out) => packed(gnuLong("K", out), link("a", "short"))],
  // What is neither file nor directory.
  ["a character device", () => packed(entry({ name: "null", type: "3" }))],
  ["a block device", () => packed(entry({ name: "disk", type: "4" }))],
  ["a FIFO", () => packed(entry({ name: "pipe", type: "6" }))],
  ["a contiguous file", () => packed(entry({ name: "a", type: "7", data: "x" }))],
  ["a sparse file of GNU", () => packed(entry({ name: "a", type: "S", data: "x".repeat(512) }))],
  ["a sparse file of an extended header", () =>
    packed(pax({ "GNU.sparse.major": "1", "GNU.sparse.realsize": "1000000000000" }), file("a"))],
  ["a volume header", () => packed(entry({ name: "volume", type: "V" }))],
  ["a continued file of several volumes", () => packed(entry({ name: "a", type: "M", data: "x" }))],
  ["a directory listing of GNU", () => packed(entry({ name: "a/", type: "D", data: "Yb\0\0" }))],
  ["access rules of Solaris", () => packed(entry({ name: "a", type: "A", data: "x" }), file("b"))],
  ["a type that nobody knows", () => packed(entry({ name: "a", type: "Q", data: "x" }))],
  ["an extended header for all entries", () => packed(pax({ comment: "x" }, "g"), file("a"))],
  ["a size for all entries", () => packed(pax({ size: "4096" }, "g"), file("a"))],
  // Too much.
  ["a compressed bomb", () => packed(file("a", ""), entry({ name: "zeros", data: BOMB }))],
  ["a bomb behind a small archive", () => gzipSync(Buffer.concat([archive(file("a")), BOMB]))],
  ["an archive that is compressed twice", () => gzipSync(packed(file("a")))],
  ["a bomb that is compressed twice", () => gzipSync(gzipSync(archive(entry({ name: "z", data: BOMB }))))],
  ["one file too large", () => packed(entry({ name: "a", data: "x".repeat(BOUNDS.bytesMax + 1) }))],
  ["too much in several files", () => packed(file("a", "x".repeat(60_000)), file("b", "x".repeat(60_000)))],
  ["a size in the header that is not there", () => packed(entry({ name: "a", size: 8 ** 11 - 1, data: "x" }))],
  ["a negative size", () => packed(entry({ name: "a", size: base256("ffffffffffffffffffffff00"), data: "x" }))],
  ["a size of 2^60", () => packed(entry({ name: "a", size: base256("800000001000000000000000"), data: "x" }))],
  ["a negative size in an extended header", () => packed(pax({ size: "-1" }), entry({ name: "a", size: base256("ffffffffffffffffffffff00") }))],
  ["a huge size in an extended header", () => packed(pax({ size: "999999999999" }), file("a"))],
  ["too many files", () => packed(...Array.from({ length: BOUNDS.filesMax + 1 }, (_n, i) => file(`f${i}`)))],
  ["too many empty directories", () =>
    packed(...Array.from({ length: BOUNDS.filesMax + 1 }, (_n, i) => entry({ name: `d${i}`, type: "5" })))],
  ["too deep", () => packed(file("d/".repeat(BOUNDS.depthMax) + "f"))],
  ["a name of 256 bytes", () => packed(gnuLong("L", "n".repeat(256)), file("a"))],
  ["a path longer than a path may be", () => packed(gnuLong("L", `${"n".repeat(250)}/`.repeat(16) + "f"), file("a"))],
  ["a long name of a megabyte", () => packed(gnuLong("L", "n".repeat(1_000_000)), file("a"))],
  ["an extended header of a megabyte", () => packed(pax({ comment: "n".repeat(1_000_000) }), file("a"))],
  // Names that are one on some file system, or none.
  ["the same name twice", () => packed(file("a", "1"), file("a", "2"))],
  ["the same name with dots", () => packed(file("a", "1"), file("./a", "2"))],
  ["the same name with slashes", () => packed(file("d/a", "1"), file("d//a", "2"))],
  ["names that differ in case", () => packed(file("Model", "1"), file("model", "2"))],
  ["names that differ in the form of a letter", () => packed(file("caf\u00e9"), file("cafe\u0301"))],
  ["a file that is a directory, too", () => packed(file("a"), file("a/b"))],
  ["a directory that is a file, too", () => packed(file("a/b"), file("a"))],
  ["a directory that differs in case", () => packed(file("A/x"), file("a"))],
  ["a zero byte in a name", () => packed(pax({ path: "a\0../escaped" }), file("../b"))],
  ["a line end in a name", () => packed(file("a\nb"))],
  ["an escape sequence in a name", () => packed(file("a\u001b[31m"))],
  ["a name that is not UTF-8", () => packed(entry({ name: Buffer.from([0x61, 0xff, 0xfe]), data: "x" }))],
  ["a name that turns the direction of writing", () => packed(file("a\u202egnp.exe"))],
  // Broken.
  ["a wrong sum", () => packed(entry({ name: "a", data: "x", checksumError: 1 }))],
  ["a cut archive", () => packed(file("a", "x".repeat(2_000))).subarray(0, -12)],
  ["a cut archive without compression", () => archive(file("a", "x".repeat(2_000))).subarray(0, 1_000)],
  ["no archive at all", () => Buffer.from("no archive at all, but some text".repeat(40))],
  ["an empty file", () => Buffer.alloc(0)],
  ["an empty name", () => packed(entry({ name: "", data: "x" }))],
]; // prettier-ignore

describe("Hostile archives", function () {
  this.timeout(30_000);
  let directory: TemporaryDirectory;
  let outside: string;
  let tarball: string;
  let target: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    outside = join(directory.path, "outside");
    tarball = join(directory.path, "archive.tgz");
    target = join(directory.path, "target");
    mkdirSync(join(outside, "below"), { recursive: true });
    writeFileSync(join(outside, "canary"), "bird");
    writeFileSync(join(outside, "below", "canary"), "bird");
    symlinkSync("canary", join(outside, "link"));
  });
  afterEach(async () => {
    await directory.remove();
  });

  /** Everything below the directory but the archive: names, types, modes, contents. */
  function tree(path = directory.path): string[] {
    return readdirSync(path)
      .sort()
      .flatMap((name) => {
        const one = join(path, name);
        if (one === tarball) return [];
        const stats = lstatSync(one);
        const sign = `${one} ${stats.mode.toString(8)} ${stats.nlink}`;
        if (stats.isSymbolicLink()) return [`${sign} -> ${readlinkSync(one)}`];
        if (stats.isDirectory()) return [sign, ...tree(one)];
        return [`${sign} ${readFileSync(one, "utf8")}`];
      });
  }

  it("are at least 60 and all different", () => {
    const all = new Set(HOSTILE.map(([, make]) => make("/out").toString("latin1")));
    assert.ok(all.size >= 60, `${all.size}`);
    assert.equal(all.size, HOSTILE.length);
  });

  for (const [what, make] of HOSTILE)
    it(`with ${what} are refused, and nothing is touched`, async () => {
      writeFileSync(tarball, make(outside));
      const before = tree();
      await assert.rejects(
        extractArchive(tarball, target, BOUNDS),
        (error: unknown) =>
          error instanceof HyperpilotError && error.code === "E_FILE" && error.why !== "",
      );
      assert.deepEqual(tree(), before);
    });

  it("that are none are taken: long names, extended headers, directories with and without an entry", async () => {
    const long = "long-name-".repeat(15);
    const entries = [
      entry({ name: "./", type: "5" }),
      entry({ name: "d/", type: "5", mode: 0o777 }),
      entry({ name: "d/run.sh", data: "#!", mode: 0o4755 }),
      Buffer.concat([gnuLong("L", long), file("cut")]),
      Buffer.concat([pax({ path: "é/ü.json", mtime: "1.5" }), file("cut")]),
    ];
    writeFileSync(tarball, packed(...entries));
    await extractArchive(tarball, target, BOUNDS);
    assert.deepEqual(readdirSync(target).sort(), ["d", long, "é"].sort());
    assert.equal(lstatSync(join(target, "d", "run.sh")).mode & 0o7777, 0o700);
    assert.equal(lstatSync(join(target, "d")).mode & 0o7777, 0o700);
    assert.equal(readFileSync(join(target, "é", "ü.json"), "utf8"), "x");
  });

  it("are refused before anything of a work directory is changed", async () => {
    const work = join(directory.path, "work");
    mkdirSync(work);
    writeFileSync(join(work, "train.py"), "print()");
    writeFileSync(tarball, packed(file("train.py", "changed"), link("a", outside)));
    const before = tree();
    await assert.rejects(restoreInto(work, tarball), { code: "E_FILE" });
    assert.deepEqual(tree(), before);
    writeFileSync(tarball, packed(file("train.py", "changed"), file("d/e")));
    await restoreInto(work, tarball);
    assert.equal(readFileSync(join(work, "train.py"), "utf8"), "changed");
    assert.equal(existsSync(join(work, "d", "e")), true);
    assert.equal(existsSync(`${work}.restored`), false);
  });
});
