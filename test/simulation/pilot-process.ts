/** A pilot's process: the real program and agent, with payloads that only pretend. */
import { createAgent } from "../../pilot/agent.ts";
import { connectProgram, startSession } from "../../pilot/session.ts";
import { createPilotProgram } from "../../pilot/program.ts";
import { Permits } from "../../pilot/permits.ts";
import type { Spawner } from "../../pilot/spawner.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { BootFile } from "../../protocol/harvester-messages.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { FromPilot } from "../../protocol/pilot-messages.ts";
import type { Capacity, SlotResources } from "../../protocol/resources.ts";
import { startProcess, type Cluster } from "./cluster.ts";
import { openSocketFrom } from "./open-socket.ts";
import { createEvaluator, pretendToSteer } from "./payloads.ts";
import { PilotWatch } from "./pilot-watch.ts";
import type { Process } from "./process.ts";
import { requestsOf } from "./server-process.ts";

const GIB = 1_073_741_824;
/** Batch systems send SIGKILL 30 s after SIGTERM; the program gives up a little earlier. */
const SHUTDOWN_DEADLINE_MS = 28_000;
const TICK_MS = 1_000;

export interface PilotStart {
  readonly boot: BootFile;
  readonly node: string;
  readonly number: number;
  readonly onEnd: (detail: string) => void;
}

export interface PilotHandle {
  readonly process: Process;
  readonly node: string;
  readonly name: string;
  /** SIGTERM. */
  terminate(): void;
  /** SIGKILL. */
  kill(detail: string): void;
}

export function startPilot(cluster: Cluster, start: PilotStart): PilotHandle {
  return new RunningPilot(cluster, start);
}

const NO_SPAWNER: Spawner = {
  pid: null,
  start: () => notHere(),
  processes: () => Promise.resolve([]),
  kill: () => Promise.resolve(),
  close: () => Promise.resolve(),
};

const notHere = (): Promise<never> => Promise.reject(new Error("payloads only pretend"));

/** What only real payloads need. */
const NO_NODE = {
  runner: { run: notHere },
  stage: { hold: notHere },
  api: {
    putLog: notHere,
    putLeaseFile: notHere,
    getCheckpoint: notHere,
    getRegistryCredential: notHere,
  },
  spool: "/nowhere",
  packs: new Permits(1),
  usePolling: true,
} as const;

class RunningPilot implements PilotHandle {
  readonly process: Process;
  readonly node: string;
  readonly name: string;
  readonly #cluster: Cluster;
  readonly #start: PilotStart;
  readonly #starting = new AbortController();
  #close: ((reason: string) => void) | null = null;
  #detail = "";

