import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { openSubmissions, type Submissions } from "../../harvester/submissions.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { BootFile } from "../../protocol/harvester-messages.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const queue = QueueConfig.parse({ name: "q" });

describe("submissions on disk", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  const open = (): Submissions => openSubmissions(join(directory.path, "submissions"), "ab:cd");
  const prepare = (submissions: Submissions, submissionId: string): string =>
    submissions.prepare({ server: "https://hp.example", secret: "s3cret", queue, submissionId });
  const mode = (path: string): number => statSync(path).mode & 0o777;

  it("writes a boot file that only its owner reads", () => {
    const bootFile = prepare(open(), "sub-1");
    const boot = BootFile.parse(JSON.parse(readFileSync(bootFile, "utf8")));
    assert.deepEqual([boot.secret, boot.caFingerprint, boot.queue.name], ["s3cret", "ab:cd", "q"]);
    assert.equal(mode(bootFile), 0o600);
    assert.equal(mode(dirname(bootFile)), 0o700);
  });

  it("knows its submissions when it is opened again", () => {
    const first = open();
    for (const id of ["sub-1", "sub-2", "sub-3"]) prepare(first, id);
    first.noteBatchId("sub-2", "4711");
    first.end("sub-3");
    assert.deepEqual(
      [...open().active()].sort((a, b) => a.submissionId.localeCompare(b.submissionId)),
      [
        { submissionId: "sub-1", queue: "q", batch: { kind: "local" }, batchId: null },
        { submissionId: "sub-2", queue: "q", batch: { kind: "local" }, batchId: "4711" },
      ],
    );
  });

  it("removes the secret of a submission that has ended, and keeps what its pilot said", () => {
    const submissions = open();
    const bootFile = prepare(submissions, "sub-1");
    writeFileSync(join(dirname(bootFile), "pilot.log"), "bye\n");
    submissions.end("sub-1");
    assert.equal(existsSync(bootFile), false);
    assert.deepEqual(readdirSync(dirname(bootFile)), ["pilot.log"]);
  });

  it("keeps the last 20 ended ones only, also over restarts", () => {
    let submissions = open();
    prepare(submissions, "alive");
    for (let count = 0; count < 50; count += 1) {
      if (count % 15 === 0) submissions = open();
      prepare(submissions, `sub-${count}`);
      submissions.end(`sub-${count}`);
    }
    const kept = readdirSync(join(directory.path, "submissions"));
    assert.equal(kept.length, 21);
    assert.ok(kept.includes("alive") && kept.includes("sub-49"));
  });

  it("refuses to start with a note that it cannot read, for its pilot may live", () => {
    prepare(open(), "sub-1");
    writeFileSync(join(directory.path, "submissions", "sub-1", "submission.json"), '{"subm');
    assert.throws(open, (error) => error instanceof HyperpilotError && error.code === "E_FILE");
  });
});
