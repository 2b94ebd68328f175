import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { extractArchive, sha256OfFile } from "../../common/archive.ts";
import { type Artifacts, collectArtifacts } from "../../pilot/artifacts.ts";
import { PILOT, TASK } from "../../protocol/limits.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

describe("what an evaluation has left", () => {
  let directory: TemporaryDirectory;
  let work: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    work = join(directory.path, "work");
    mkdirSync(work);
  });
  afterEach(() => directory.remove());

  const put = (name: string, content: string | Uint8Array): void => {
    mkdirSync(join(work, name, ".."), { recursive: true });
    writeFileSync(join(work, name), content);
  };

  function collect(
    names: { metadata?: string; metrics?: string },
    isComplete = true,
  ): Promise<Artifacts> {
    const { metadata = null, metrics = null } = names;
    const to = { directory: join(directory.path, "artifacts"), isComplete };
    return collectArtifacts(work, { metadata, metrics }, to);
  }

  it("is nothing unless the task asks for it", async () => {
    put("meta.json", "{}");
    assert.deepEqual(await collect({}), { metadata: null, metrics: null, warnings: [] });
  });

  it("is a JSON object, byte for byte, and a tarball as it is", async () => {
    put("out/meta.json", '{"lr": 1.0,\n "n": 12345678901234567890}\n');
    put("metrics.tgz", Buffer.from([0x1f, 0x8b, 0, 255]));
    const { metadata, metrics, warnings } = await collect({
      metadata: "out/meta.json",
      metrics: "metrics.tgz",
    });
    assert.deepEqual(warnings, []);
    assert.equal(
      readFileSync(metadata!.file, "utf8"),
      '{"lr": 1.0,\n "n": 12345678901234567890}\n',
    );
    assert.deepEqual([...readFileSync(metrics!.file)], [0x1f, 0x8b, 0, 255]);
    assert.equal(metrics!.blob.sha256, await sha256OfFile(metrics!.file));
    assert.deepEqual([metadata!.blob.sizeBytes, metrics!.blob.sizeBytes], [40, 4]);
  });

  it("is a tarball of a directory, without the links in it", async () => {
    put("mlruns/0/metric", "1");
    symlinkSync("/etc/passwd", join(work, "mlruns", "link"));
    const { metrics } = await collect({ metrics: "mlruns" });
    const target = join(directory.path, "looked-at");
    const bounds = { filesMax: 10, bytesMax: 1_000, depthMax: 4 };
    const entries = await extractArchive(metrics!.file, target, bounds);
    assert.deepEqual(
      entries.filter(({ type }) => type === "file").map(({ path }) => path),
      ["./0/metric"],
    );
  });

  const unfit: readonly (readonly [string, () => void, RegExp])[] = [
    ["that was not written", () => undefined, /^meta\.json was not written$/],
    ["that is not JSON", () => put("meta.json", "{lr: 1}"), /not JSON: meta\.json:1:2/],
    ["with NaN, which is not JSON", () => put("meta.json", '{"x": NaN}'), /not JSON/],
    ["that is a list", () => put("meta.json", "[1]"), /not a JSON object/],
    ["that is not UTF-8", () => put("meta.json", Buffer.from([0x22, 0xff, 0x22])), /not UTF-8/],
    ["of a megabyte", () => put("meta.json", " ".repeat(TASK.metadataBytesMax + 1)), /has 1000000 bytes.*at most 999999/],
    ["that is a directory", () => mkdirSync(join(work, "meta.json")), /is a directory/],
    ["that is a link to a file of the pilot", () => symlinkSync("/etc/hostname", join(work, "meta.json")), /symbolic link/],
    ["that is a FIFO", () => execFileSync("mkfifo", [join(work, "meta.json")]), /is a FIFO/],
  ]; // prettier-ignore
  for (const [what, make, warning] of unfit)
    it(`leaves out metadata ${what}, with a warning`, async () => {
      make();
      const { metadata, warnings } = await collect({ metadata: "meta.json" });
      assert.equal(metadata, null);
      assert.equal(warnings.length, 1);
      assert.match(warnings[0] ?? "", warning);
    });

  it("takes metadata of exactly the bound", async () => {
    put("meta.json", `{}${" ".repeat(TASK.metadataBytesMax - 2)}`);
    assert.equal((await collect({ metadata: "meta.json" })).metadata?.blob.sizeBytes, 999_999);
  });

  it("leaves out metrics that are too large, that are links or lie behind one, and special files", async () => {
    put("metrics.tgz", "");
    truncateSync(join(work, "metrics.tgz"), TASK.metricsBytesMax + 1);
    symlinkSync("/etc/hostname", join(work, "link.tgz"));
    symlinkSync("/etc", join(work, "etc"));
    execFileSync("mkfifo", [join(work, "pipe")]);
    for (const [name, warning] of [
      ["metrics.tgz", /500000001 bytes.*at most 500000000/],
      ["link.tgz", /symbolic link/],
      ["etc/hostname", /was not written|symbolic link/],
      ["pipe", /neither a file nor a directory/],
      ["../outside", /no file of the work directory/],
    ] as const) {
      const { metrics, warnings } = await collect({ metrics: name });
      assert.equal(metrics, null);
      assert.match(warnings[0] ?? "", warning, name);
      assert.ok(warnings[0]!.length <= PILOT.warningBytesMax);
    }
  });

  it("is not missed where the evaluation did not come to its end", async () => {
    const names = { metadata: "meta.json", metrics: "metrics.tgz" };
    assert.deepEqual((await collect(names, false)).warnings, []);
    assert.equal((await collect(names)).warnings.length, 2);
  });
});
