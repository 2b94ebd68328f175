import assert from "node:assert/strict";
import { createAgent } from "../../../pilot/agent.ts";
import type { AgentAction, AgentInput, LeftByEvaluation } from "../../../pilot/agent-port.ts";
import type {
  FromPilot,
  FromPilotOf,
  GrantedItem,
  HeldLease,
  Outcome,
  ToPilot,
} from "../../../protocol/pilot-messages.ts";
import { PILOT } from "../../../protocol/limits.ts";
import { TaskSpecification } from "../../../protocol/task.ts";

const TASK_ID = 10_000_000;
const SPEC = TaskSpecification.parse({
  specVersion: 1,
  name: "trial",
  seed: 1,
  clientTaskUuid: "00000000-trial",
  steering: { method: "random" },
  searchSpace: '{"lr":{}}',
  evaluation: { container: "host:", exec: "true" },
  limits: {},
  needs: {},
});
const LOSS: Outcome = { type: "loss", loss: 0.5, exitCode: 0, message: "" };
const CAPACITY = {
  node: "node1",
  cpus: 2,
  memoryBytes: 4e9,
  scratchBytes: 1e9,
  gpus: [],
  runtimes: ["bubblewrap"],
  walltimeLeftSeconds: null,
  sources: {},
};

interface BenchOptions {
  readonly slots?: number;
  readonly walltimeLeftSeconds?: number;
  readonly random?: () => number;
  readonly outboxItemsMax?: number;
}

/** An agent whose actions are sorted by kind; it is driven by hand. */
class Bench {
  nowMs = 0;
  readonly sent: FromPilot[] = [];
  readonly started: GrantedItem[] = [];
  readonly stopped: number[] = [];
  /** Those of the stopped ones that may save their state first. */
  readonly saving: number[] = [];
  exits: Extract<AgentAction, { type: "exit" }>[] = [];
  readonly agent;
  #grantNo = 0;

  constructor(options: BenchOptions = {}) {
    const { slots = 1, walltimeLeftSeconds = null, random = () => 0.5 } = options;
    this.agent = createAgent(
      {
        instance: "instance-1",
        capacity: { ...CAPACITY, walltimeLeftSeconds },
        slots: Array.from({ length: slots }, () => ({ cpus: 1, memoryBytes: 2e9, gpus: [] })),
        idleSeconds: 60,
        random,
        ...(options.outboxItemsMax === undefined ? {} : { outboxItemsMax: options.outboxItemsMax }),
      },
      0,
    );
  }

  /** Returns what was sent because of this input. */
  take(input: AgentInput): FromPilot[] {
    const before = this.sent.length;
    for (const action of this.agent.handle(input, this.nowMs)) {
      if (action.type === "send") this.sent.push(...action.messages);
      else if (action.type === "start") this.started.push(action.item);
      else if (action.type === "stopPayload") {
        this.stopped.push(action.slot);
        if (action.saves) this.saving.push(action.slot);
      } else this.exits.push(action);
    }
    return this.sent.slice(before);
  }

  receive(message: ToPilot): FromPilot[] {
    return this.take({ type: "message", message });
  }

  tick(seconds: number): FromPilot[] {
    this.nowMs += seconds * 1_000;
    return this.take({ type: "tick" });
  }

  connect(): FromPilot[] {
    this.#grantNo = 0;
    return [
      ...this.take({ type: "connected" }),
      ...this.receive({
        type: "welcome",
        pilotId: "pilot-1",
        protocol: 1,
        leaseSeconds: 600,
        idleSeconds: 60,
        beatSeconds: 25,
      }),
    ];
  }

  /** Grants a point to a slot as the answer to its newest request. */
  grant(pointId: string, options: { slot?: number; n?: number; spec?: boolean } = {}): FromPilot[] {
    const { slot = 0, n = 1, spec = true } = options;
    this.#grantNo += 1;
    const requestNo = this.requests(slot).at(-1) ?? 0;
    return this.receive({
      type: "grant",
      grantNo: this.#grantNo,
      requestNo,
      items: [granted(pointId, slot, n)],
      specs: spec ? [{ taskId: TASK_ID, spec: SPEC }] : [],
    });
  }

