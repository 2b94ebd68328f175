/** People at work: they submit, look, change their minds, and try again when nobody answers. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { QueueConfig } from "../../protocol/queue.ts";
import type {
  Command,
  CommandOf,
  CommandValues,
  ControlAction,
  Principal,
} from "../../server/inbox.ts";
import { startProcess, type Cluster } from "./cluster.ts";
import { hasEnded, type TaskModel } from "./model.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";
import { drawSearch } from "./searches.ts";
import { requestsOf } from "./server-process.ts";

const HOST = "desk";
const RETRY_MS = 3_000;
const CONTROLS: readonly ControlAction[] = [
  "pause",
  "pause",
  "resume",
  "resume",
  "finish",
  "hardFinish",
  "kill",
];

export class Users {
  readonly #cluster: Cluster;
  readonly #process: Process;
  readonly #requests: ReturnType<typeof requestsOf>;
  #queues: QueueConfig[] = [];
  /** What they insist on and have no answer to yet. */
  #wishes = 0;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#process = startProcess(cluster, HOST);
    this.#requests = requestsOf(cluster, this.#process, HOST);
  }

  /** Sets up the queues, as an operator does before anybody submits. */
  setUp(): void {
    const { shape } = this.#cluster;
    const common = {
      idleSeconds: shape.idleSeconds,
      leaseSeconds: shape.leaseSeconds,
      limits: { maxPilots: shape.maxPilots, maxQueued: 10, maxPerCycle: 4, maxSlotsPerPilot: null },
    };
    const names = shape.maxPilots > 2 ? ["grid", "farm"] : ["grid"];
    this.#queues = [
      ...names.map((name) => QueueConfig.parse({ ...common, name })),
      QueueConfig.parse({
        ...common,
        name: "central",
        role: "central",
        limits: { ...common.limits, maxPilots: 2 },
      }),
    ];
    for (const config of this.#queues) this.#insist({ type: "putQueue", config });
  }

  submit(random: Random, name: string): void {
    const search = drawSearch(random, this.#cluster.shape, name);
    this.#cluster.habits.set(search.spec.clientTaskUuid, search.habits);
    const command = { type: "submitTask", spec: search.spec } as const;
    this.#insist(command, random.pick(["anna", "bert"]));
  }

  /** The same search once more, as somebody does who has not seen an answer. */
  submitAgain(random: Random): void {
    const task = this.#anyTask(random);
    if (task !== null) void this.#try({ type: "submitTask", spec: task.spec }, task.owner);
  }

  control(random: Random): void {
    const task = this.#anyTask(random);
    if (task === null) return;
    void this.#try({ type: "controlTask", taskId: task.id, action: random.pick(CONTROLS) });
  }

  changeLimits(random: Random): void {
    const task = this.#anyTask(random);
    if (task === null) return;
    const { maxPoints, parallel, maxJobs } = task.limits;
    const limits = random.pick([
      { maxPoints: Math.max(1, maxPoints + random.int(-2, 4)) },
      { nParallelEvaluation: Math.max(1, parallel + random.int(-2, 2)) },
      { maxEvaluationJobs: Math.max(1, maxJobs + random.int(-1, 4)) },
      { maxPoints: maxPoints + 2, maxEvaluationJobs: maxJobs + 4 },
    ]);
    void this.#try({ type: "changeLimits", taskId: task.id, limits });
  }

  retry(random: Random): void {
    const task = this.#anyTask(random);
    if (task === null || task.points.size > 25) return;
    const over = [...task.points.values()].filter(
      ({ state, isRetried }) => state !== "ready" && state !== "leased" && !isRetried,
    );
    if (over.length === 0) return;
    const pointIds = [random.pick(over).id];
    void this.#try({ type: "retryPoints", taskId: task.id, pointIds });
  }

  setQueue(random: Random): void {
    const config = random.pick(this.#queues);
    const state = random.pick(["online", "online", "test", "drain", "offline"] as const);
    void this.#try({ type: "putQueue", config: { ...config, state } });
  }

  /** An operator takes a node out of work, or lets it work again. */
  drainNode(random: Random, node: string): void {
    const queue = random.pick(this.#queues).name;
    const drained = random.chance(0.6);
    void this.#try({ type: "drainNode", queue, node, drained, reason: "" });
  }

  /** An operator has a pilot leave, or its job removed. */
  drainPilot(random: Random): void {
    const ids = [...this.#cluster.oracle.model.submissions.keys()];
    if (ids.length === 0) return;
    void this.#try({ type: "drainPilot", id: random.pick(ids), kill: random.chance(0.4) });
  }

  /** Looks at all losses; what is shown must be what was recorded. */
  read(): void {
    const { oracle } = this.#cluster;
    void this.#requests
      .read((core) => {
        for (const task of oracle.model.tasks.values()) {
          for (const point of task.points.values()) {
            const shown = core.tasks.get(task.id)?.points.get(point.id)?.loss ?? null;
            oracle.must(
              Object.is(shown, point.loss),
              "lossFixed",
              () =>
                `point ${task.id}/${point.id} is shown with ${shown}, recorded was ${point.loss}`,
            );
          }
        }
      })
      .catch(expectRefusal);
  }

  /** Brings on what only a person can: paused searches, queues that were taken out. */
  putInOrder(): void {
    const { model } = this.#cluster.oracle;
    for (const task of model.tasks.values()) {
      if (task.state === "paused")
        void this.#try({ type: "controlTask", taskId: task.id, action: "resume" });
    }
    for (const config of this.#queues)
      if (model.queues.get(config.name)?.state !== "online")
        void this.#try({ type: "putQueue", config });
  }

  #anyTask(random: Random): TaskModel | null {
    const tasks = [...this.#cluster.oracle.model.tasks.values()];
    if (tasks.length === 0) return null;
    // Mostly one that goes on, sometimes one that has ended.
    const active = tasks.filter((task) => !hasEnded(task));
    return random.chance(0.75) && active.length > 0 ? random.pick(active) : random.pick(tasks);
  }

  async #try<T extends Command["type"]>(
    command: CommandOf<T>,
    user = "anna",
  ): Promise<CommandValues[T] | null> {
    const principal: Principal = { user, roles: ["user", "admin"] };
    this.#cluster.trace.note(HOST, () =>
      JSON.stringify(command, (key, value: unknown) => (key === "spec" ? undefined : value)),
    );
    try {
      return await this.#requests.execute<T>(principal, command);
    } catch (error) {
      expectRefusal(error);
      return null;
    }
  }

  /** Again and again until there is an answer. */
  #insist<T extends Command["type"]>(command: CommandOf<T>, user = "anna"): void {
    this.#wishes += 1;
    void this.#try<T>(command, user).then((value) => {
      if (value !== null) this.#wishes -= 1;
      else
        this.#process.after(RETRY_MS, () => {
          this.#wishes -= 1;
          this.#insist<T>(command, user);
        });
    });
  }

  /** Nobody wants anything any more, and nothing that was asked for is on its way. */
  get isQuiet(): boolean {
    return this.#wishes === 0 && this.#cluster.network.openRequests === 0;
  }
}

/** What the server may refuse, and answers that never came. Anything else is a fault. */
function expectRefusal(error: unknown): void {
  if (!(error instanceof HyperpilotError) || error.code === "E_INTERNAL") throw error;
}