  constructor(cluster: Cluster, start: PilotStart) {
    this.#cluster = cluster;
    this.#start = start;
    this.node = start.node;
    this.name = `p${start.number}@${start.node}`;
    this.process = startProcess(cluster, this.name);
    this.process.onEnd(() => {
      cluster.trace.note(this.name, () => `ends: ${this.#detail}`);
      cluster.network.ended(this.process);
      start.onEnd(this.#detail);
    });
    cluster.trace.note(this.name, () => `starts for ${start.boot.submissionId}`);
    void this.#run().catch((error: unknown) => this.#failed(error));
  }

  terminate(): void {
    this.process.after(0, () => {
      if (this.#close === null) this.#exit("asked to end before it had started");
      else this.#close("the pilot was asked to end");
    });
  }

  kill(detail: string): void {
    this.#exit(detail);
  }

  #exit(detail: string): void {
    if (!this.process.isAlive) return;
    this.#detail = detail;
    this.process.end();
  }

  #failed(error: unknown): void {
    if (error instanceof HyperpilotError) return this.#exit(`${error.code}: ${error.message}`);
    this.#cluster.oracle.report(
      "sound",
      `${this.name}: ${error instanceof Error ? (error.stack ?? "") : String(error)}`,
    );
  }

  async #run(): Promise<void> {
    const { process } = this;
    const { boot, node, number } = this.#start;
    const cluster = this.#cluster;
    const { clock } = process;
    const log = cluster.trace.logger(this.name);
    const random = cluster.random.fork(`pilot ${number}`);
    const slots = slotsOf(cluster, boot);
    const instance = `instance-${number}`;
    const capacity = capacityOf(node, slots, random.chance(0.1) && !cluster.isCalm ? 400 : null);
    const watch = new PilotWatch(cluster.oracle, this.name);
    const agent = createAgent(
      {
        instance,
        capacity,
        slots,
        idleSeconds: boot.queue.idleSeconds,
        random: () => random.next(),
      },
      clock.monotonicMs(),
    );
    const requests = requestsOf(cluster, process, node);
    const way = {
      boot,
      instance,
      clock,
      log,
      random: () => random.next(),
      patienceMs: PILOT.idleSecondsDefault * 1_000,
      openSocket: openSocketFrom(cluster, process, node),
    };
    const session = await startSession(
      way,
      { exchangeSecret: (secret, name) => requests.exchangeSecret(secret, name) },
      this.#starting.signal,
    );
    if (!process.isAlive) return;
    const readInput = (token: string): Promise<string> => requests.steeringInput(token);
    const program = createPilotProgram({
      clock,
      log,
      agent,
      slots,
      spawners: slots.map(() => NO_SPAWNER),
      ...NO_NODE,
      api: { ...NO_NODE.api, getSteeringInput: readInput },
      random: () => random.next(),
      evaluate: createEvaluator(cluster, { process, node, requests }, watch),
      steer: async (_node, request) => {
        watch.started(request.item);
        const end = await pretendToSteer(cluster, { process, readInput }, request);
        watch.steered(request.item, end.answer !== null);
        return end;
      },
      tickMs: TICK_MS,
      onExit: (code, detail) => {
        watch.exits(code, detail, cluster.oracle.model.isCurrentPilot(session.pilotId));
        close(`exit ${code}: ${detail}`);
      },
    });
    const link = connectProgram(way, session, {
      ...program,
      start: program.start.bind(program),
      stop: program.stop.bind(program),
      onConnected: () => program.onConnected(),
      onClosed: (code, reason) => program.onClosed(code, reason),
      onRefused: (status) => program.onRefused(status),
      onMessage: (message) => {
        cluster.trace.note(this.name, () => `<- ${JSON.stringify(message, short)}`);
        watch.received(message);
        program.onMessage(message);
      },
    });
    const close = (reason: string): void => {
      if (this.#close === null) return;
      this.#close = null;
      clock.setTimer(SHUTDOWN_DEADLINE_MS, () => this.#exit(`${reason}, overdue`));
      void program
        .stop({ reason, walltimeOver: false })
        .then(() => link.close())
        .then(() => this.#exit(reason));
    };
    this.#close = close;
    program.start((messages: readonly FromPilot[]) => {
      for (const message of messages) {
        cluster.trace.note(this.name, () => `-> ${JSON.stringify(message, short)}`);
        watch.sends(message);
      }
      link.send(messages);
    });
  }
}

/** Leaves out of a traced message what nobody wants to read. */
function short(key: string, value: unknown): unknown {
  return ["spec", "specs", "capacity", "slots", "token", "protocol"].includes(key)
    ? undefined
    : value;
}

function slotsOf({ shape }: Cluster, { queue }: BootFile): SlotResources[] {
  const count = queue.role === "central" ? 1 : shape.slotsPerPilot;
  return Array.from({ length: count }, () => ({ cpus: 1, memoryBytes: 2 * GIB, gpus: [] }));
}

function capacityOf(
  node: string,
  slots: readonly SlotResources[],
  walltimeLeftSeconds: number | null,
): Capacity {
  return {
    node,
    cpus: slots.length,
    memoryBytes: 2 * GIB * slots.length,
    scratchBytes: 10 * GIB,
    gpus: [],
    runtimes: ["none"],
    walltimeLeftSeconds,
    sources: {},
  };
}
