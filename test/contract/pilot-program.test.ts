import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../common/log.ts";
import { createAgent } from "../../pilot/agent.ts";
import type { EvaluationEnd, EvaluationRequest } from "../../pilot/payload.ts";
import { Permits } from "../../pilot/permits.ts";
import { type PilotProgram, createPilotProgram } from "../../pilot/program.ts";
import type { Spawner } from "../../pilot/spawner.ts";
import { PILOT } from "../../protocol/limits.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { BlobRef, FromPilot, FromPilotOf } from "../../protocol/pilot-messages.ts";
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
  processes: () => Promise.resolve([]),
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
  let putLeaseFile: (kind: string, blob: BlobRef, token: string) => Promise<void>;
  let spec: TaskSpecification;

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
    putLeaseFile = () => Promise.reject(new Error("not used"));
    spec = SPEC;
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
      random: () => 0.5,
      spool: join(directory.path, "spool"),
      packs: new Permits(1),
      usePolling: false,
      api: {
        getRegistryCredential: () => Promise.resolve(null),
        getSteeringInput: () => Promise.resolve(""),
        putLeaseFile: (kind, blob, { token }) => putLeaseFile(kind, blob, token),
        getCheckpoint: () => Promise.reject(new Error("not used")),
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
    const artifactDirectory = join(directory.path, "artifacts");
    const artifacts = { metadata: null, metrics: null, warnings: [] };
    return {
      outcome,
      durationSeconds: 1,
      logFile,
      logTail,
      artifacts,
      artifactDirectory,
      leftover: null,
      runtime: "bubblewrap",
      memoryBytesPeak: 1e6,
    };
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
      specs: [{ taskId: TASK_ID, spec }],
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

  describe("with metadata and metrics", () => {
    const blob = (letter: string): BlobRef => ({ sha256: letter.repeat(64), sizeBytes: 1 });
    const left = (logFile: string | null = null): EvaluationEnd => ({
      ...ended(logFile),
      artifacts: {
        metadata: { file: "/metadata", blob: blob("a") },
        metrics: { file: "/metrics", blob: blob("b") },
        warnings: [],
      },
    });

    it("uploads them before the result that commits them", async () => {
      const order: string[] = [];
      putLeaseFile = (kind, { sha256 }, token) => {
        order.push(`${kind} ${sha256[0]} ${token}`);
        assert.equal(
          sent.some(({ type }) => type === "result"),
          false,
        );
        return Promise.resolve();
      };
      evaluate = () => Promise.resolve(left());
      grant();
      const { metadata, metrics, warnings } = await result();
      assert.deepEqual(order, ["metadata a token", "metrics b token"]);
      assert.deepEqual([metadata, metrics, warnings], [blob("a"), blob("b"), undefined]);
    });

    it("keeps its copy while the server's disk is full, and tries again", async () => {
      let tries = 0;
      const full = new HyperpilotError({ code: "E_STORAGE_FULL", message: "full" });
      putLeaseFile = () => ((tries += 1) < 4 ? Promise.reject(full) : Promise.resolve());
      evaluate = () => Promise.resolve(left());
      grant();
      const { metadata } = await waitUntil("a result", () => {
        clock.advance(2_000);
        return sent.find((one): one is FromPilotOf<"result"> => one.type === "result");
      });
      assert.deepEqual([metadata, tries], [blob("a"), 5]);
    });

    it("hands the loss over with a warning when they cannot be uploaded in time", async () => {
      const full = new HyperpilotError({ code: "E_STORAGE_FULL", message: "the disk is full" });
      putLeaseFile = () => Promise.reject(full);
      evaluate = () => Promise.resolve(left());
      grant();
      const { outcome, metadata, warnings } = await waitUntil("a result", () => {
        clock.advance(10_000);
        return sent.find((one): one is FromPilotOf<"result"> => one.type === "result");
      });
      assert.deepEqual([outcome.type, metadata], ["loss", undefined]);
      assert.match(warnings?.[0] ?? "", /the metadata could not be uploaded.*the disk is full/);
      assert.equal(warnings?.length, 2);
    });

    it("does not wait long for an upload when it must go", async () => {
      putLeaseFile = () =>
        Promise.reject(new HyperpilotError({ code: "E_UNREACHABLE", message: "away" }));
      spec = { ...SPEC, checkpoint: { ...SPEC.checkpoint, save: ["state"] } };
      evaluate = () => Promise.resolve(left());
      grant();
      await waitUntil("it waits for another try", () => clock.pendingTimers > 1);
      void program.stop({ reason: "SIGTERM", walltimeOver: false });
      const { outcome } = await waitUntil("a result", () => {
        clock.advance(1_000);
        return sent.find((one): one is FromPilotOf<"result"> => one.type === "result");
      });
      assert.equal(outcome.type, "loss");
      assert.ok(clock.monotonicMs() <= PILOT.evictedUploadMs + 3_000);
      assert.deepEqual(exits, []);
    });
  });

  it("gives a payload that saves checkpoints the time to do so before it ends it", async () => {
    spec = { ...SPEC, checkpoint: { ...SPEC.checkpoint, save: ["state"] } };
    const graces: unknown[] = [];
    evaluate = ({ eviction, signal }) =>
      new Promise((resolve) => {
        eviction?.addEventListener("abort", () => {
          graces.push(eviction.reason, signal.aborted);
          resolve({ ...ended(null), outcome: null });
        });
      });
    grant();
    await waitUntil("it runs", () => released === 0 && sent.some(({ type }) => type === "request"));
    await new Promise(setImmediate);
    const stopped = program.stop({ reason: "walltime", walltimeOver: true });
    const { outcome, item, epoch } = await result();
    assert.deepEqual([graces, outcome.type], [[PILOT.walltimeGraceMs, false], "timeout"]);
    program.onMessage({ type: "accepted", item, epoch, seq: 1 });
    await stopped;
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
