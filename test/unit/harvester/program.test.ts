import assert from "node:assert/strict";
import { silentLogger } from "../../../common/log.ts";
import type { BatchDriver, BatchTruth } from "../../../harvester/driver.ts";
import { createHarvester, type Harvester } from "../../../harvester/program.ts";
import type { SubmissionFile, Submissions } from "../../../harvester/submissions.ts";
import type { FromHarvester } from "../../../protocol/harvester-messages.ts";
import { HARVESTER } from "../../../protocol/limits.ts";
import { QueueConfig } from "../../../protocol/queue.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const limits = { maxPilots: 50, maxQueued: 50, maxPerCycle: 50, maxSlotsPerPilot: null };
const QUEUE = QueueConfig.parse({ name: "q", limits });

/** A batch system and a disk that outlive harvesters. */
class World {
  readonly clock = new FakeClock();
  readonly truths = new Map<string, BatchTruth>();
  readonly notes = new Map<string, SubmissionFile>();
  readonly sent: FromHarvester[] = [];
  readonly removed: string[] = [];
  submits = 0;
  submitFails = false;
  connected = true;
  #secrets = 0;
  #asked = 0;

  readonly #driver: BatchDriver = {
    submit: ({ submissionId }) => {
      this.submits += 1;
      if (this.submitFails) {
        this.truths.set(submissionId, { type: "ended", detail: "was never started" });
        return Promise.reject(new Error("no space left"));
      }
      this.truths.set(submissionId, { type: "active", phase: "running", detail: "" });
      return Promise.resolve({ batchId: `batch-${submissionId}` });
    },
    statusOf: (ids) => Promise.resolve(new Map(ids.map((id) => [id, this.truths.get(id)!]))),
    remove: (submissionId) => {
      this.removed.push(submissionId);
      this.truths.set(submissionId, { type: "ended", detail: "removed" });
      return Promise.resolve();
    },
    capabilities: () => ({ restartsJobs: false, statusChunk: 100 }),
  };

  readonly #submissions: Submissions = {
    directoryOf: (id) => `/submissions/${id}`,
    batchOf: () => ({ kind: "local" }),
    outputOf: () => null,
    active: () => [...this.notes.values()],
    prepare: ({ submissionId, queue }) => {
      const { name, batch } = queue;
      this.notes.set(submissionId, { submissionId, queue: name, batch, batchId: null });
      return `/submissions/${submissionId}/boot.json`;
    },
    noteBatchId: (id, batchId) => void this.notes.set(id, { ...this.notes.get(id)!, batchId }),
    end: (id) => void this.notes.delete(id),
  };

  harvester(): Harvester {
    const harvester = createHarvester({
      clock: this.clock,
      log: silentLogger,
      submissions: this.#submissions,
      driver: this.#driver,
      server: "http://127.0.0.1:1",
    });
    harvester.start((messages) => {
      if (!this.connected) return false;
      this.sent.push(...messages);
      for (const message of messages) {
        if (message.type === "report") this.#asked += message.secretsNeeded;
      }
      return true;
    });
    return harvester;
  }

  connect(harvester: Harvester, queues: readonly QueueConfig[] = [QUEUE]): void {
    this.connected = true;
    harvester.onConnected();
    harvester.onMessage({ type: "welcome", protocol: 1, queues: [...queues] });
  }

  /** One cycle; secrets asked for are answered at once, as the server does. */
  async cycle(harvester: Harvester): Promise<void> {
    this.clock.advance(HARVESTER.cycleMs);
    await settled();
    const asked = this.#asked;
    this.#asked = 0;
    if (asked === 0) return;
    const secrets = Array.from({ length: asked }, () => {
      this.#secrets += 1;
      return { submissionId: `sub-${this.#secrets}`, secret: "s" };
    });
    harvester.onMessage({ type: "bootSecrets", queue: "q", secrets });
    this.clock.advance(0);
    await settled();
  }

  of<T extends FromHarvester["type"]>(type: T): Extract<FromHarvester, { type: T }>[] {
    return this.sent.filter(
      (message): message is Extract<FromHarvester, { type: T }> => message.type === type,
    );
  }
}

