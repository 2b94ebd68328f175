/** The packed pilot on a node with nothing: a small Debian without Node.js and npm, whose network ends at the server. */
import assert from "node:assert/strict";
import { chmodSync, statSync } from "node:fs";
import { join } from "node:path";
import { CauseRig } from "../support/cause-rig.ts";
import { LOSS_IS_X } from "../support/deployment.ts";
import { fakeBatch } from "../support/fake-batch.ts";
import { PILOT_ARCHIVE, unpackPilot } from "../support/packed-pilot.ts";
import { requireImages, testbed } from "../support/testbed.ts";
import { requireSites, Site } from "../support/site.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** docs/operations.md says about 33 MB. */
const ARCHIVE_BYTES_MAX = 40e6;

describe("a bare node", function () {
  this.timeout(180_000);
  const directory = temporaryDirectory("/srv");
  const shared = join(directory.path, "shared");
  const node = new Site({
    name: "bare",
    index: 114,
    batchSystem: null,
    root: testbed.debianDirectory,
    directory: join(directory.path, "site"),
    shared: [shared],
  });
  let rig: CauseRig | null = null;

  before(async function () {
    requireSites(this);
    requireImages(this);
    chmodSync(directory.path, 0o755);
    const unpacked = join(shared, "pilot");
    unpackPilot(unpacked);
    await node.start();
    rig = await CauseRig.start(shared, [node.outsideAddress]);
    const options = { name: "bare", site: "bare", pilotPackage: unpacked };
    await rig.harvester(options, node.outsideAddress);
  });
  after(async () => {
    await rig?.stop();
    await node.close();
    await directory.remove();
  });

  it("has neither Node.js nor npm, nor a way to anywhere but its server", async () => {
    for (const name of ["node", "nodejs", "npm"])
      assert.notEqual((await node.run(["sh", "-c", `command -v ${name}`])).exitCode, 0, name);
    const routes = (await node.run(["cat", "/proc/net/route"])).stdout.trim().split("\n").slice(1);
    assert.equal(routes.length, 1, routes.join());
    assert.doesNotMatch(routes[0]!, /^\S+\s+00000000/, "no way out by default");
  });

  it("runs the packed pilot, which brings losses", async () => {
    assert.ok(statSync(PILOT_ARCHIVE).size < ARCHIVE_BYTES_MAX);
    // The job starts again inside.
    const inside = node
      .words(["/bin/sh"])
      .map((word) => `'${word}'`)
      .join(" ");
    const preamble = [`[ "$(uname -n)" = bare ] || exec ${inside} "$0"`];
    const { commands } = fakeBatch("slurm", join(shared, "slurm"));
    await rig!.addQueue({
      name: "bare",
      site: "bare",
      batch: { kind: "slurm", commandDirectory: commands, pollSeconds: 1 },
      runtime: "none",
      limits: { maxPilots: 1, maxSlotsPerPilot: 2 },
      slot: { memoryMiB: 256 },
      pilot: { preamble, scratchDirectory: "/tmp" },
    });
    const exec = `test "$(uname -n)" = bare && ! command -v node && ${LOSS_IS_X}`;
    const taskId = await rig!.search("bare", {
      evaluation: { container: "host:", exec },
      limits: { maxPoints: 6, nParallelEvaluation: 2 },
    });
    const ended = await rig!.deployment.untilEnded(taskId);
    assert.deepEqual([ended.state, ended.points.done], ["finished", 6], JSON.stringify(ended));
    const { items } = await rig!.deployment.request<{ items: { node: string }[] }>(
      "GET",
      `/tasks/${taskId}/points`,
    );
    assert.ok(
      items.every((point) => point.node.startsWith("bare")),
      JSON.stringify(items),
    );
  });
});