  end(
    pointId: string,
    options: { slot?: number; n?: number; outcome?: Outcome | null; left?: LeftByEvaluation } = {},
  ) {
    const { slot = 0, n = 1, outcome = LOSS } = options;
    const lease = { ...leaseOf(pointId, n), slot };
    const ended = { outcome, durationSeconds: 3, log: "output", left: options.left ?? {} };
    return this.take({ type: "payloadEnded", lease, ...ended });
  }

  /** Numbers of a slot's requests, those within results included. */
  requests(slot: number): number[] {
    return this.sent.flatMap((message) => {
      const request =
        message.type === "request" ? message : message.type === "result" ? message.next : null;
      return request?.slot === slot ? [request.requestNo] : [];
    });
  }

  sentOf<T extends FromPilot["type"]>(type: T): FromPilotOf<T>[] {
    return this.sent.filter((message): message is FromPilotOf<T> => message.type === type);
  }
}

function leaseOf(pointId: string, n = 1): Pick<HeldLease, "item" | "epoch"> {
  return { item: { type: "evaluation", taskId: TASK_ID, pointId }, epoch: [1, n] };
}

function granted(pointId: string, slot: number, n: number): GrantedItem {
  return { ...leaseOf(pointId, n), slot, attempt: 1, pointText: "{}", seed: 7, token: "token" };
}

function typesOf(messages: readonly FromPilot[]): string[] {
  return messages.map(({ type }) => type);
}

function connected(options: BenchOptions = {}): Bench {
  const bench = new Bench(options);
  bench.connect();
  return bench;
}

describe("the agent asking for work", () => {
  it("says hello first, then asks once for every slot", () => {
    const bench = new Bench({ slots: 2 });
    assert.deepEqual(typesOf(bench.connect()), ["hello", "request", "request"]);
    assert.deepEqual(bench.requests(0), [1]);
    assert.deepEqual(bench.requests(1), [1]);
  });

  it("starts what was granted, with the specification that came with it", () => {
    const bench = connected();
    bench.grant("7");
    assert.deepEqual(bench.started, [granted("7", 0, 1)]);
  });

  it("starts nothing twice when a grant comes twice", () => {
    const bench = connected();
    bench.grant("7");
    bench.grant("7");
    assert.equal(bench.started.length, 1);
    assert.deepEqual(bench.sentOf("release"), []);
  });

  it("asks for the next item in the frame of the result, under the next number of the slot", () => {
    const bench = connected();
    bench.grant("7");
    const [result, ...others] = bench.end("7");
    assert.equal(result?.type, "result");
    assert.deepEqual(result.next, { slot: 0, requestNo: 2, want: 1 });
    assert.deepEqual(others, []);
  });

  it("takes a specification once per session for all points of the task", () => {
    const bench = connected();
    bench.grant("7");
    bench.end("7");
    bench.grant("8", { spec: false });
    assert.equal(bench.started.length, 2);
  });

  it("gives back a point of a task it does not know, and asks again with the next beat only", () => {
    const bench = connected();
    const answer = bench.grant("7", { spec: false });
    assert.deepEqual(typesOf(answer), ["release"]);
    assert.deepEqual(typesOf(bench.tick(30)), ["beat", "request"]);
    assert.deepEqual(bench.requests(0), [1, 2]);
    assert.equal(bench.started.length, 0);
  });

  it("keeps a bounded number of specifications and forgets the oldest", () => {
    const bench = connected();
    const specs = Array.from({ length: PILOT.specsMax + 1 }, (_none, index) => ({
      taskId: TASK_ID + index,
      spec: SPEC,
    }));
    bench.receive({
      type: "grant",
      grantNo: 1,
      requestNo: 1,
      items: [{ ...granted("1", 0, 1), item: { ...leaseOf("1").item, taskId: TASK_ID + 1 } }],
      specs,
    });
    bench.end("1", { outcome: null });
    assert.equal(bench.started.length, 1);
    assert.deepEqual(typesOf(bench.grant("2", { spec: false })), ["release"]);
  });
});

