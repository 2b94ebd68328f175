/** A site whose cable is pulled in the middle of an evaluation, for a shorter and for a longer time than its lease. */
import assert from "node:assert/strict";
import type { PilotView } from "../../protocol/rest.ts";
import { makeCertificate } from "../support/certificate.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireRoot, requireTool } from "../support/requires.ts";
import { outsideAddress, SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Long enough for the cable to be pulled meanwhile. */
const SLOW = { container: "host:", exec: `sleep 2; ${LOSS_IS_X}` };

describe("a site that is cut off", function () {
  this.timeout(90_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let sites: SmallSite[] = [];

  before(function () {
    requireRoot(this);
    for (const tool of ["bwrap", "ip", "unshare"]) requireTool(this, tool);
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    const certificate = await makeCertificate(directory.path, [32, 33].map(outsideAddress));
    deployment = new Deployment({ directory: directory.path, serverArguments: [], certificate });
    await deployment.startServer();
  });
  afterEach(async () => {
    for (const site of sites) await site.close();
    sites = [];
    await deployment.stop();
    await directory.remove();
  });

  async function startSite(name: string, network: number, leaseSeconds: number) {
    const options = { deployment, name, directory: directory.path, network };
    const site = new SmallSite({ ...options, queue: { leaseSeconds } });
    sites.push(site);
    await site.start();
    return site;
  }

  async function evaluatesOn(site: SmallSite): Promise<void> {
    await waitUntil("the site evaluates", () => site.containerPids("sleep").length > 0, {
      timeoutMs: 30_000,
      state: () => deployment.errors.slice(-5),
    });
  }

  async function evaluated(site: SmallSite): Promise<void> {
    await waitUntil("its evaluation has ended", () => site.containerPids("sleep").length === 0);
  }

  async function isConnected(site: SmallSite): Promise<boolean> {
    const { items } = await deployment.request<{ items: PilotView[] }>("GET", "/pilots");
    return items.some(({ queue, connected }) => queue === site.queue && connected);
  }

  async function closed(taskId: number) {
    for (const site of sites) await site.close();
    const events = await deployment.journalAfterStop();
    const grants = events.filter(({ type }) => type === "leaseGranted").length;
    return { ...judgeJournal(events, taskId), grants };
  }

  it("for less than its lease goes on with the same evaluations, and each loss counts once", async () => {
    const site = await startSite("hpnP", 32, 30);
    const taskId = await deployment.submit({ evaluation: SLOW }, { maxPoints: 3 });
    await evaluatesOn(site);
    await site.setLink("down");
    await evaluated(site);
    assert.equal((await deployment.task(taskId)).points.done, 0, "the cable was pulled");
    await site.setLink("up");
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 3]);
    const { attempts, interruptions, grants } = await closed(taskId);
    assert.deepEqual([grants, attempts.length, interruptions.length], [3, 3, 0]);
  });

  it("for longer, with nobody else there: the late loss counts, its interruption stays counted", async () => {
    const site = await startSite("hpnP", 32, 3);
    const taskId = await deployment.submit({ evaluation: SLOW }, { maxPoints: 1 });
    await evaluatesOn(site);
    await site.setLink("down");
    await waitUntil(
      "the lease has expired",
      async () => (await deployment.task(taskId)).interruptions === 1,
      { timeoutMs: 20_000 },
    );
    await evaluated(site);
    await site.setLink("up");
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 1]);
    const { attempts, interruptions, grants } = await closed(taskId);
    assert.deepEqual([grants, attempts.length, interruptions.length], [1, 1, 1]);
  });

  it("for longer, while another site takes its lease over: the late loss changes nothing", async () => {
    const site = await startSite("hpnP", 32, 3);
    const limits = { maxPoints: 2, nParallelEvaluation: 2 };
    const taskId = await deployment.submit({ evaluation: SLOW }, limits);
    await evaluatesOn(site);
    await site.setLink("down");
    await startSite("hpnQ", 33, 30);
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done, task.interruptions], ["finished", 2, 1]);
    await evaluated(site);
    await site.setLink("up");
    await waitUntil("its pilot is back", () => isConnected(site), { timeoutMs: 30_000 });
    // What it says next comes after the late loss: it works on, now for another search.
    await deployment.request("DELETE", "/queues/hpnQ");
    const nextId = await deployment.submit({}, { maxPoints: 1 });
    assert.equal((await deployment.untilEnded(nextId)).state, "finished");
    const { attempts, interruptions } = await closed(taskId);
    assert.deepEqual([attempts.length, interruptions.length], [2, 1]);
    const takenOver = attempts.find(({ pointId }) => pointId === interruptions[0]?.pointId);
    assert.deepEqual(takenOver?.epoch, [1, 2], "the loss is that of the second lease");
  });
});
