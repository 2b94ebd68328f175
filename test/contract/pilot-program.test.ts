import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../common/log.ts";
import { createAgent } from "../../pilot/agent.ts";
import type { EvaluationEnd, EvaluationRequest } from "../../pilot/payload.ts";
import { type PilotProgram, createPilotProgram } from "../../pilot/program.ts";
import type { Spawner } from "../../pilot/spawner.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { FromPilot, FromPilotOf } from "../../protocol/pilot-messages.ts";
import { TaskSpecification } from "../../protocol/task.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { waitUntil } from "../support/wait-until.ts";

const TASK_ID = 10_000_000;
const SLOT = { cpus: 1, memoryBytes: 1e9, gpus: [] };
const SPEC = TaskSpecification.parse({
  specVersion: 1,
  name: "trial",
  seed: 1,
  clientTaskUuid: "00000000-trial",
  sandboxSha256: "0".repeat(64),
  steering: { method: "random" },
  searchSpace: "{}",
  evaluation: { container: "host:", exec: "true" },
  limits: {},
  needs: {},
});
const CAPACITY = {
  node: "node1",
  cpus: 1,
  memoryBytes: 1e9,
  scratchBytes: 1e9,
  gpus: [],
  runtimes: ["bubblewrap"],
  walltimeLeftSeconds: null,
  sources: {},
};
const SPAWNER: Spawner = {
  pid: null,
  start: () => Promise.reject(new Error("not used")),
  kill: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

describe("the pilot around its payloads", () => {
  let directory: TemporaryDirectory;
  let clock: FakeClock;
  let sent: FromPilot[];
  let exits: number[];
  let uploads: string[];
  let released: number;
  let program: PilotProgram;
  /** What the next evaluation does. */
  let evaluate: (request: EvaluationRequest) => Promise<EvaluationEnd>;
  let putLog: () => Promise<void>;
  let hold: () => Promise<void>;

  beforeEach(() => {
    directory = temporaryDirectory();
    clock = new FakeClock();
    sent = [];
    exits = [];
    uploads = [];
    released = 0;
    evaluate = () => Promise.resolve(ended(null));
    putLog = () => Promise.resolve();
    hold = () => Promise.resolve();
    const agent = createAgent(
      {
        instance: "instance-1",
        capacity: CAPACITY,
        slots: [SLOT],
        idleSeconds: 300,
        random: () => 0.5,
      },
      0,
    );
    program = createPilotProgram({
      clock,
      log: silentLogger,
      agent,
      slots: [SLOT],
      spawners: [SPAWNER],
      runner: { run: (request) => evaluate(request) },
      stage: {
        hold: async () => {
          await hold();
          return { file: "/sandbox", release: () => (released += 1) };
        },
      },
      api: {
        getSteeringInput: () => Promise.resolve(""),
        putLog: async (_item, file) => {
          await putLog();
          uploads.push(file);
        },
      },
      onExit: (code) => exits.push(code),
    });
    program.start((messages) => sent.push(...messages));
    program.onConnected();
    program.onMessage({
      type: "welcome",
      pilotId: "pilot-1",
      protocol: 1,
      leaseSeconds: 600,
      idleSeconds: 300,
      beatSeconds: 25,
    });
  });

  afterEach(() => directory.remove());

  function ended(logFile: string | null, logTail = "tail"): EvaluationEnd {
    const outcome = { type: "loss", loss: 1, exitCode: 0, message: "" } as const;
    const used = { runtime: "bubblewrap", memoryBytesPeak: 1e6 };
    return { outcome, durationSeconds: 1, logFile, logTail, leftover: null, ...used };
  }

  function logOf(bytes: number): string {
    const file = join(directory.path, "payload.log");
    writeFileSync(file, "x".repeat(bytes));
    return file;
  }

  function grant(): void {
    program.onMessage({
      type: "grant",
      grantNo: 1,
      requestNo: 1,
      items: [
        {
          item: { type: "evaluation", taskId: TASK_ID, pointId: "7" },
          epoch: [1, 1],
          slot: 0,
          attempt: 1,
          pointText: "{}",
          seed: 7,
          token: "token",
        },
      ],
      specs: [{ taskId: TASK_ID, spec: SPEC }],
    });
  }

  async function result(): Promise<FromPilotOf<"result">> {
    return waitUntil("a result is sent", () =>
      sent.find((message): message is FromPilotOf<"result"> => message.type === "result"),
    );
  }

  it("runs what was granted with the task's files, and gives them back", async () => {
    const requests: EvaluationRequest[] = [];
    evaluate = (request) => {
      requests.push(request);
      return Promise.resolve(ended(null));
    };
    grant();
    const { outcome, log } = await result();
    assert.equal(outcome.type, "loss");
    assert.equal(log, "tail");
    assert.equal(requests[0]?.sandboxFile, "/sandbox");
    assert.equal(released, 1);
  });

  it("uploads output that is too long to travel with the result, and removes it", async () => {
    const file = logOf(PILOT.inlineLogBytesMax + 1);
    evaluate = () => Promise.resolve(ended(file));
    grant();
    assert.equal((await result()).log, "");
    assert.deepEqual(uploads, [file]);
    assert.equal(existsSync(file), false);
  });

  it("sends output that is short enough with the result", async () => {
    const file = logOf(PILOT.inlineLogBytesMax);
    evaluate = () => Promise.resolve(ended(file));
    grant();
    assert.equal((await result()).log, "tail");
    assert.deepEqual(uploads, []);
    assert.equal(existsSync(file), false);
  });

  it("hands the result over with the end of the output when the upload fails", async () => {
    const file = logOf(PILOT.inlineLogBytesMax + 1);
    evaluate = () => Promise.resolve(ended(file));
    putLog = () => Promise.reject(new Error("disk full"));
    grant();
    const { outcome, log } = await result();
    assert.deepEqual([outcome.type, log], ["loss", "tail"]);
    assert.equal(existsSync(file), false);
  });

  it("tells an interruption, not a failure, when the task's files cannot be had", async () => {
    hold = () => Promise.reject(new Error("connection refused"));
    grant();
    assert.deepEqual((await result()).outcome, {
      type: "interrupted",
      reason: "runtime",
      message: "connection refused",
    });
  });

  it("ends its payload at SIGTERM and waits for the server to take the result", async () => {
    evaluate = ({ signal }) =>
      new Promise((resolve) => {
        signal.addEventListener("abort", () => resolve({ ...ended(null), outcome: null }));
      });
    grant();
    await waitUntil("files are there", () => sent.some(({ type }) => type === "request"));
    const stopped = program.stop({ reason: "SIGTERM", walltimeOver: false });
    const { outcome, item, epoch } = await result();
    assert.equal(outcome.type === "interrupted" && outcome.reason, "eviction");
    assert.deepEqual(exits, []);
    program.onMessage({ type: "accepted", item, epoch, seq: 1 });
    await stopped;
    assert.equal(sent.at(-1)?.type, "bye");
    assert.deepEqual(exits, [0]);
    assert.equal(clock.pendingTimers, 0);
  });

  it("does not wait for the server longer than batch systems wait for it", async () => {
    grant();
    await result();
    program.onClosed(1006, "lost");
    const stopped = program.stop({ reason: "SIGTERM", walltimeOver: false });
    clock.advance(PILOT.stopDeadlineMs);
    await stopped;
    assert.equal(clock.pendingTimers, 0);
  });

  it("leaves when the server says that its token is not valid any more", () => {
    program.onRefused(401);
    assert.deepEqual(exits, [4]);
  });

  it("leaves when another process has taken its place", () => {
    program.onClosed(4000, "replaced");
    assert.deepEqual(exits, [7]);
  });

  it("leaves when its sessions are closed for a violation again and again", () => {
    for (let times = 1; times <= PILOT.violationsMax; times += 1) {
      assert.deepEqual(exits, []);
      program.onClosed(1008, "a message has not the shape of its type");
      program.onConnected();
    }
    assert.deepEqual(exits, [1]);
  });

  it("stays when its sessions are closed for other reasons", () => {
    for (let times = 0; times < 10; times += 1) program.onClosed(1012, "the server is stopping");
    assert.deepEqual(exits, []);
  });

  it("beats by the clock", () => {
    clock.advance(26_000);
    assert.equal(sent.at(-1)?.type, "beat");
  });
});
