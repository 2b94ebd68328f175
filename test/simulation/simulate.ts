/** One simulation from one seed: trouble first, then perhaps calm, and everything looked at all the time. */
import { BatchSystem } from "./batch-system.ts";
import { BlobStore } from "./blob-store.ts";
import type { Cluster } from "./cluster.ts";
import { heal, perform, type Parts } from "./faults.ts";
import { HarvesterHost } from "./harvester-process.ts";
import type { Violation } from "./invariants.ts";
import { hasEnded } from "./model.ts";
import { Network } from "./network.ts";
import { Oracle } from "./oracle.ts";
import { planOf, type Action } from "./plan.ts";
import { Random } from "./random.ts";
import { Scheduler } from "./scheduler.ts";
import { ServerHost } from "./server-process.ts";
import { shapeOf, type Shape } from "./shape.ts";
import { StableDisk } from "./stable-journal.ts";
import type { Tally } from "./tally.ts";
import { Trace } from "./trace.ts";
import { Users } from "./users.ts";

export interface Simulated {
  readonly seed: number;
  readonly violation: Violation | null;
  /** Events of the simulated world, and events in its journal. */
  readonly events: number;
  readonly journaled: number;
  /** Actions that were performed. */
  readonly actions: number;
  readonly simulatedMs: number;
  readonly trace: readonly string[];
  readonly shape: Shape;
  readonly tally: Tally;
  /** Time from the last fault to the end of the last task; 0 where faults did not stop. */
  readonly calmMs: number;
}

export interface SimulationOptions {
  readonly seed: number;
  readonly isTraced?: boolean;
  /** The actions to perform; by default those of the seed. */
  readonly plan?: readonly Action[];
}

/** After this long without faults every task must have ended, and a while later every pilot. */
const ENDS_WITHIN_MS = 3_600_000;
const LEAVES_WITHIN_MS = 900_000;
const LOOK_EVERY_MS = 20_000;
const STEP_MS = 5_000;

export function planOfSeed(seed: number): { readonly shape: Shape; readonly plan: Action[] } {
  const random = new Random(`seed ${seed}`);
  const shape = shapeOf(random.fork("shape"), seed);
  return { shape, plan: planOf(random.fork("plan"), shape) };
}

export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const simulation = new Simulation(options);
  const onRejection = (error: unknown): void => simulation.threw(error);
  process.on("unhandledRejection", onRejection);
  try {
    await simulation.run();
    // Rejections that nobody has handled are told when the process comes to rest.
    await new Promise((resolve) => setImmediate(resolve));
    return simulation.result;
  } finally {
    process.off("unhandledRejection", onRejection);
  }
}

class Simulation {
  readonly #seed: number;
  readonly #plan: readonly Action[];
  readonly #scheduler: Scheduler;
  readonly #oracle: Oracle;
  readonly #cluster: Cluster;
  readonly #parts: Parts;
  readonly #trace: Trace;
  readonly #server: ServerHost;
  #calmMs = 0;

