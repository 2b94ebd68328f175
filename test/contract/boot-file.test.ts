import assert from "node:assert/strict";
import { chmodSync, mkdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeScratch, readBootFile } from "../../pilot/config.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";

const BOOT = {
  server: "http://127.0.0.1:8080",
  secret: "canary-secret",
  queue: { name: "local" },
  submissionId: "submission-1",
};

describe("the boot file of a pilot", () => {
  let directory: TemporaryDirectory;
  let path: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    path = join(directory.path, "boot.json");
  });

  afterEach(() => directory.remove());

  function write(content: unknown, mode = 0o600): void {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    writeFileSync(path, text);
    chmodSync(path, mode);
  }

  /** The file is refused for this reason, and nothing of its secret is told. */
  function assertRefused(why: RegExp): void {
    assert.throws(
      () => readBootFile(path),
      (error) => {
        assert.ok(error instanceof HyperpilotError);
        assert.equal(error.code, "E_CONFIG");
        assert.match(error.why ?? "", why);
        assert.doesNotMatch(JSON.stringify(error.parts), /canary/);
        return true;
      },
    );
  }

  it("is read with the queue's defaults filled in", () => {
    write(BOOT);
    const boot = readBootFile(path);
    assert.equal(boot.secret, "canary-secret");
    assert.equal(boot.queue.runtime, "auto");
    assert.equal(boot.caFingerprint, null);
  });

  for (const mode of [0o640, 0o604, 0o660])
    it(`is refused with mode ${mode.toString(8)}, as others can read it`, () => {
      write(BOOT, mode);
      assertRefused(/Others than its owner/);
    });

  it("is refused when it is missing or a link", () => {
    assertRefused(/ENOENT/);
    symlinkSync("/dev/zero", path);
    assertRefused(/not a regular file/);
  });

  it("is refused without quoting it when it is not JSON or lacks parts", () => {
    write('{"secret": canary-secret}');
    assertRefused(/not JSON/);
    write({ ...BOOT, submissionId: undefined });
    assertRefused(/submissionId/);
  });

  it("is refused when the secret would travel unencrypted to another machine", () => {
    write({ ...BOOT, server: "http://server.example.org" });
    assertRefused(/neither https/);
    write({ ...BOOT, server: "https://server.example.org" });
    readBootFile(path);
    for (const server of ["http://localhost:1", "http://[::1]:1"]) {
      write({ ...BOOT, server });
      readBootFile(path);
    }
  });
});

describe("the scratch directory of a pilot", () => {
  let directory: TemporaryDirectory;

  beforeEach(() => {
    directory = temporaryDirectory();
  });

  afterEach(() => directory.remove());

  it("is fresh and private, where the environment says", () => {
    const parent = join(directory.path, "scratch");
    mkdirSync(parent);
    const made = makeScratch({ HYPERPILOT_SCRATCH: parent, TMPDIR: "/nowhere" });
    assert.equal(dirname(made), parent);
    assert.equal(statSync(made).mode & 0o777, 0o700);
    assert.notEqual(makeScratch({ TMPDIR: parent }), made);
  });

  it("is refused with the remedy where nothing can be written", () => {
    assert.throws(() => makeScratch({ HYPERPILOT_SCRATCH: join(directory.path, "none") }), {
      code: "E_CONFIG",
    });
  });
});
