import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { lockFile } from "../../common/file-lock.ts";
import { requireTool } from "../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const lockModule = new URL("../../common/file-lock.ts", import.meta.url).href;

describe("Locks between processes", () => {
  let directory: TemporaryDirectory;
  let path: string;

  before(function () {
    requireTool(this, "flock");
  });
  beforeEach(() => {
    directory = temporaryDirectory();
    path = join(directory.path, "it's a lock");
  });
  afterEach(async () => {
    await directory.remove();
  });

  const tryLock = (mode: "shared" | "exclusive") => lockFile(path, { mode });

  it("are shared by many, or held by one alone", async () => {
    const [first, second] = [await tryLock("shared"), await tryLock("shared")];
    assert.ok(first !== null && second !== null);
    assert.equal(await tryLock("exclusive"), null);
    first.release();
    second.release();
    const alone = await waitUntil("both are let go", () => tryLock("exclusive"));
    assert.equal(await tryLock("shared"), null);
    alone.release();
  });

  it("are waited for, until somebody ends the waiting", async () => {
    const held = await tryLock("exclusive");
    const stop = new AbortController();
    const given = lockFile(path, { mode: "exclusive", waitUntil: stop.signal });
    stop.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    const waiting = lockFile(path, { mode: "exclusive", waitUntil: new AbortController().signal });
    held!.release();
    (await waiting)!.release();
  });

  it("are let go when their holder is killed", async () => {
    const program = `
      const { lockFile } = await import(${JSON.stringify(lockModule)});
      await lockFile(process.argv[1], { mode: "exclusive" });
      process.stdout.write("held");
      setInterval(() => undefined, 1000);
    `;
    const flags = ["--import", "tsx", "--input-type=module", "-e", program];
    const holder = spawn(process.execPath, [...flags, path], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    try {
      await once(holder.stdout, "data");
      assert.equal(await tryLock("shared"), null);
      holder.kill("SIGKILL");
      (await waitUntil("the lock is free", () => tryLock("exclusive"))).release();
    } finally {
      holder.kill("SIGKILL");
    }
  });

  it("say what is wrong with a file that cannot be locked", async () => {
    const missing = join(directory.path, "no", "directory");
    await assert.rejects(lockFile(missing, { mode: "shared" }), {
      code: "E_RUNTIME",
      why: /No such file or directory/,
    });
  });
});