/** Lets promises that need no I/O settle. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

function want(harvester: Harvester, pilots: number, connected: string[] = []): void {
  harvester.onMessage({ type: "wanted", queue: QUEUE, pilots, connected, servedBy: null });
}

describe("harvester: its cycle", () => {
  let world: World;
  let harvester: Harvester;
  beforeEach(() => {
    world = new World();
    harvester = world.harvester();
  });
  afterEach(() => harvester.stop());

  async function withPilots(count: number): Promise<void> {
    world.connect(harvester);
    want(harvester, count);
    await world.cycle(harvester);
    assert.equal(world.notes.size, count);
  }

  it("asks for secrets, submits with them and reports what the batch system says", async () => {
    await withPilots(2);
    await world.cycle(harvester);
    assert.deepEqual(
      world
        .of("report")
        .at(-1)
        ?.submissions.map(({ submissionId, state }) => [submissionId, state]),
      [
        ["sub-1", "running"],
        ["sub-2", "running"],
      ],
    );
    assert.equal(world.submits, 2);
  });

  it("reports only what is new, and everything to a server that has started again", async () => {
    await withPilots(1);
    await world.cycle(harvester);
    const before = world.of("report").length;
    await world.cycle(harvester);
    assert.equal(world.of("report").length, before);
    harvester.onDisconnected();
    world.connect(harvester);
    want(harvester, 1);
    await world.cycle(harvester);
    assert.equal(world.of("report").length, before + 1);
    assert.equal(world.submits, 1);
  });

  it("does not submit twice when it starts again", async () => {
    await withPilots(3);
    await harvester.stop();
    harvester = world.harvester();
    world.connect(harvester);
    want(harvester, 3);
    await world.cycle(harvester);
    await world.cycle(harvester);
    assert.equal(world.submits, 3);
  });

  it("does nothing before the server has said what it wants and which pilots have connected", async () => {
    await withPilots(1);
    await harvester.stop();
    harvester = world.harvester();
    world.truths.set("sub-1", { type: "ended", detail: "idle" });
    world.connect(harvester);
    await world.cycle(harvester);
    assert.deepEqual(world.of("ended"), []);
    want(harvester, 0, ["sub-1"]);
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 1);
    assert.equal(world.of("report").at(-1)?.lastError, null);
  });

  it("keeps an end until the server has noted it, and tells a reconnected one again", async () => {
    await withPilots(1);
    world.truths.set("sub-1", { type: "ended", detail: "exit status 1" });
    world.connected = false;
    await world.cycle(harvester);
    assert.ok(world.notes.has("sub-1"));
    world.connected = true;
    await world.cycle(harvester);
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 1);
    harvester.onDisconnected();
    world.connect(harvester);
    want(harvester, 0);
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 2);
    assert.ok(world.notes.has("sub-1"));
    harvester.onMessage({ type: "endNoted", submissionId: "sub-1" });
    assert.ok(!world.notes.has("sub-1"));
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 2);
  });

  it("tells an end that is lost on the way, or with the harvester itself, again", async () => {
    await withPilots(1);
    world.truths.set("sub-1", { type: "ended", detail: "exit status 1" });
    for (let cycles = 0; cycles < 20; cycles += 1) await world.cycle(harvester);
    assert.equal(world.of("ended").length, 2);
    await harvester.stop();
    harvester = world.harvester();
    world.connect(harvester);
    want(harvester, 0);
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 3);
  });

  it("learns nothing about new pilots from those that ended before it began", async () => {
    await withPilots(3);
    await harvester.stop();
    for (const id of ["sub-1", "sub-2", "sub-3"])
      world.truths.set(id, { type: "ended", detail: "the harvester stops" });
    harvester = world.harvester();
    world.connect(harvester);
    want(harvester, 1);
    await world.cycle(harvester);
    assert.equal(world.of("report").at(-1)?.lastError, null);
    assert.equal(world.submits, 4);
    world.truths.set("sub-4", { type: "ended", detail: "no route to host" });
    await world.cycle(harvester);
    assert.match(world.of("report").at(-1)?.lastError ?? "", /without ever connecting: no route/);
  });

  it("stops trying within a cycle when 10 submits in a row have failed, and names their cause", async () => {
    world.submitFails = true;
    world.connect(harvester);
    want(harvester, 40);
    for (let count = 0; count < 4; count += 1) await world.cycle(harvester);
    assert.equal(world.submits, HARVESTER.submitFailuresToPause);
    assert.equal(world.of("report").at(-1)?.lastError, "paused: no space left");
    // The server learns that their secrets are void.
    assert.equal(world.of("ended").length, HARVESTER.submitFailuresToPause);
  });

  it("lifts a pause for a pilot that is new, not for one that was there before", async () => {
    await withPilots(1);
    want(harvester, 4, ["sub-1"]);
    await world.cycle(harvester);
    for (const id of ["sub-2", "sub-3", "sub-4"]) {
      world.truths.set(id, { type: "ended", detail: "no route to host" });
    }
    await world.cycle(harvester);
    const paused = /^paused: a pilot ended without ever connecting: no route to host$/;
    assert.match(world.of("report").at(-1)?.lastError ?? "", paused);
    want(harvester, 5, ["sub-1"]);
    await world.cycle(harvester);
    assert.equal(world.submits, 4);
    want(harvester, 5, ["sub-1", "sub-9"]);
    await world.cycle(harvester);
    assert.equal(world.submits, 8);
  });

  it("removes what the server asks it to, and nothing that is not its own", async () => {
    await withPilots(1);
    for (const submissionId of ["sub-1", "somebody-else"]) {
      harvester.onMessage({ type: "remove", queue: "q", submissionId, reason: "copied secret" });
    }
    await settled();
    assert.deepEqual(world.removed, ["sub-1"]);
  });

  it("submits no more for a queue that is gone, and still tells how its pilots end", async () => {
    await withPilots(1);
    harvester.onDisconnected();
    world.connect(harvester, []);
    await world.cycle(harvester);
    assert.equal(world.notes.size, 1);
    world.truths.set("sub-1", { type: "ended", detail: "idle" });
    await world.cycle(harvester);
    assert.equal(world.of("ended").length, 1);
    assert.equal(world.submits, 1);
  });

  it("leaves pilots alone when it stops, and ends them all when asked to", async () => {
    await withPilots(2);
    await harvester.stop();
    assert.deepEqual(world.removed, []);
    await harvester.removeAll();
    assert.deepEqual(world.removed, ["sub-1", "sub-2"]);
    assert.equal(world.of("ended").length, 2);
    assert.equal(world.submits, 2);
  });
});