describe("the agent's beats", () => {
  it("come every 25 s, spread by a fifth", () => {
    for (const [random, seconds] of [
      [0, 20],
      [0.999, 29.9],
    ] as const) {
      const bench = connected({ random: () => random });
      assert.deepEqual(typesOf(bench.tick(seconds - 0.1)), []);
      assert.deepEqual(typesOf(bench.tick(0.2)), ["beat"]);
    }
  });

  it("tell the highest grant seen and the leases that run or ended without an answer", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7", { slot: 0 });
    bench.grant("8", { slot: 1 });
    bench.end("7", { slot: 0 });
    const [beat] = bench.tick(26);
    assert.equal(beat?.type, "beat");
    assert.equal(beat.grantSeen, 2);
    assert.deepEqual(
      new Set(beat.leases.map((lease) => JSON.stringify(lease))),
      new Set([
        JSON.stringify({ ...leaseOf("8"), slot: 1 }),
        JSON.stringify({ ...leaseOf("7"), slot: 0 }),
      ]),
    );
  });

  it("lack a lease as soon as its result was accepted or found stale", () => {
    for (const type of ["accepted", "stale"] as const) {
      const bench = connected();
      bench.grant("7");
      bench.end("7");
      bench.receive({ type, ...leaseOf("7"), seq: 1 });
      const [beat] = bench.tick(26);
      assert.deepEqual(beat, { type: "beat", grantSeen: 1, leases: [] });
    }
  });
});

describe("the agent without a connection", () => {
  it("goes on working and hands the result over when it is back", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "disconnected" });
    assert.deepEqual(bench.end("7"), []);
    assert.deepEqual(bench.stopped, []);
    const [hello, result, ...others] = bench.connect();
    assert.equal(hello?.type, "hello");
    assert.deepEqual(hello.leases, [{ ...leaseOf("7"), slot: 0 }]);
    assert.equal(result?.type, "result");
    assert.deepEqual(result.outcome, LOSS);
    assert.deepEqual(result.next, { slot: 0, requestNo: 2, want: 1 });
    assert.deepEqual(others, []);
  });

  it("sends a result again until it is answered, and not after", () => {
    const bench = connected();
    bench.grant("7");
    bench.end("7");
    bench.take({ type: "disconnected" });
    assert.deepEqual(typesOf(bench.connect()), ["hello", "result"]);
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    bench.take({ type: "disconnected" });
    assert.deepEqual(typesOf(bench.connect()), ["hello", "request"]);
  });

  it("keeps a result whose answer is for another epoch", () => {
    const bench = connected();
    bench.grant("7", { n: 2 });
    bench.end("7", { n: 2 });
    bench.receive({ type: "stale", ...leaseOf("7", 1), seq: 1 });
    assert.equal(bench.agent.held().length, 1);
  });

  it("lists running leases when it comes back, and asks for the free slots only", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7", { slot: 1 });
    bench.take({ type: "disconnected" });
    const [hello, ...others] = bench.connect();
    assert.equal(hello?.type, "hello");
    assert.deepEqual(hello.leases, [{ ...leaseOf("7"), slot: 1 }]);
    assert.deepEqual(others, [{ type: "request", slot: 0, requestNo: 2, want: 1 }]);
  });

  it("keeps the newest results when more wait than are kept", () => {
    const bench = connected({ slots: 3, outboxItemsMax: 2 });
    for (const slot of [0, 1, 2]) bench.grant(String(slot), { slot });
    bench.take({ type: "disconnected" });
    for (const slot of [0, 1, 2]) bench.end(String(slot), { slot });
    bench.connect();
    const points = bench.sentOf("result").map(({ item }) => item);
    assert.deepEqual(points, [leaseOf("1").item, leaseOf("2").item]);
  });

  it("tells the walltime that is left now, not that of its start", () => {
    const bench = connected({ walltimeLeftSeconds: 1_000 });
    bench.take({ type: "disconnected" });
    bench.nowMs += 400_000;
    bench.connect();
    assert.deepEqual(
      bench.sentOf("hello").map(({ capacity }) => capacity.walltimeLeftSeconds),
      [1_000, 600],
    );
  });
});

