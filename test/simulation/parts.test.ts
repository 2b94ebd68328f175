import assert from "node:assert/strict";
import { batchOf, describeJournal, readAll } from "../contract/suites/journal-suite.ts";
import { Network } from "./network.ts";
import { Process } from "./process.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import type { Socket } from "./socket.ts";
import { createStableJournal, StableDisk } from "./stable-journal.ts";

function newScheduler(): Scheduler {
  return new Scheduler((error) => {
    throw error;
  });
}

/** A scheduler whose events come by themselves, for suites that know none. */
class ImmediateScheduler extends Scheduler {
  override after(_ms: number, fire: () => void): { cancel: () => void } {
    const handle = setImmediate(fire);
    return { cancel: () => clearImmediate(handle) };
  }
}

describeJournal("simulated", () => {
  const disk = new StableDisk();
  const scheduler = new ImmediateScheduler(() => undefined);
  const create = () =>
    createStableJournal(disk, new Process("server", scheduler, 0), new Random("journal"));
  return { create, remove: () => Promise.resolve() };
});

describe("simulation: its disk", () => {
  async function crashWith(
    seed: string,
    inFlight: number,
  ): Promise<{ kept: number; head: number }> {
    const scheduler = newScheduler();
    const disk = new StableDisk();
    const process = new Process("server", scheduler, 0);
    const journal = createStableJournal(disk, process, new Random(seed));
    const { term } = await journal.open();
    const first = journal.append(batchOf(1, 2), term);
    await scheduler.run(1_000, () => false);
    await first;
    for (let n = 0; n < inFlight; n += 1) void journal.append(batchOf(3 + n, 1), term);
    process.end();
    const kept = disk.crash(new Random(seed));
    const again = createStableJournal(disk, new Process("server", scheduler, 0), new Random(seed));
    const { head } = await again.open();
    assert.equal((await readAll(again)).length, 1 + kept);
    return { kept, head: head.seq };
  }

  it("keeps what was acknowledged in a crash, and of the rest the first part or nothing", async () => {
    const all = new Set<number>();
    for (let seed = 0; seed < 40; seed += 1) {
      const { kept, head } = await crashWith(String(seed), 3);
      assert.equal(head, 2 + kept);
      all.add(kept);
    }
    assert.deepEqual([...all].sort(), [0, 1, 2, 3]);
  });

  it("acknowledges nothing after a failed write, whatever is on it then", async () => {
    for (const kind of ["nothingWritten", "partWritten", "allWritten"] as const) {
      const scheduler = newScheduler();
      const disk = new StableDisk();
      const process = new Process("server", scheduler, 0);
      const journal = createStableJournal(disk, process, new Random(kind));
      const { term } = await journal.open();
      disk.fault = { writesLeft: 1, kind, code: "EIO" };
      const results = [1, 2, 3].map((seq) =>
        journal.append(batchOf(seq, 1), term).then(
          () => "written",
          (error: unknown) => (error as { code: string }).code,
        ),
      );
      await scheduler.run(1_000, () => false);
      const failed = "E_JOURNAL_WRITE";
      assert.deepEqual(await Promise.all(results), ["written", failed, failed], kind);
      await assert.rejects(journal.append(batchOf(4, 1), term), { code: failed });
    }
  });
});

describe("simulation: its processes", () => {
  it("do nothing while they are stopped, all of it when they go on, and nothing when they are gone", async () => {
    const scheduler = newScheduler();
    const process = new Process("p", scheduler, 7);
    const done: string[] = [];
    process.after(10, () => done.push("ten"));
    const cancelled = process.after(20, () => done.push("cancelled"));
    process.after(200, () => done.push("late"));
    process.freeze(100);
    await scheduler.run(50, () => false);
    assert.deepEqual(done, []);
    cancelled.cancel();
    await scheduler.run(120, () => false);
    assert.deepEqual(done, ["ten"]);
    process.end();
    await scheduler.run(500, () => false);
    assert.deepEqual(done, ["ten"]);
    assert.equal(process.clock.monotonicMs(), 507);
  });

  it("settle all their promises between two events", async () => {
    const scheduler = newScheduler();
    const steps: string[] = [];
    const chain = async (): Promise<void> => {
      for (let step = 0; step < 20; step += 1) await Promise.resolve();
      steps.push("settled");
    };
    scheduler.after(1, () => void chain());
    scheduler.after(1, () => steps.push("next"));
    await scheduler.run(10, () => false);
    assert.deepEqual(steps, ["settled", "next"]);
  });
});

