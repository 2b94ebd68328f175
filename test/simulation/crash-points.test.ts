import assert from "node:assert/strict";
import type { NewFile } from "../../server/disk.ts";
import { contentHashOf, newestSnapshot } from "../../server/journal/snapshots.ts";
import { contradictions } from "../../server/journal/state-check.ts";
import { CrashScript, runScript } from "./crash-script.ts";
import { FAULTS, SimulatedDisk, type Fault } from "./disk.ts";

/** Runs the script with one operation of the disk failing; checks what is left at the end. */
async function runWith(
  fault: Fault | null,
  at: number,
): Promise<{ readonly script: CrashScript; readonly operations: number }> {
  const disk = new SimulatedDisk();
  if (fault !== null) disk.failAt(at, fault);
  const script = new CrashScript(disk);
  await runScript(script);
  const { operations } = disk;
  disk.powerOn();
  await checkEnd(script);
  return { script, operations };
}

async function checkEnd(script: CrashScript): Promise<void> {
  await script.check();
  const { server, disk } = script;
  const { whole, types } = await server.eventsOnDisk();
  assert.deepEqual(contradictions(whole), []);
  assert.deepEqual(
    types.filter((line, index) => types.indexOf(line) !== index),
    [],
    "nothing is recorded twice",
  );
  const state = contentHashOf({ core: whole, hash: "" });
  assert.equal(contentHashOf({ core: server.core, hash: "" }), state, "memory and journal agree");
  const { snapshot } = await newestSnapshot(disk, "/data/journal/snapshots");
  assert.ok(snapshot !== null);
}

/** Disks that promise what they do not do: what a server would be that left a sync out. */
class UnsyncedFiles extends SimulatedDisk {
  override async create(path: string): Promise<NewFile> {
    return { ...(await super.create(path)), sync: () => Promise.resolve() };
  }
}

class UnsyncedNames extends SimulatedDisk {
  override syncDirectory(): Promise<void> {
    return Promise.resolve();
  }
}

describe("crash points: every operation of the disk fails once in every way", function () {
  this.timeout(600_000);
  let operations = 0;

  it("are not there when nothing fails", async () => {
    const run = await runWith(null, 0);
    const { script } = run;
    ({ operations } = run);
    assert.equal(script.crashes, 0);
    assert.ok(script.acknowledged >= 60, `${script.acknowledged} operations`);
    assert.ok(operations > 150, `${operations} operations of the disk`);
    console.log(`        ${script.acknowledged} operations, ${operations} operations of the disk`);
  });

  it("lose nothing when the recovery fails as well, ten times in a row", async () => {
    for (let at = 5; at <= operations; at += 25) {
      for (const fault of FAULTS) {
        const disk = new SimulatedDisk();
        disk.failAt(at, "unsyncedLost");
        const script = new CrashScript(disk);
        for (let start = 10; start >= 1; start -= 1)
          script.recoveryFaults.push({ at: start, fault });
        await runScript(script);
        disk.powerOn();
        await checkEnd(script);
        assert.ok(script.crashes >= 8, `${script.crashes} crashes`);
      }
    }
  });

  for (const [what, fault, disk] of [
    ["files that are not synced", "bytesLost", () => new UnsyncedFiles()],
    ["names that are not synced", "namesLost", () => new UnsyncedNames()],
  ] as const) {
    it(`find ${what}`, async () => {
      const found: string[] = [];
      for (let at = 1; at <= operations; at += 1) {
        const script = new CrashScript(disk());
        script.disk.failAt(at, fault);
        await runScript(script).catch((error: unknown) => found.push(String(error)));
      }
      assert.ok(found.length > 10, `${found.length} of ${operations} found`);
    });
  }

  for (const fault of FAULTS) {
    it(`lose nothing that was acknowledged and record nothing twice: ${fault}`, async () => {
      let crashes = 0;
      for (let at = 1; at <= operations; at += 1) {
        try {
          crashes += (await runWith(fault, at)).script.crashes;
        } catch (error) {
          const what = error instanceof Error ? (error.stack ?? error.message) : String(error);
          throw new Error(`${fault} at operation ${at}: ${what}`);
        }
      }
      const goesOn = fault === "ENOSPC" || fault === "EIO";
      assert.ok(goesOn ? crashes > 50 : crashes >= operations, `${crashes} crashes`);
    });
  }
});
