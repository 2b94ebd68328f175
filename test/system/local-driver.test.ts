import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock, type Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { HARVESTER } from "../../protocol/limits.ts";
import { truthOf } from "../contract/suites/batch-driver-suite.ts";
import {
  localPilots,
  STUBBORN,
  type LocalPilots,
  type LocalPilotsOptions,
} from "../support/local-pilots.ts";
import { waitUntil } from "../support/wait-until.ts";

const run = promisify(execFile);
const LOCAL_DRIVER = join(import.meta.dirname, "../../harvester/drivers/local.ts");

describe("local driver: its processes", () => {
  let pilots: LocalPilots;
  const use = (options: LocalPilotsOptions = {}): LocalPilots => (pilots = localPilots(options));
  afterEach(() => pilots.close());

  const inDirectory = (name: string): string => join(pilots.directoryOf("sub-1"), name);
  const typeOf = async (): Promise<string> => (await truthOf(pilots.driver, "sub-1")).type;
  const started = () =>
    waitUntil("the pilot has started", () =>
      readFileSync(inDirectory("pilot.log"), "utf8").includes("started"),
    );

  async function submit(): Promise<number> {
    const { batchId } = await pilots.driver.submit(pilots.request("sub-1"));
    await started();
    return Number(batchId);
  }

  it("gives a pilot a session of its own and no secret of the harvester's environment", async () => {
    use({ environment: { LANG: "C", HYPERPILOT_TOKEN: "hp_secret", AWS_SECRET_ACCESS_KEY: "x" } });
    const pid = await submit();
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    assert.equal(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[3], String(pid));
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    assert.deepEqual(environment.map((line) => line.split("=")[0]).sort(), ["LANG", "PATH"]);
  });

  it("leaves its output for the owner only, the last line as the reason of the end", async () => {
    use();
    await submit();
    assert.equal(statSync(inDirectory("pilot.log")).mode & 0o777, 0o600);
    assert.equal(statSync(inDirectory("process.json")).mode & 0o777, 0o600);
    pilots.end("sub-1");
    const detail = await waitUntil("the end", async () => {
      const truth = await truthOf(pilots.driver, "sub-1");
      return truth.type === "ended" ? truth.detail : null;
    });
    assert.equal(detail, "ended by itself");
  });

  it("asks a pilot to end before it kills it", async () => {
    use();
    await submit();
    await pilots.driver.remove("sub-1");
    assert.deepEqual(await truthOf(pilots.driver, "sub-1"), {
      type: "ended",
      detail: "told to end",
    });
  });

  it("kills a pilot that does not end, and returns when it is gone", async () => {
    const hurried: Clock = { ...systemClock, monotonicMs: () => 100 * systemClock.monotonicMs() };
    use({ script: STUBBORN, clock: hurried });
    await submit();
    await pilots.driver.remove("sub-1");
    assert.equal(await typeOf(), "ended");
  });

  it("does not take another process with the same id for its pilot, and does not touch it", async () => {
    use();
    const pid = await submit();
    const note = readFileSync(inDirectory("process.json"), "utf8");
    writeFileSync(inDirectory("process.json"), JSON.stringify({ pid, startTicks: "1" }));
    assert.equal(await typeOf(), "ended");
    await pilots.driver.remove("sub-1");
    writeFileSync(inDirectory("process.json"), note);
    assert.equal(await typeOf(), "active");
  });

  it("finds a pilot that was started but not noted before the harvester was killed", async () => {
    use();
    const pid = await submit();
    rmSync(inDirectory("process.json"));
    const truth = await truthOf(pilots.restarted(), "sub-1");
    assert.deepEqual(truth, { type: "active", phase: "running", detail: `process ${pid}` });
  });

  it("says unknown, not ended, when its note cannot be read", async () => {
    use();
    await submit();
    const note = readFileSync(inDirectory("process.json"));
    writeFileSync(inDirectory("process.json"), "{");
    assert.equal(await typeOf(), "unknown");
    writeFileSync(inDirectory("process.json"), note);
  });

  it("keeps the end of a log that has grown too long", async () => {
    use();
    await submit();
    writeFileSync(inDirectory("pilot.log"), `${"x".repeat(HARVESTER.pilotLogBytesMax)}\nlast\n`);
    assert.equal(await typeOf(), "active");
    const kept = readFileSync(inDirectory("pilot.log"), "utf8");
    assert.equal(kept.length, HARVESTER.pilotLogKeptBytes);
    pilots.end("sub-1");
    await waitUntil("the end", async () => (await typeOf()) === "ended");
    assert.match(readFileSync(inDirectory("pilot.log"), "utf8"), /last\nended by itself\n$/);
  });

  it("says what is wrong when pilots cannot be started, and that none was", async () => {
    use();
    rmSync(join(pilots.directory, "pilot.sh"));
    const request = pilots.request("sub-1");
    rmSync(request.directory, { recursive: true });
    await assert.rejects(
      pilots.driver.submit(request),
      (error) => error instanceof HyperpilotError && /ENOENT/.test(error.why ?? ""),
    );
    assert.equal(await typeOf(), "ended");
    pilots.request("sub-1");
  });

  it("lets pilots live on when the harvester that started them ends", async () => {
    use();
    const request = JSON.stringify(pilots.request("sub-1"));
    const script = `
      const { createLocalDriver } = await import(${JSON.stringify(LOCAL_DRIVER)});
      const request = ${request};
      const driver = createLocalDriver({
        pilotCommand: ${JSON.stringify(pilots.pilotCommand)},
        directoryOf: () => request.directory,
        clock: { monotonicMs: () => 0 },
        environment: process.env,
      });
      await driver.submit(request);
    `;
    await run(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
    await started();
    assert.equal(await typeOf(), "active");
  });
});
