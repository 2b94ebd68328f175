import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { packTree } from "../../common/archive.ts";
import { systemClock } from "../../common/clock.ts";
import { fetchCheckpoint } from "../../pilot/restore.ts";
import { fillWorkDirectory } from "../../pilot/workdir.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { BlobRef } from "../../protocol/pilot-messages.ts";
import { Evaluation } from "../../protocol/task.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

describe("the checkpoint that an evaluation goes on from", () => {
  let directory: TemporaryDirectory;
  let tarballs: Map<string, string>;
  let newer: BlobRef;
  let older: BlobRef;
  let get: (sha256: string) => Promise<Uint8Array>;

  beforeEach(async () => {
    directory = temporaryDirectory();
    tarballs = new Map();
    const make = async (state: string): Promise<BlobRef> => {
      const files = join(directory.path, `files-${state}`);
      mkdirSync(join(files, "state"), { recursive: true });
      writeFileSync(join(files, "state", "epoch"), state);
      writeFileSync(join(files, "output.json"), '{"loss": 0}');
      const tarball = join(directory.path, `${state}.tgz`);
      const blob = await packTree(files, tarball);
      tarballs.set(blob.sha256, tarball);
      return blob;
    };
    older = await make("older");
    newer = await make("newer");
    get = (sha256) => Promise.resolve(readFileSync(tarballs.get(sha256)!));
  });
  afterEach(() => directory.remove());

  const granted = (...checkpoints: BlobRef[]) => ({
    item: { type: "evaluation" as const, taskId: 10_000_000, pointId: "7" },
    epoch: [1, 2] as const,
    slot: 0,
    attempt: 1,
    pointText: "{}",
    seed: 7,
    token: "token",
    checkpoints,
  });

  const fetched = (...checkpoints: BlobRef[]) =>
    fetchCheckpoint(granted(...checkpoints), {
      api: {
        getCheckpoint: async (sha256, { file }) => writeFileSync(file, await get(sha256)),
      },
      clock: systemClock,
      random: () => 0,
      directory: join(directory.path, "fetched"),
      signal: new AbortController().signal,
    });

  it("is the newest one, checked", async () => {
    const { checkpoint, warnings } = await fetched(newer, older);
    assert.deepEqual([checkpoint?.sha256, warnings], [newer.sha256, []]);
  });

  it("is none where none was granted", async () => {
    assert.deepEqual(await fetched(), { checkpoint: null, warnings: [] });
  });

  it("is the one before where the newest arrives with a flipped byte, and the user is told", async () => {
    const whole = get;
    get = async (sha256) => {
      const bytes = Buffer.from(await whole(sha256));
      if (sha256 === newer.sha256) bytes[bytes.length >> 1]! ^= 1;
      return bytes;
    };
    const { checkpoint, warnings } = await fetched(newer, older);
    assert.equal(checkpoint?.sha256, older.sha256);
    assert.match(warnings[0] ?? "", /could not be used: .*arrived damaged/);
  });

  it("is the one before where the server says that the newest is damaged; none where both are", async () => {
    const whole = get;
    const damaged = { code: "E_CHECKSUM", message: "damaged on the server" } as const;
    get = (sha256) =>
      sha256 === newer.sha256 ? Promise.reject(new HyperpilotError(damaged)) : whole(sha256);
    assert.equal((await fetched(newer, older)).checkpoint?.sha256, older.sha256);
    get = () => Promise.reject(new HyperpilotError(damaged));
    const { checkpoint, warnings } = await fetched(newer, older);
    assert.equal(checkpoint, null);
    assert.equal(warnings.length, 3);
    assert.match(warnings[2] ?? "", /began anew/);
  });

  it("is the one before where the newest is no archive that may be extracted", async () => {
    const bytes = Buffer.from("not a tarball ".repeat(100));
    const file = join(directory.path, "unfit");
    writeFileSync(file, bytes);
    const { sha256OfFile } = await import("../../common/archive.ts");
    const unfit = { sha256: await sha256OfFile(file), sizeBytes: bytes.length };
    tarballs.set(unfit.sha256, file);
    assert.equal((await fetched(unfit, older)).checkpoint?.sha256, older.sha256);
  });

  it("is not given up for a lease that is over", async () => {
    get = () => Promise.reject(new HyperpilotError({ code: "E_STALE", message: "over" }));
    await assert.rejects(fetched(newer, older), { code: "E_STALE" });
  });

  describe("in the work directory", () => {
    const evaluation = Evaluation.parse({
      container: "host:",
      exec: "true",
      metadata: "meta.json",
    });
    const fill = async (load: string | null): Promise<string> => {
      const { checkpoint } = await fetched(newer);
      const work = join(directory.path, "work");
      await fillWorkDirectory(work, {
        sandboxFile: null,
        evaluation,
        pointText: '{"x":1.0}',
        checkpoint: { file: checkpoint!.file, load },
      });
      return work;
    };

    it("is extracted, without a result that it may hold, and with the point of now", async () => {
      const work = await fill(null);
      assert.equal(readFileSync(join(work, "state", "epoch"), "utf8"), "newer");
      assert.equal(existsSync(join(work, "output.json")), false);
      assert.equal(readFileSync(join(work, "input.json"), "utf8"), '{"x":1.0}');
    });

    it("stays a tarball under the name of --checkPointToLoad", async () => {
      const work = await fill("saved/checkpoint.tgz");
      const tarball = readFileSync(join(work, "saved", "checkpoint.tgz"));
      assert.deepEqual(tarball, readFileSync(tarballs.get(newer.sha256)!));
      assert.equal(existsSync(join(work, "state")), false);
    });

    it("must not be named out of it", async () => {
      await assert.rejects(fill("../checkpoint.tgz"), { code: "E_PAYLOAD" });
    });
  });
});