describe("simulation: its network", () => {
  let scheduler: Scheduler;
  let network: Network;
  let heard: string[];
  let server: Socket | null;
  beforeEach(() => {
    scheduler = newScheduler();
    network = new Network(scheduler, new Random("network"));
    heard = [];
    server = null;
    const accept = (_request: unknown, open: () => Socket): Promise<number | null> => {
      server = open();
      listenTo("server", server);
      return Promise.resolve(null);
    };
    network.listener = { process: new Process("server", scheduler, 0), accept };
  });

  function listenTo(who: string, socket: Socket): void {
    socket.on("open", () => heard.push(`${who} open`));
    socket.on("message", (bytes: Uint8Array) =>
      heard.push(`${who} ${Buffer.from(bytes).toString()}`),
    );
    socket.on("close", (code: number) => heard.push(`${who} closed ${code}`));
    socket.on("error", () => heard.push(`${who} error`));
  }

  async function connected(): Promise<Socket> {
    const client = network.connect(new Process("pilot", scheduler, 0), "n1", {
      url: "",
      bearer: "",
    });
    listenTo("client", client);
    await scheduler.run(scheduler.nowMs + 2_000, () => false);
    assert.deepEqual(heard.splice(0), ["client open"]);
    return client;
  }

  const pass = (ms: number): Promise<void> => scheduler.run(scheduler.nowMs + ms, () => false);

  it("brings frames in order, and what a partition has kept when it is over", async () => {
    const client = await connected();
    network.path("n1").blockedUntilMs.up = scheduler.nowMs + 10_000;
    for (const text of ["a", "b", "c"]) client.send(Buffer.from(text));
    server?.send(Buffer.from("down"));
    await pass(5_000);
    assert.deepEqual(heard.splice(0), ["client down"]);
    await pass(10_000);
    assert.deepEqual(heard, ["server a", "server b", "server c"]);
  });

  it("loses what was under way with a connection, and tells one side or both", async () => {
    for (const told of ["both", "client", "server"] as const) {
      const client = await connected();
      client.send(Buffer.from("lost"));
      network.cut(network.connections()[0]!, told);
      await pass(3_000);
      const closed = told === "both" ? ["client", "server"] : [told];
      assert.deepEqual(
        heard.splice(0).sort(),
        closed.map((who) => `${who} closed 1006`),
        told,
      );
      client.terminate();
      server?.terminate();
      heard.length = 0;
    }
  });

  it("does not let anybody in where no server listens, and gives up after a while where nothing gets through", async () => {
    network.path("n1").blockedUntilMs.up = 60_000;
    listenTo(
      "cut off",
      network.connect(new Process("a", scheduler, 0), "n1", { url: "", bearer: "" }),
    );
    network.listener = null;
    listenTo(
      "refused",
      network.connect(new Process("b", scheduler, 0), "n2", { url: "", bearer: "" }),
    );
    await pass(5_000);
    assert.deepEqual(heard.splice(0), ["refused error", "refused closed 1006"]);
    await pass(10_000);
    assert.deepEqual(heard, ["cut off error", "cut off closed 1006"]);
  });

  it("answers a request once, and E_UNREACHABLE when its server dies before", async () => {
    const user = new Process("user", scheduler, 0);
    const answers: string[] = [];
    const ask = (answer: Promise<string>): void => {
      void network
        .call(user, "desk", () => answer)
        .then(
          (value) => answers.push(value),
          (error: unknown) => answers.push((error as { code: string }).code),
        );
    };
    ask(Promise.resolve("fine"));
    ask(new Promise(() => undefined));
    await pass(2_000);
    assert.deepEqual(answers.splice(0), ["fine"]);
    const { process } = network.listener!;
    process.end();
    network.ended(process);
    await pass(2_000);
    assert.deepEqual(answers, ["E_UNREACHABLE"]);
    assert.equal(network.openRequests, 0);
  });
});
