import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { extractArchive } from "../../common/archive.ts";
import { needsPolling, watchForChanges } from "../../pilot/checkpoint.ts";
import { EVERYTHING, checkpointNames } from "../../pilot/checkpoint-names.ts";
import { type CheckpointSaver, createCheckpointSaver } from "../../pilot/checkpoint-saver.ts";
import { Permits } from "../../pilot/permits.ts";
import { copySurveyed, survey } from "../../pilot/snapshot.ts";
import { PILOT, TASK } from "../../protocol/limits.ts";
import type { BlobRef } from "../../protocol/pilot-messages.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const BOUNDS = { entriesMax: PILOT.checkpointEntriesMax, depthMax: PILOT.checkpointDepthMax };
const INTERVAL_MS = 60_000;

describe("checkpoints of a running evaluation", function () {
  this.timeout(30_000);
  let directory: TemporaryDirectory;
  let work: string;
  let clock: FakeClock;
  let uploads: string[];
  let saved: BlobRef[];
  let warnings: (string | null)[];
  let upload: (file: string) => Promise<void>;
  let saver: CheckpointSaver | null;
  let looks = 0;

  beforeEach(() => {
    directory = temporaryDirectory();
    work = join(directory.path, "work");
    mkdirSync(work);
    clock = new FakeClock();
    uploads = [];
    saved = [];
    warnings = [];
    upload = () => Promise.resolve();
    saver = null;
  });
  afterEach(async () => {
    await saver?.stop();
    await directory.remove();
  });

  const put = (name: string, text: string): void => {
    mkdirSync(join(work, name, ".."), { recursive: true });
    writeFileSync(join(work, name), text);
  };

  async function begin(...names: string[]): Promise<CheckpointSaver> {
    saver = await createCheckpointSaver({
      work,
      names: checkpointNames(names),
      intervalMs: INTERVAL_MS,
      clock,
      spool: join(directory.path, "spool"),
      usePolling: false,
      packs: new Permits(1),
      upload: async (file) => {
        await upload(file);
        const kept = join(directory.path, `upload-${uploads.length}.tgz`);
        writeFileSync(kept, readFileSync(file));
        uploads.push(kept);
      },
      onSaved: (blob) => saved.push(blob),
      onWarning: (text) => warnings.push(text),
    });
    return saver;
  }

  /** Files of an upload, by name. */
  async function contents(number: number): Promise<Record<string, string>> {
    looks += 1;
    const target = join(directory.path, `looked-at-${looks}`);
    const bounds = { filesMax: 100, bytesMax: 1e8, depthMax: 32 };
    const entries = await extractArchive(uploads[number]!, target, bounds);
    const files = entries.filter(({ type }) => type === "file").map(({ path }) => path);
    return Object.fromEntries(
      files.map((path) => [path.replace(/^\.\//, ""), readFileSync(join(target, path), "utf8")]),
    );
  }

  async function interval(expected: number): Promise<void> {
    clock.advance(INTERVAL_MS);
    await waitUntil(`upload ${expected}`, () => saved.length === expected);
  }

  it("are saved at each interval in which something has changed, with what the names say and nothing else", async () => {
    put("train.py", "print()");
    put("old.pt", "came with the task");
    await begin("*.pt", "runs");
    put("model.pt", "1");
    put("runs/a/b.json", "{}");
    mkdirSync(join(work, "runs", "empty"));
    put("notes.txt", "x");
    await interval(1);
    assert.deepEqual(await contents(0), {
      "model.pt": "1",
      "old.pt": "came with the task",
      "runs/a/b.json": "{}",
    });
    clock.advance(5 * INTERVAL_MS);
    put("model.pt", "22");
    await waitUntil("the change is seen", () => {
      clock.advance(INTERVAL_MS);
      return saved.length === 2;
    });
    assert.equal((await contents(1))["model.pt"], "22");
    assert.equal(uploads.length, 2);
    await waitUntil("its copy is removed", () => !existsSync(join(directory.path, "spool")));
  });

  it("are not saved when nothing has changed since the evaluation began, or but for the times", async () => {
    put("model.pt", "restored");
    const one = await begin("model.pt");
    await one.finish();
    assert.equal(uploads.length, 0);
    put("model.pt", "new");
    await one.finish();
    put("model.pt", "new");
    await one.finish();
    assert.equal(uploads.length, 1, "the same bytes again are no progress");
  });

  it("are saved once more at an eviction, also when the last save has not ended", async () => {
    let release = (): void => undefined;
    upload = () => new Promise((resolve) => (release = resolve));
    const one = await begin("model.pt");
    put("model.pt", "1");
    clock.advance(INTERVAL_MS);
    await waitUntil("an upload has begun", () => existsSync(join(directory.path, "spool")));
    put("model.pt", "2");
    await waitUntil("it can be released", () => {
      release();
      return uploads.length === 1;
    });
    upload = () => Promise.resolve();
    await one.finish();
    assert.equal((await contents(uploads.length - 1))["model.pt"], "2");
  });

  it("hold no links and no special files; the user is told", async () => {
    writeFileSync(join(directory.path, "secret"), "of the pilot");
    const one = await begin("state");
    put("state/model.pt", "1");
    symlinkSync("model.pt", join(work, "state", "latest"));
    symlinkSync(directory.path, join(work, "state", "up"));
    execFileSync("mkfifo", [join(work, "state", "pipe")]);
    await one.finish();
    assert.deepEqual(await contents(0), { "state/model.pt": "1" });
    assert.match(warnings[0] ?? "", /links and special files are not saved.*state\//);
    rmSync(join(work, "state"), { recursive: true });
    symlinkSync(directory.path, join(work, "state"));
    await one.finish();
    assert.equal(uploads.length, 1, "a link in place of the directory leads nowhere");
  });

  it("that are too large are not saved, with the largest files named; the next that fits is", async () => {
    const one = await begin("state");
    put("state/small.json", "{}");
    put("state/model.pt", "");
    truncateSync(join(work, "state", "model.pt"), TASK.checkpointBytesMax);
    await one.finish();
    assert.match(
      warnings[0] ?? "",
      /the one before stays.*100000001 bytes.*state\/model\.pt 99999999 bytes, state\/small\.json 2 bytes/,
    );
    assert.equal(one.warning, warnings[0]);
    assert.equal(uploads.length, 0);
    rmSync(join(work, "state", "small.json"));
    await one.finish();
    assert.deepEqual([uploads.length, one.warning], [1, null]);
  });

  it("of too many files, or too deep, are not saved", async () => {
    const one = await begin("state");
    for (let n = 0; n <= PILOT.checkpointEntriesMax; n += 1) put(`state/${n}`, "");
    await one.finish();
    assert.match(warnings[0] ?? "", /more than 10000 files and directories/);
    rmSync(join(work, "state"), { recursive: true });
    put(`state/${"d/".repeat(PILOT.checkpointDepthMax)}f`, "x");
    await one.finish();
    assert.match(warnings.at(-1) ?? "", /deeper than 32/);
    assert.equal(uploads.length, 0);
  });

  it("of files that change all the time are complete or absent", async () => {
    await begin("a.json", "b.json");
    let number = 0;
    const write = (): void => {
      number += 1;
      for (const name of ["a.json", "b.json"]) {
        writeFileSync(join(work, `${name}.new`), String(number));
        renameSync(join(work, `${name}.new`), join(work, name));
      }
    };
    const writing = new AbortController();
    const writer = (async () => {
      while (!writing.signal.aborted) {
        write();
        await new Promise(setImmediate);
      }
    })();
    for (let turn = 0; turn < 30; turn += 1) {
      clock.advance(INTERVAL_MS);
      const writtenBefore = number;
      await waitUntil("it has been written often", () => number > writtenBefore + 20);
    }
    writing.abort();
    await writer;
    await saver?.finish();
    for (let index = 0; index < uploads.length; index += 1) {
      const found = await contents(index);
      assert.equal(found["a.json"], found["b.json"], JSON.stringify(found));
    }
    assert.equal((await contents(uploads.length - 1))["a.json"], String(number));
  });

  it("that cannot be uploaded are tried again at the next interval", async () => {
    upload = () => Promise.reject(new Error("the server's disk is full"));
    const one = await begin("model.pt");
    put("model.pt", "1");
    clock.advance(INTERVAL_MS);
    await waitUntil("it is told", () => one.warning !== null);
    assert.match(one.warning ?? "", /could not be saved: the server's disk is full/);
    upload = () => Promise.resolve();
    await waitUntil("it is saved", () => {
      clock.advance(INTERVAL_MS);
      return uploads.length === 1;
    });
    await waitUntil("all is well", () => one.warning === null);
  });
});

describe("copies of a changing directory", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => (directory = temporaryDirectory()));
  afterEach(() => directory.remove());

  it("are given up when a file is not as it was surveyed", async () => {
    const work = join(directory.path, "work");
    mkdirSync(join(work, "d"), { recursive: true });
    writeFileSync(join(work, "d", "a"), "1");
    const seen = await survey(work, checkpointNames(["d"]), BOUNDS);
    appendFileSync(join(work, "d", "a"), "2");
    assert.equal(await copySurveyed(work, seen, join(directory.path, "one")), false);
    const again = await survey(work, checkpointNames(["d"]), BOUNDS);
    assert.notEqual(again.signature, seen.signature);
    rmSync(join(work, "d"), { recursive: true });
    symlinkSync("/etc", join(work, "d"));
    assert.equal(await copySurveyed(work, again, join(directory.path, "two")), false);
  });
});

describe("watching for changes", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => (directory = temporaryDirectory()));
  afterEach(() => directory.remove());

  for (const usePolling of [false, true])
    it(`tells changes of what is selected, not of the rest (${usePolling ? "polling" : "told by the kernel"})`, async () => {
      const names = checkpointNames(["state/*.pt"]);
      const watch = watchForChanges(directory.path, names, usePolling);
      const control = watchForChanges(directory.path, EVERYTHING, usePolling);
      try {
        assert.equal(watch.takeChanged(), true, "before it stands, anything may have happened");
        assert.equal(watch.takeChanged(), true, "also when it was asked before");
        await waitUntil("the watches stand", () => !watch.takeChanged() && !control.takeChanged());
        writeFileSync(join(directory.path, "other"), "1");
        await waitUntil("the rest is told to others", () => control.takeChanged());
        assert.equal(watch.takeChanged(), false);
        mkdirSync(join(directory.path, "state"));
        writeFileSync(join(directory.path, "state", "a.pt"), "1");
        await waitUntil("the change is told", () => watch.takeChanged());
      } finally {
        await watch.close();
        await control.close();
      }
    });

  it("polls on shared file systems only", () => {
    assert.equal(needsPolling(directory.path), false);
  });
});
