/** One search through the loss of everything but its server, at random moments. FAULTS_SEED=n repeats a run. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { TASK } from "../../protocol/limits.ts";
import { randomStream } from "../../server/samplers/random-stream.ts";
import { makeCertificate } from "../support/certificate.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireRoot, requireTool } from "../support/requires.ts";
import { outsideAddress, signalled, SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const SEED = process.env["FAULTS_SEED"] ?? String(Math.floor(Math.random() * 1e6));
const POINTS = 36;
const ROUNDS = 3;

describe("a search that loses what it runs on", function () {
  this.timeout(180_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let sites: SmallSite[] = [];

  before(function () {
    requireRoot(this);
    for (const tool of ["bwrap", "ip", "unshare"]) requireTool(this, tool);
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    const certificate = await makeCertificate(directory.path, [outsideAddress(31)]);
    deployment = new Deployment({ directory: directory.path, serverArguments: [], certificate });
    await deployment.startServer();
  });
  afterEach(async () => {
    for (const site of sites) await site.close();
    sites = [];
    await deployment.stop();
    await directory.remove();
  });

  async function startSite(name: string, network: number): Promise<SmallSite> {
    const limits = { maxPilots: 2, maxQueued: 5, maxSlotsPerPilot: 1 };
    const options = { deployment, name, directory: directory.path, network, queue: { limits } };
    const site = new SmallSite(options);
    sites.push(site);
    await site.start();
    return site;
  }

  it(`ends finished through kill -9 of pilots, containers and whole sites at random moments (seed ${SEED}): each loss counts once, no interruption is an attempt`, async () => {
    const random = randomStream(`faults ${SEED}`);
    const site = await startSite("hpkA", 31);
    let containerKills = 0;
    const kills = { pilot: 0, container: 0, site: 0 };
    const taskId = await deployment.submit(
      {
        failFast: false,
        evaluation: {
          container: "host:",
          exec: `sleep 0.$((4 + $HYPERPILOT_SEED % 6)); ${LOSS_IS_X}`,
        },
      },
      { maxPoints: POINTS, nParallelEvaluation: 4, maxEvaluationJobs: 10 * POINTS },
    );
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const kind of ["pilot", "container", "pilot"] as const) {
        await waitUntil("something is evaluated", () => site.containerPids().length > 0, {
          timeoutMs: 40_000,
          state: () => deployment.errors.slice(-5),
        });
        await delay(random.below(400));
        const pids = kind === "pilot" ? site.pilotPids() : site.containerPids();
        const pid = pids[random.below(Math.max(1, pids.length))];
        if (pid === undefined || !signalled(pid, "SIGKILL")) continue;
        kills[kind] += 1;
        if (kind === "container") containerKills += 1;
      }
      await delay(random.below(1_500));
      const before = await deployment.task(taskId);
      await site.lose();
      kills.site += 1;
      await site.startHarvester();
      if (before.endedAt !== null) break;
      await waitUntil(
        "the search goes on after the site is back",
        async () => (await deployment.task(taskId)).points.done > before.points.done,
        { timeoutMs: 40_000, state: () => deployment.errors.slice(-5) },
      );
    }
    const task = await deployment.untilEnded(taskId, 90_000);
    // A payload that is killed alone has crashed, for all that its pilot can see: one point may have crashed three times.
    const { done, hopeless } = task.points;
    assert.deepEqual([task.state, done + hopeless], ["finished", POINTS], JSON.stringify(task));
    assert.ok(hopeless <= Math.floor(containerKills / TASK.attemptsMax), `${hopeless} hopeless`);
    await Promise.all(sites.map((site) => site.close()));
    const judged = judgeJournal(await deployment.journalAfterStop(), taskId);
    console.log(
      `        seed ${SEED}: killed ${kills.pilot} pilots, ${kills.container} containers, ${kills.site} sites; ${judged.attempts.length} attempts, ${judged.interruptions.length} interruptions, ${judged.losses.size} losses`,
    );
    assert.equal(judged.losses.size, done);
    assert.equal(judged.attempts.length, done + judged.failedAttempts.length);
    assert.ok(judged.failedAttempts.length <= containerKills, "only killed payloads used attempts");
    assert.ok(judged.interruptions.length >= 1);
  });
});
