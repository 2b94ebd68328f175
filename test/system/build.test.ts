import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { Worker } from "node:worker_threads";
import type { FromWorker, ToWorker, WorkerJob } from "../../server/journal/snapshot-thread.ts";
import { encodeRecord, NO_HASH } from "../../server/journal/record.ts";
import { newestSnapshot } from "../../server/journal/snapshots.ts";
import { systemDisk } from "../../server/system-disk.ts";
import { busyWorld } from "../support/busy-world.ts";
import { PROGRAM } from "../support/deployment.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";

const DIST = dirname(dirname(PROGRAM));

describe("the build", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(() => directory.remove());

  it("has what programs start, where they look for it", () => {
    for (const entry of [
      "client/main.js",
      "server/samplers/worker.js",
      "server/journal/snapshot-worker.js",
    ])
      assert.ok(statSync(join(DIST, entry)).isFile());
    assert.ok((statSync(PROGRAM).mode & 0o111) === 0o111);
    const looking = readdirSync(DIST, { recursive: true, encoding: "utf8" }).filter(
      (file) =>
        file.endsWith(".js") &&
        readFileSync(join(DIST, file), "utf8").includes("// common/program-files.ts\n"),
    );
    assert.ok(looking.length > 0);
    for (const file of looking) assert.match(file, /^[^/]+\/[^/]+$/, "one folder deep");
  });

  /** What a line of code says after `words` were given to a bundle; it may use `script`, which was started. */
  function after(program: "main" | "phpo", use: string, words: string[], code: string): string {
    const starter = join(DIST, "common/start-bundle.js");
    const text = readFileSync(join(DIST, `client/${program}.js`), "utf8");
    const bundle = join(DIST, "client", /"\.\/(.*)"\), /.exec(text)?.[1] ?? "");
    const lines = `const { startBundle } = require(${JSON.stringify(starter)});
      process.argv = [process.execPath, "it", ...${JSON.stringify(words)}];
      const script = startBundle(${JSON.stringify(bundle)}, "${use}");
      process.on("exit", () => console.log(${code}));`;
    return spawnSync(process.execPath, ["--eval", lines], { encoding: "utf8" }).stdout;
  }

  it("has compiled code that fits, for each program", () => {
    for (const [program, use] of [
      ["main", "commands"],
      ["main", "server"],
      ["main", "harvester"],
      ["main", "pilot"],
      ["phpo", "phpo"],
    ] as const) {
      const output = after(program, use, ["--version"], "script.cachedDataRejected");
      assert.match(output, /^false$/m, `${program}, ${use}`);
    }
  });

  it("loads the parts of a program when it is started, not for the help", () => {
    const isStoreLoaded =
      '"store: " + Object.keys(require.cache).some((file) => file.includes("/classic-level/"))';
    const data = join(directory.path, "none", "data");
    writeFileSync(join(directory.path, "none"), "no directory");
    assert.match(after("main", "commands", ["--help"], isStoreLoaded), /^store: false$/m);
    const started = after("main", "server", ["server", "--data", data], isStoreLoaded);
    assert.match(started, /^store: true$/m);
  });

  it("makes snapshots in a thread", async () => {
    const job: WorkerJob = { type: "snapshot", directory: directory.path };
    const thread = new Worker(join(DIST, "server/journal/snapshot-worker.js"), { workerData: job });
    const next = async (): Promise<FromWorker> =>
      ((await once(thread, "message")) as [FromWorker])[0];
    assert.deepEqual(await next(), { type: "ready", fromSeq: 1 });
    const { events } = busyWorld();
    const { key, value } = encodeRecord({ firstSeq: 1, events }, NO_HASH);
    thread.postMessage({ type: "records", records: [[key, value]] } satisfies ToWorker);
    assert.equal((await next()).type, "more");
    thread.postMessage({ type: "end" } satisfies ToWorker);
    assert.equal((await next()).type, "done");
    await thread.terminate();
    const { snapshot } = await newestSnapshot(systemDisk, directory.path);
    assert.equal(snapshot?.core.seq, events.length);
  });
});