describe("the agent saving checkpoints", () => {
  const checkpoint = { sha256: "c".repeat(64), sizeBytes: 10 };
  const lease = { ...leaseOf("7"), slot: 0 };

  it("tells each one under the next number of the lease, and the result under the one after", () => {
    const bench = connected();
    bench.grant("7");
    const [first] = bench.take({ type: "checkpointSaved", lease, checkpoint });
    assert.deepEqual(first, { type: "checkpoint", ...leaseOf("7"), seq: 1, ...checkpoint });
    bench.take({ type: "checkpointSaved", lease, checkpoint });
    bench.end("7");
    assert.deepEqual(
      bench.sent.flatMap((message) => ("seq" in message ? [[message.type, message.seq]] : [])),
      [
        ["checkpoint", 1],
        ["checkpoint", 2],
        ["result", 3],
      ],
    );
  });

  it("sends them again in their order until they are answered, and lists the lease once", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "disconnected" });
    bench.take({ type: "checkpointSaved", lease, checkpoint });
    const [hello, again] = bench.connect();
    assert.ok(hello?.type === "hello" && again?.type === "checkpoint");
    assert.deepEqual(hello.leases, [lease]);
    bench.end("7");
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    bench.take({ type: "disconnected" });
    assert.deepEqual(typesOf(bench.connect()), ["hello", "result"]);
  });

  it("asks for none of a lease that is over, and drops what was on the way", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "checkpointSaved", lease, checkpoint });
    bench.take({ type: "checkpointSaved", lease, checkpoint });
    bench.receive({ type: "stop", ...leaseOf("7"), reason: "over" });
    assert.deepEqual(bench.saving, []);
    assert.deepEqual(bench.take({ type: "checkpointSaved", lease, checkpoint }), []);
    bench.end("7", { outcome: null });
    bench.take({ type: "disconnected" });
    assert.deepEqual(typesOf(bench.connect()), ["hello", "request"]);
  });

  it("lets an evicted payload save, and leaves when checkpoint and result are answered", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "stopRequested", reason: "evicted", walltimeOver: false });
    assert.deepEqual(bench.saving, [0]);
    bench.take({ type: "checkpointSaved", lease, checkpoint });
    bench.end("7", { outcome: null });
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    assert.equal(bench.exits.length, 0);
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 2 });
    assert.equal(bench.exits.length, 1);
  });

  it("takes the end of the walltime for an interruption after a newer checkpoint, else for a time-out", () => {
    for (const saves of [true, false]) {
      const bench = connected();
      bench.grant("7");
      if (saves) bench.take({ type: "checkpointSaved", lease, checkpoint });
      bench.take({ type: "stopRequested", reason: "walltime", walltimeOver: true });
      bench.end("7", { outcome: null });
      const [result] = bench.sentOf("result");
      assert.equal(result?.outcome.type, saves ? "interrupted" : "timeout");
    }
  });

  it("tells warnings at once and with every beat while they hold", () => {
    const bench = connected();
    bench.grant("7");
    const [beat] = bench.take({ type: "warned", lease, text: "too large" });
    assert.ok(beat?.type === "beat");
    assert.deepEqual(beat.warnings, [{ ...leaseOf("7"), text: "too large" }]);
    assert.deepEqual(bench.take({ type: "warned", lease, text: "too large" }), []);
    const [next] = bench.tick(31);
    assert.ok(next?.type === "beat" && next.warnings?.length === 1);
    const [last] = bench.take({ type: "warned", lease, text: null });
    assert.ok(last?.type === "beat" && last.warnings === undefined);
  });

  it("hands over what the evaluation left with its result", () => {
    const bench = connected();
    bench.grant("7");
    const left = { metadata: checkpoint, restored: checkpoint.sha256, warnings: ["w"] };
    const [result] = bench.end("7", { left });
    assert.ok(result?.type === "result");
    assert.deepEqual(
      [result.metadata, result.metrics, result.restored, result.warnings],
      [checkpoint, undefined, checkpoint.sha256, ["w"]],
    );
  });
});

