/** A node whose scratch disk is full, and a node where nothing works, beside a good one. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { runProgram } from "../../common/child.ts";
import { findProgram } from "../../pilot/runtime/find-program.ts";
import { TASK } from "../../protocol/limits.ts";
import type { PointDetail } from "../../protocol/rest.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { judgeJournal } from "../support/judged-journal.ts";
import { requireRoot, requireTool } from "../support/requires.ts";
import { SmallSite } from "../support/small-site.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

describe("a search on a good node and a bad one", function () {
  this.timeout(90_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let sites: SmallSite[] = [];
  let mounted: string | null = null;

  before(function () {
    requireRoot(this);
    requireTool(this, "bwrap");
  });
  beforeEach(async () => {
    directory = temporaryDirectory();
    deployment = new Deployment({ directory: directory.path, serverArguments: [] });
    await deployment.startServer();
  });
  afterEach(async () => {
    for (const site of sites) await site.close();
    sites = [];
    await deployment.stop();
    if (mounted !== null) await runProgram(["umount", "-l", mounted], { timeoutMs: 10_000 });
    mounted = null;
    await directory.remove();
  });

  async function startSite(
    name: string,
    more: Partial<ConstructorParameters<typeof SmallSite>[0]>,
  ) {
    const site = new SmallSite({ deployment, name, directory: directory.path, ...more });
    sites.push(site);
    await site.start();
    await site.untilPilots();
    return site;
  }

  it("goes on elsewhere when the scratch disk of one node is full: no attempt is used, and the cause is named", async () => {
    // A little more than a pilot needs to start.
    const scratch = join(directory.path, "scratch");
    mkdirSync(scratch);
    const mount = ["mount", "-t", "tmpfs", "-o", "size=104m", "tmpfs", scratch] as const;
    assert.equal((await runProgram([...mount], { timeoutMs: 10_000 })).exitCode, 0);
    mounted = scratch;
    const exec = `dd if=/dev/zero of=big bs=1M count=110 2>/dev/null && ${LOSS_IS_X} || { sleep 0.2; exit 1; }`;
    const points = 8;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec } },
      { maxPoints: points, nParallelEvaluation: 2 },
    );
    await startSite("hpdBad", { environment: { HYPERPILOT_SCRATCH: scratch } });
    await waitUntil(
      "the disk was full",
      async () => (await deployment.task(taskId)).interruptions > 0,
      { timeoutMs: 20_000, state: () => deployment.errors.slice(-5) },
    );
    await startSite("hpdGood", {});
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", points]);
    const texts = await Promise.all(
      Array.from({ length: points }, async (_none, id) => {
        const path = `/tasks/${taskId}/points/${id}`;
        return JSON.stringify((await deployment.request<PointDetail>("GET", path)).history);
      }),
    );
    const full = /"reason":"diskFull","message":"the node's scratch directory is full/;
    assert.ok(
      texts.some((text) => full.test(text)),
      texts.join("\n"),
    );
    for (const site of sites) await site.close();
    const { attempts, interruptions } = judgeJournal(await deployment.journalAfterStop(), taskId);
    assert.equal(attempts.length, points);
    assert.ok(interruptions.every(({ infrastructure }) => infrastructure));
  });

  it("is not eaten by a black hole, a node on which every evaluation ends within a second", async () => {
    const programs = join(directory.path, "programs");
    mkdirSync(programs);
    // It passes the self-test of the runtime, and fails with every payload.
    const wrapper = `#!/bin/sh\ncase "$*" in */payload-*) exit 1 ;; esac\nexec ${findProgram("bwrap")} "$@"\n`;
    writeFileSync(join(programs, "bwrap"), wrapper, { mode: 0o755 });
    const PATH = `${programs}:${process.env["PATH"] ?? ""}`;
    const taskId = await deployment.submit(
      { evaluation: { container: "host:", exec: `sleep 0.4; ${LOSS_IS_X}` } },
      { maxPoints: 24, nParallelEvaluation: 2 },
    );
    await startSite("hpdHole", { environment: { PATH } });
    await waitUntil(
      "the hole has swallowed a point",
      async () => (await deployment.task(taskId)).interruptions > 0,
      { timeoutMs: 20_000, state: () => deployment.errors.slice(-5) },
    );
    await startSite("hpdGood", {});
    const task = await deployment.untilEnded(taskId);
    assert.deepEqual([task.state, task.points.done], ["finished", 24], JSON.stringify(task));
    for (const site of sites) await site.close();
    const { attempts, interruptions } = judgeJournal(await deployment.journalAfterStop(), taskId);
    assert.equal(attempts.length, 24);
    assert.ok(
      interruptions.length < TASK.interruptionsInRowMax,
      `${interruptions.length} points went into the hole`,
    );
  });
});
