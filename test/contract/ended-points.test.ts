import assert from "node:assert/strict";
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../common/log.ts";
import { SERVER } from "../../protocol/limits.ts";
import { isEnded } from "../../protocol/states.ts";
import { apply } from "../../server/apply.ts";
import { createCore, type Core, type Task } from "../../server/core.ts";
import { sectionsOf } from "../../server/core-form.ts";
import type { Disk } from "../../server/disk.ts";
import { openEndedPoints, startLettingGo, type EndedPoints } from "../../server/ended-points.ts";
import { systemDisk } from "../../server/system-disk.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { World } from "../support/reactor-world.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

/** A world's searches end at its own time, close to 0. */
const START_WALL_MS = 0;

describe("points of searches that ended long ago", () => {
  let directory: TemporaryDirectory;
  let world: World;
  let clock: FakeClock;
  let ended: EndedPoints;
  let freeBytes: number;

  async function open(disk: Disk = systemDisk): Promise<EndedPoints> {
    ended = await openEndedPoints({
      core: world.core,
      directory: join(directory.path, "ended-points"),
      disk,
      readNow: (path) => readFileSync(path),
      freeBytes: () => Promise.resolve(freeBytes),
      clock,
    });
    return ended;
  }

  /** A search that has come to its end, with the loss 1/(i+1) of point i. */
  function finished(maxPoints: number, segments: string[] = []): Task {
    const limits = { maxPoints, nPointsPerIteration: maxPoints, maxEvaluationJobs: maxPoints };
    const names = segments.map((name) => ({ name }));
    const task = world.submit({ segments: names }, limits);
    const pilot = world.pilot();
    for (let i = 0; !isEnded(task.state); i += 1) pilot.loss(1 / (i + 1));
    pilot.send({ type: "bye", reason: "idle" });
    return task;
  }

  /** Nobody has asked since the search ended, and the time is over. */
  async function leave(): Promise<number> {
    clock.advance(SERVER.endedInMemoryMs + 3_600_000);
    await ended.look();
    return ended.look();
  }

  function textOf(core: Core): string {
    return JSON.stringify([...sectionsOf(core)]);
  }

  function rebuilt(): Core {
    const core = createCore();
    for (const event of world.events) apply(core, event);
    for (const task of core.tasks.values()) task.ready.compact(({ state }) => state === "ready");
    core.unreferenced.clear();
    return core;
  }

  beforeEach(async () => {
    directory = temporaryDirectory();
    world = new World();
    clock = new FakeClock(START_WALL_MS);
    freeBytes = SERVER.endedFreeBytesMin;
    await open();
  });
  afterEach(() => directory.remove());

  it("stay in memory for 7 days, and while somebody looks at them", async () => {
    const { points } = finished(3);
    clock.advance(SERVER.endedInMemoryMs - 3_600_000);
    assert.deepEqual([await ended.look(), await ended.look()], [0, 0]);
    clock.advance(7_200_000);
    assert.equal(points.get("0")?.state, "done");
    assert.equal(await ended.look(), 0, "somebody has just looked");
    assert.equal(points.isLoaded, true);
    assert.equal(await ended.look(), 1);
    assert.equal(points.isLoaded, false);
    assert.equal(await ended.look(), 0, "they are gone already");
  });

  it("come back as they were, in the same order, and the best one is still the best one", async () => {
    const count = 2 * SERVER.endedPointsPerWrite + 1;
    const task = finished(count);
    const before = textOf(world.core);
    const { best } = task;
    assert.equal(await leave(), 1);
    assert.equal(task.points.isLoaded, false);
    assert.equal(task.points.size, count);
    assert.equal(textOf(world.core), before);
    assert.equal(task.points.isLoaded, true);
    assert.ok(best !== null && task.points.get(best.id) === best);
  }).timeout(60_000);

  it("come back with their segments", async () => {
    const task = finished(2, ["left", "right"]);
    const before = textOf(world.core);
    assert.equal(await leave(), 1);
    const ids = task.segments.map(({ index }) =>
      task.points.ofSegment(index)?.map((point) => point.id),
    );
    assert.deepEqual(
      ids.map((one) => one?.length),
      [2, 2],
    );
    for (const { best } of task.segments) assert.equal(task.points.get(best?.id ?? ""), best);
    assert.equal(textOf(world.core), before);
  });

  it("come back for a retry, whose round is what the journal says", async () => {
    const task = finished(3);
    assert.equal(await leave(), 1);
    world.command({ type: "retryPoints", taskId: task.id, pointIds: ["1"] });
    assert.equal(task.state, "running");
    assert.equal(await leave(), 0, "a search that runs keeps its points");
    const pilot = world.pilot();
    pilot.loss(0.25);
    assert.ok(isEnded(task.state));
    assert.equal(task.points.get("1")?.retried, true);
    assert.equal(textOf(world.core), textOf(rebuilt()));
    assert.equal(await leave(), 1, "and leave again, as they are now");
    assert.equal(task.points.get("3")?.loss, 0.25);
    assert.equal(textOf(world.core), textOf(rebuilt()));
  });

  it("stay when somebody asks for them or begins a new round while they are written", async () => {
    const task = finished(3);
    let onWrite = (): void => undefined;
    const disk: Disk = {
      ...systemDisk,
      create: async (path) => {
        const file = await systemDisk.create(path);
        const write = async (bytes: Uint8Array): Promise<void> => {
          await file.write(bytes);
          onWrite();
        };
        return { ...file, write };
      },
    };
    await open(disk);
    onWrite = () => void task.points.get("0");
    assert.equal(await leave(), 0);
    onWrite = () => world.command({ type: "retryPoints", taskId: task.id, pointIds: ["0"] });
    world.core.tasks.get(task.id)!.version += 1;
    assert.equal(await leave(), 0);
    assert.equal(task.points.isLoaded, true);
    assert.equal(task.state, "running");
  });

  it("are not made up when the file is not what was written: the next start has them from the journal", async () => {
    const task = finished(3);
    assert.equal(await leave(), 1);
    const path = join(directory.path, "ended-points", String(task.id));
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    const expected = { code: "E_INTERNAL", remedy: /^Nothing is lost: start the server again/ };
    assert.throws(() => task.points.get("0"), expected);
    assert.throws(() => task.points.get("0"), expected, "and not at the second time either");
    await open();
    assert.deepEqual(readdirSync(join(directory.path, "ended-points")), []);
  });

  it("end the server when they cannot be read in the middle of a change, so that the journal stays right", async () => {
    const task = finished(3);
    assert.equal(await leave(), 1);
    rmSync(join(directory.path, "ended-points", String(task.id)));
    const limits = { maxPoints: 5, maxEvaluationJobs: 10 };
    const command = { type: "changeLimits", taskId: task.id, limits } as const;
    const before = world.events.length;
    const principal = { user: "anna", roles: ["user"] } as const;
    assert.throws(
      () => world.post({ type: "command", requestId: 99, principal, command }),
      { code: "E_INTERNAL" },
      "thrown, and not answered",
    );
    assert.equal(world.events.length, before, "nothing of it is for the journal");
  });

  it("stay where they are too many, too long, or the disk has little room", async () => {
    const task = finished(3);
    freeBytes = SERVER.endedFreeBytesMin - 1;
    assert.equal(await leave(), 0);
    freeBytes += 1;
    const points = [...task.points.values()];
    const text = "x".repeat(Math.ceil(SERVER.endedTextBytesMax / 3) + 1);
    for (const point of points) Object.assign(point, { text });
    assert.equal(await leave(), 0);
    for (const point of points) Object.assign(point, { text: "{}" });
    const { size } = task.points;
    for (let id = size; id <= SERVER.endedPointsMax; id += 1)
      task.points.add({ ...points[0]!, id: String(id) });
    assert.equal(task.points.size, SERVER.endedPointsMax + 1);
    assert.equal(await leave(), 0);
    assert.equal(task.points.isLoaded, true);
    const other = finished(1);
    assert.equal(await leave(), 1, "others leave");
    assert.equal(other.points.isLoaded, false);
  });

  it("leave no half of a file behind when the disk is full", async () => {
    finished(3);
    const disk: Disk = {
      ...systemDisk,
      create: async (path) => {
        const file = await systemDisk.create(path);
        return { ...file, write: () => Promise.reject(new Error("ENOSPC: no space left")) };
      },
    };
    await open(disk);
    await assert.rejects(leave(), /ENOSPC/);
    assert.deepEqual(readdirSync(join(directory.path, "ended-points")), []);
  });

  it("are looked at until the server stops; on a full disk they stay, and it is tried again", async () => {
    const task = finished(3);
    let isFull = true;
    await open({
      ...systemDisk,
      create: (path) =>
        isFull ? Promise.reject(new Error("ENOSPC: no space left")) : systemDisk.create(path),
    });
    clock.advance(SERVER.endedInMemoryMs + 3_600_000);
    const warnings: string[] = [];
    const log = { ...silentLogger, warn: (event: string) => void warnings.push(event) };
    const lettingGo = startLettingGo(ended, { clock, log });
    const next = async (isDone: () => boolean): Promise<void> => {
      await waitUntil("the next look is scheduled", () => clock.pendingTimers === 1);
      clock.advance(SERVER.endedLookIntervalMs);
      await waitUntil("it has looked", () => clock.pendingTimers === 1 && isDone());
    };
    await next(() => true);
    await next(() => warnings.length === 1);
    assert.deepEqual(warnings, ["endedPointsKept"]);
    assert.equal(task.points.isLoaded, true);
    isFull = false;
    await next(() => true);
    await next(() => !task.points.isLoaded);
    await lettingGo.stop();
    assert.equal(clock.pendingTimers, 0);
  });
});
