/** How many pilots are submitted, counted by the batch system itself, and how they leave. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { join } from "node:path";
import { CauseRig, endChild } from "../support/cause-rig.ts";
import { LOSS_IS_X } from "../support/deployment.ts";
import { fakeBatch } from "../support/fake-batch.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const POINTS = 50;
const SUBMISSIONS = 200;
const MAX_QUEUED = 20;

/** A job that comes to the server as a pilot does, takes nothing and ends: many of them are cheap. */
const COMES_AND_GOES = [
  `of() { sed -n "s/.*\\"$1\\":\\"\\([^\\"]*\\)\\".*/\\1/p" boot.json; }`,
  `curl -ksSf --retry 5 --retry-connrefused -H "authorization: Bearer $(of secret)" -H "content-type: application/json" -d "{\\"instance\\":\\"instance-$$\\"}" "$(of server)/api/hyperpilot/v1/pilot-sessions" >/dev/null || exit 1`,
  "sleep 1; exit 0",
];

describe("submissions", function () {
  this.timeout(300_000);
  const directory = temporaryDirectory("/srv");
  let rig: CauseRig;

  before(async () => {
    chmodSync(directory.path, 0o755);
    rig = await CauseRig.start(directory.path, []);
  });

  after(async () => {
    await rig.stop();
    await directory.remove();
  });

  it(`${SUBMISSIONS} for ${POINTS} ready points: never more that wait than maxQueued, never more in all than points, also through a kill -9 of the harvester`, async () => {
    const fake = fakeBatch("slurm", join(directory.path, "slurm"));
    fake.setPlaces(40);
    await rig.addQueue({
      name: "many",
      site: "many",
      batch: { kind: "slurm", commandDirectory: fake.commands, pollSeconds: 1 },
      slot: { cpus: 1 },
      limits: { maxPilots: 200, maxQueued: MAX_QUEUED, maxPerCycle: 200, maxSlotsPerPilot: 1 },
      pilot: { preamble: COMES_AND_GOES },
    });
    const all = { maxPoints: POINTS, nPointsPerIteration: POINTS, nParallelEvaluation: 200 };
    const taskId = await rig.search("many", { limits: all });
    const options = { name: "many", site: "many" };
    const first = await rig.harvester(options);
    let why: unknown = null;
    const submitted = (count: number): Promise<unknown> =>
      waitUntil(
        `${count} jobs were submitted`,
        async () => {
          why = await rig.siteWhy("many");
          return fake.submits().length >= count;
        },
        { timeoutMs: 240_000, state: () => ({ submitted: fake.submits().length, why }) },
      );
    await submitted(SUBMISSIONS / 4);
    first.child.kill("SIGKILL");
    await endChild(first.child);
    const second = await rig.harvester(options);
    await submitted(SUBMISSIONS);
    await endChild(second.child);

    const submits = fake.submits();
    const most = (count: (one: (typeof submits)[number]) => number): number =>
      Math.max(...submits.map(count)) + 1;
    const mostWaiting = most(({ waiting }) => waiting);
    assert.ok(mostWaiting <= MAX_QUEUED, `${mostWaiting} waited`);
    assert.ok(mostWaiting > MAX_QUEUED / 2, `the limit was not reached: ${mostWaiting}`);
    const mostAlive = most(({ waiting, running }) => waiting + running);
    assert.ok(mostAlive <= POINTS, `${mostAlive} waited or ran for ${POINTS} points`);
    assert.equal(new Set(submits.map(({ name }) => name)).size, submits.length, "none twice");
    assert.equal((await rig.deployment.task(taskId)).points.ready, POINTS, "nothing took a point");
  });

  it("a pilot that finds no more work leaves by its own idle time-out, and nobody removes its job", async () => {
    const fake = fakeBatch("slurm", join(directory.path, "idle"));
    await rig.addQueue({
      name: "idle",
      site: "idle",
      batch: { kind: "slurm", commandDirectory: fake.commands, pollSeconds: 1 },
      idleSeconds: 3,
      limits: { maxPilots: 1 },
    });
    const { child } = await rig.harvester({ name: "idle", site: "idle" });
    const taskId = await rig.search("idle", {
      evaluation: { container: "host:", exec: LOSS_IS_X },
      limits: { maxPoints: 2 },
    });
    await rig.deployment.untilEnded(taskId, 120_000);
    const pilots = await rig.deployment.request<{ items: unknown[] }>("GET", "/pilots?queue=idle");
    assert.equal(pilots.items.length, 1, "it stays for a while, as more work may come");
    const events = await waitUntil(
      "its submission has ended",
      async () => {
        const { items } = await rig.deployment.request<{ items: { state: string }[] }>(
          "GET",
          "/submissions?queue=idle",
        );
        return items.every(({ state }) => state === "ended") ? { items } : null;
      },
      { timeoutMs: 60_000 },
    );
    assert.ok(events.items.length <= 1);
    assert.equal(fake.submits().length, 1, "no other one was submitted");
    assert.deepEqual(fake.removals(), []);
    await endChild(child);
  });
});
