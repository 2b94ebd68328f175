import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { HyperpilotEvent } from "../../server/events.ts";
import { drawSecrets } from "../../scripts/bench/pilot-swarm.ts";
import { Deployment } from "../support/deployment.ts";
import { leaseName, StubbornPilot, type Ledger } from "../support/stubborn-pilots.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const PILOTS = 20;
const POINTS = 1_000;
const KILLS = 30;
const QUEUE = "swarm";

describe("a server under load", function () {
  this.timeout(240_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let pilots: StubbornPilot[] = [];

  beforeEach(() => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path, serverArguments: [] });
  });
  afterEach(async () => {
    for (const pilot of pilots) pilot.stop();
    pilots = [];
    await deployment.stop();
    await directory.remove();
  });

  async function startPilots(ledger: Ledger): Promise<void> {
    const limits = { maxPilots: PILOTS, maxQueued: PILOTS };
    await deployment.request("PUT", `/queues/${QUEUE}`, { name: QUEUE, limits, runtime: "none" });
    const secrets = await drawSecrets({
      server: deployment.address,
      harvesterToken: readFileSync(join(deployment.data, "harvester-token"), "utf8").trim(),
      queue: QUEUE,
      pilots: PILOTS,
    });
    const { address } = deployment;
    const thinkMs = (): number => 100 + Math.random() * 300;
    pilots = secrets.map(
      (secret) => new StubbornPilot({ server: () => address, secret, ledger, thinkMs }),
    );
    for (const pilot of pilots) void pilot.run();
  }

  it(`survives ${KILLS} times kill -9 with ${PILOTS} pilots and ${POINTS} points: nothing acknowledged is lost, doubled or from a stale lease`, async () => {
    const ledger: Ledger = { sent: new Map(), accepted: new Set(), stale: new Set() };
    await deployment.startServer();
    await startPilots(ledger);
    const tasks = [await submit()];
    for (let kill = 0; kill < KILLS; kill += 1) {
      // From the middle of the start's reconnections to full load.
      await delay(50 + Math.random() * 400);
      await deployment.killServer();
      await deployment.startServer();
      // The load never ends before the kills do.
      const last = await deployment.task(tasks.at(-1) ?? 0);
      if (last.points.done > POINTS * 0.9) tasks.push(await submit());
    }
    for (const taskId of tasks) await deployment.untilEnded(taskId, 120_000);
    await waitUntil("late results are answered", () => ledger.stale.size > 0);
    for (const pilot of pilots) pilot.stop();
    const events = await deployment.journalAfterStop();
    const { lost, doubled, fromStale, done } = judge(events, ledger);
    console.log(
      `        ${KILLS} kills, ${ledger.accepted.size} results acknowledged, ${ledger.stale.size} stale: lost ${lost.length}, doubled ${doubled.length}, from stale leases ${fromStale.length}`,
    );
    assert.deepEqual({ lost, doubled, fromStale }, { lost: [], doubled: [], fromStale: [] });
    assert.equal(done, POINTS * tasks.length);
    assert.ok(ledger.accepted.size >= POINTS);
  });

  function submit(): Promise<number> {
    return deployment.submit(
      { queues: [QUEUE] },
      { maxPoints: POINTS, nParallelEvaluation: PILOTS },
    );
  }
});

/** Compares what the journal holds with what pilots sent and were answered. */
function judge(events: readonly HyperpilotEvent[], ledger: Ledger) {
  const recorded = new Map<string, number>();
  const finals = new Map<string, number>();
  const doubled: string[] = [];
  const fromStale: string[] = [];
  for (const event of events) {
    if (event.type === "pointFinal" && event.loss !== null) {
      const point = `${event.taskId}/${event.pointId}`;
      if (finals.has(point)) doubled.push(point);
      finals.set(point, event.loss);
    }
    if (event.type !== "attemptEnded" || event.outcome.type !== "loss") continue;
    const item = { type: "evaluation", taskId: event.taskId, pointId: event.pointId } as const;
    const lease = leaseName({ item, epoch: event.epoch });
    if (recorded.has(lease)) doubled.push(lease);
    recorded.set(lease, event.outcome.loss);
    const isItsOwn = ledger.sent.get(lease) === event.outcome.loss;
    if (!isItsOwn || ledger.stale.has(lease)) fromStale.push(lease);
  }
  const lost = [...ledger.accepted].filter((lease) => {
    const loss = ledger.sent.get(lease);
    return recorded.get(lease) !== loss || finals.get(lease.split("@")[0] ?? "") !== loss;
  });
  return { lost, doubled, fromStale, done: finals.size };
}