describe("the agent told to stop", () => {
  it("ends the payload of a lease that is over, reports nothing and asks anew", () => {
    const bench = connected();
    bench.grant("7");
    bench.receive({ type: "stop", ...leaseOf("7"), reason: "over" });
    assert.deepEqual(bench.stopped, [0]);
    assert.deepEqual(typesOf(bench.end("7", { outcome: null })), ["request"]);
  });

  it("drops also an outcome that came a moment before the stop", () => {
    const bench = connected();
    bench.grant("7");
    bench.receive({ type: "stop", ...leaseOf("7"), reason: "over" });
    bench.end("7");
    assert.deepEqual(bench.sentOf("result"), []);
  });

  it("drops the result of a lease that is over, so that it is not sent again", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "disconnected" });
    bench.end("7");
    bench.take({ type: "connected" });
    bench.receive({ type: "stop", ...leaseOf("7"), reason: "over" });
    assert.deepEqual(bench.agent.held(), []);
  });

  it("does not touch a lease of the same point that is newer", () => {
    const bench = connected();
    bench.grant("7", { n: 2 });
    bench.receive({ type: "stop", ...leaseOf("7", 1), reason: "over" });
    assert.deepEqual(bench.stopped, []);
  });
});

describe("the agent leaving", () => {
  it("says goodbye after the idle time-out without an item on any slot", () => {
    const bench = connected({ slots: 2 });
    bench.tick(59);
    assert.equal(bench.exits.length, 0);
    assert.deepEqual(typesOf(bench.tick(2)).at(-1), "bye");
    assert.equal(bench.exits[0]?.reason, "idle");
  });

  it("is not idle while one slot works", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7", { slot: 1 });
    bench.tick(1_000);
    bench.end("7", { slot: 1 });
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    bench.tick(59);
    assert.equal(bench.exits.length, 0);
    bench.tick(2);
    assert.equal(bench.exits.length, 1);
  });

  it("is patient with a server that is away", () => {
    const bench = connected();
    bench.take({ type: "disconnected" });
    bench.tick(PILOT.idleSecondsDefault - 1);
    assert.equal(bench.exits.length, 0);
    bench.tick(2);
    assert.equal(bench.exits.length, 1);
  });

  it("asks for nothing after a drain, and goes when what runs has ended and was accepted", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7");
    bench.receive({ type: "drain", stopRunning: false, reason: "node is drained" });
    assert.deepEqual(bench.stopped, []);
    const [result] = bench.end("7");
    assert.equal(result?.type, "result");
    assert.equal(result.next, null);
    assert.equal(bench.exits.length, 0);
    const last = bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    assert.deepEqual(last, [{ type: "bye", reason: "node is drained" }]);
    assert.equal(bench.exits[0]?.reason, "drained");
  });

  it("gives back what is granted while it drains", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7", { slot: 0 });
    bench.receive({ type: "drain", stopRunning: false, reason: "node is drained" });
    assert.deepEqual(typesOf(bench.grant("8", { slot: 1 })), ["release"]);
  });

  it("interrupts running payloads when the drain says so", () => {
    const bench = connected();
    bench.grant("7");
    bench.receive({ type: "drain", stopRunning: true, reason: "node is drained" });
    assert.deepEqual(bench.stopped, [0]);
    const [result] = bench.end("7", { outcome: null });
    assert.equal(result?.type, "result");
    assert.deepEqual(result.outcome, {
      type: "interrupted",
      reason: "drain",
      message: "node is drained",
    });
  });

  it("reports evictions at SIGTERM, then says goodbye", () => {
    const bench = connected({ slots: 2 });
    bench.grant("7", { slot: 0 });
    bench.take({ type: "stopRequested", reason: "SIGTERM", walltimeOver: false });
    assert.deepEqual(bench.stopped, [0]);
    const [result] = bench.end("7", { outcome: null });
    assert.equal(result?.type, "result");
    assert.deepEqual(result.outcome, {
      type: "interrupted",
      reason: "eviction",
      message: "SIGTERM",
    });
    bench.receive({ type: "accepted", ...leaseOf("7"), seq: 1 });
    assert.equal(bench.sent.at(-1)?.type, "bye");
    assert.equal(bench.exits[0]?.reason, "stopped");
  });

  it("reports a result that came in spite of the SIGTERM", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "stopRequested", reason: "SIGTERM", walltimeOver: false });
    const [result] = bench.end("7");
    assert.equal(result?.type === "result" && result.outcome.type, "loss");
  });

  it("reports a time-out when the walltime is over, as the payload had all there was", () => {
    const bench = connected();
    bench.grant("7");
    bench.take({ type: "stopRequested", reason: "walltime", walltimeOver: true });
    const [result] = bench.end("7", { outcome: null });
    assert.equal(result?.type, "result");
    assert.deepEqual(result.outcome, { type: "timeout", afterSeconds: 3, message: "walltime" });
  });

  it("goes at once at SIGTERM when nothing runs", () => {
    const bench = connected();
    bench.take({ type: "stopRequested", reason: "SIGTERM", walltimeOver: false });
    assert.equal(bench.sent.at(-1)?.type, "bye");
    assert.equal(bench.exits.length, 1);
  });

  it("goes without a goodbye when the server refuses it", () => {
    const bench = connected();
    bench.receive({ type: "refused", code: "E_UNAUTHENTICATED", message: "ended" });
    assert.deepEqual(bench.sentOf("bye"), []);
    assert.equal(bench.exits[0]?.reason, "refused");
  });

  it("does nothing more after it has gone", () => {
    const bench = connected();
    bench.take({ type: "stopRequested", reason: "SIGTERM", walltimeOver: false });
    assert.deepEqual(bench.connect(), []);
    assert.equal(bench.exits.length, 1);
  });
});