  constructor({ seed, isTraced = false, plan }: SimulationOptions) {
    const { shape, plan: ownPlan } = planOfSeed(seed);
    const random = new Random(`seed ${seed}`);
    this.#seed = seed;
    this.#plan = plan ?? ownPlan;
    const scheduler = new Scheduler((error) => this.threw(error));
    const now = (): number => scheduler.nowMs;
    const oracle = new Oracle(now);
    const trace = new Trace(isTraced, now);
    const disk = new StableDisk();
    disk.onDurable = (batch) => oracle.onDurable(batch);
    const network = new Network(scheduler, random.fork("network"));
    const blobs = new BlobStore();
    oracle.blobs = blobs;
    const base = { random, scheduler, network, disk, blobs, oracle, trace, shape };
    const cluster = { ...base, habits: new Map(), isCalm: false } as Omit<Cluster, "server"> & {
      server?: ServerHost;
    };
    this.#server = new ServerHost(cluster as Cluster);
    cluster.server = this.#server;
    this.#cluster = cluster as Cluster;
    this.#scheduler = scheduler;
    this.#oracle = oracle;
    this.#trace = trace;
    const batch = new BatchSystem(this.#cluster);
    const harvester = new HarvesterHost(this.#cluster, batch);
    this.#parts = { cluster: this.#cluster, batch, harvester, users: new Users(this.#cluster) };
  }

  threw(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#oracle.report("sound", text);
  }

  async run(): Promise<void> {
    const { harvester, users } = this.#parts;
    const { shape } = this.#cluster;
    this.#scheduler.after(0, () => this.#server.start());
    this.#scheduler.after(0, () => harvester.start());
    this.#scheduler.after(10, () => users.setUp());
    for (const action of this.#plan)
      this.#scheduler.after(action.atMs, () => perform(this.#parts, action));
    this.#look();
    await this.#runFor(shape.troubledMs);
    if (shape.heals) await this.#come();
    else await this.#restartOnce();
  }

  get result(): Simulated {
    return {
      seed: this.#seed,
      violation: this.#oracle.violation,
      events: this.#scheduler.events,
      journaled: this.#oracle.durable.length,
      actions: this.#plan.length,
      simulatedMs: this.#scheduler.nowMs,
      trace: this.#trace.lines,
      shape: this.#cluster.shape,
      tally: this.#oracle.tally,
      calmMs: this.#calmMs,
    };
  }

  get #isOver(): boolean {
    return this.#oracle.violation !== null;
  }

  async #runFor(ms: number): Promise<void> {
    await this.#scheduler.run(this.#scheduler.nowMs + ms, () => this.#isOver);
  }

  /** Compares the state with the rules and with the journal, whenever the server owes the disk nothing. */
  #look(): void {
    this.#scheduler.after(LOOK_EVERY_MS, () => {
      this.#compare("at a look");
      this.#look();
    });
  }

  #compare(when: string): void {
    const { core } = this.#server;
    if (core !== null && this.#server.isIdle) this.#oracle.checkState(core, when);
  }

  /** Safety: whatever was promised is there after one more restart. */
  async #restartOnce(): Promise<void> {
    this.#server.crash("the end");
    this.#server.startAfter(100);
    await this.#runFor(5_000);
    this.#compare("at the end");
  }

  /** Liveness: the faults stop, and everything comes to its end. */
  async #come(): Promise<void> {
    heal(this.#parts);
    const calmFromMs = this.#scheduler.nowMs;
    const { batch, harvester, users } = this.#parts;
    const tasks = () => [...this.#oracle.model.tasks.values()];
    await this.#until(ENDS_WITHIN_MS, () => {
      users.putInOrder();
      return this.#server.isUp && users.isQuiet && tasks().every(hasEnded);
    });
    this.#calmMs = this.#scheduler.nowMs - calmFromMs;
    const stuck = tasks().filter((task) => !hasEnded(task));
    this.#oracle.must(this.#isOver || stuck.length === 0, "ends", () =>
      stuck
        .map(
          (task) =>
            `task ${task.id} is ${task.state}: ${JSON.stringify(task.counts)}, run ${task.run?.run}, ${task.jobs.size} jobs`,
        )
        .join("; "),
    );
    const hasLeft = (): boolean =>
      batch.alive.length === 0 && batch.activeJobs === 0 && harvester.submissions === 0;
    await this.#until(LEAVES_WITHIN_MS, hasLeft);
    if (this.#isOver) return;
    this.#oracle.must(
      hasLeft(),
      "leak",
      () =>
        `${batch.alive.map(({ name }) => name).join(", ")} live on, ${batch.activeJobs} jobs and ${harvester.submissions} submissions are left`,
    );
    await this.#runFor(120_000);
    this.#checkLeft();
    this.#compare("at the end");
  }

  async #until(ms: number, isDone: () => boolean): Promise<void> {
    const untilMs = this.#scheduler.nowMs + ms;
    while (!this.#isOver && !isDone() && this.#scheduler.nowMs < untilMs)
      await this.#runFor(STEP_MS);
  }

  /** Nothing of what is over is kept. */
  #checkLeft(): void {
    if (this.#isOver) return;
    const { core, middle, sessionCount } = this.#server;
    const { live } = middle;
    // Of what ended after a backup was made nobody tells a server that was restored from it.
    const wasRestored = core !== null && core.incarnation > 1;
    const started = [...(core?.submissions.values() ?? [])].filter(
      ({ pilotId }) => pilotId !== null,
    );
    this.#oracle.must(
      core?.leasesByPilot.size === 0 &&
        core.activeTasks.size === 0 &&
        (started.length === 0 || wasRestored),
      "leak",
      () =>
        `${core?.leasesByPilot.size} pilots hold leases, ${started.length} submissions have not ended`,
    );
    this.#oracle.must(
      sessionCount <= 1 && live.pilots.size === 0 && live.waiting.size === 0,
      "leak",
      () =>
        `${sessionCount} sessions, ${live.pilots.size} pilots and ${live.waiting.size} kinds of waiting slots are left`,
    );
  }
}