describe("the agent running steering", () => {
  const item = { type: "steering", taskId: TASK_ID, run: 2 } as const;
  const lease = { item, epoch: [1, 3] as const, slot: 0 };

  /** An agent whose one slot executes a run. */
  function steering(): Bench {
    const bench = connected();
    const granting = {
      ...lease,
      attempt: 1,
      pointText: "",
      seed: 1,
      token: "token",
      steering: { numPoints: 2, maxPoints: 4 },
    };
    const specs = [{ taskId: TASK_ID, spec: SPEC }];
    bench.take({
      type: "message",
      message: { type: "grant", grantNo: 1, requestNo: 1, items: [granting], specs },
    });
    assert.deepEqual(bench.agent.held(), [lease]);
    return bench;
  }

  function ended(points: string | null): AgentInput {
    return { type: "runEnded", lease, answer: { points, message: "" }, log: "said" };
  }

  it("hands the answer over, keeps it until it is answered, and asks for more", () => {
    const bench = steering();
    bench.take(ended("[]"));
    const [answer] = bench.sentOf("runAnswer");
    assert.deepEqual([answer?.points, answer?.log], ["[]", "said"]);
    assert.equal(bench.sentOf("request").length, 2);
    assert.deepEqual(bench.agent.held(), [lease]);
    bench.take({ type: "message", message: { type: "accepted", item, epoch: [1, 3], seq: 1 } });
    assert.deepEqual(bench.agent.held(), []);
  });

  it("sends an answer again after a reconnect", () => {
    const bench = steering();
    bench.take({ type: "disconnected" });
    bench.take(ended("[]"));
    assert.equal(bench.sentOf("runAnswer").length, 0);
    bench.connect();
    assert.equal(bench.sentOf("runAnswer").length, 1);
  });

  it("gives a run back that it has to cut short, which is no failed try", () => {
    const bench = steering();
    bench.take({ type: "stopRequested", reason: "evicted", walltimeOver: false });
    bench.take({ type: "runEnded", lease, answer: null, log: "" });
    assert.deepEqual(bench.sentOf("release")[0]?.item, item);
    assert.equal(bench.exits.length, 1);
  });

  it("says nothing of a run that the server has stopped", () => {
    const bench = steering();
    bench.take({
      type: "message",
      message: { type: "stop", item, epoch: [1, 3], reason: "killed" },
    });
    assert.deepEqual(bench.stopped, [0]);
    bench.take({ type: "runEnded", lease, answer: null, log: "" });
    assert.deepEqual([bench.sentOf("runAnswer"), bench.sentOf("release")], [[], []]);
    assert.equal(bench.sentOf("request").length, 2);
  });
});
