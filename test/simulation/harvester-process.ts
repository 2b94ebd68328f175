/** The harvester's process: the real program and planner, with its submissions on a disk that outlives it. */
import { openLink, type Link } from "../../common/link.ts";
import { createHarvester, type Harvester } from "../../harvester/program.ts";
import type { SubmissionFile, Submissions } from "../../harvester/submissions.ts";
import {
  BootFile,
  ToHarvesterFrame,
  type FromHarvester,
  type ToHarvester,
} from "../../protocol/harvester-messages.ts";
import { HARVESTER_SOCKET_PATH } from "../../protocol/routes.ts";
import { OUR_RANGE } from "../../protocol/version.ts";
import type { BatchSystem } from "./batch-system.ts";
import { startProcess, type Cluster } from "./cluster.ts";
import { openSocketFrom } from "./open-socket.ts";
import type { Process } from "./process.ts";

const SERVER = "http://server.invalid";
const HOST = "harvester";

export class HarvesterHost {
  readonly #cluster: Cluster;
  readonly #batch: BatchSystem;
  /** What stands on the harvester's disk. */
  readonly #notes = new Map<string, SubmissionFile>();
  readonly #boots = new Map<string, BootFile>();
  #process: Process | null = null;
  #starts = 0;

  constructor(cluster: Cluster, batch: BatchSystem) {
    this.#cluster = cluster;
    this.#batch = batch;
  }

  get isUp(): boolean {
    return this.#process?.isAlive === true;
  }

  get process(): Process | null {
    return this.isUp ? this.#process : null;
  }

  get submissions(): number {
    return this.#notes.size;
  }

  start(): void {
    if (this.isUp) return;
    this.#starts += 1;
    const cluster = this.#cluster;
    const process = startProcess(cluster, `harvester-${this.#starts}`);
    this.#process = process;
    const { clock } = process;
    const log = cluster.trace.logger(HOST);
    const driver = this.#batch.driver(process, (id) => this.#boots.get(id));
    const harvester = createHarvester({
      clock,
      log,
      submissions: this.#submissions(),
      driver,
      server: SERVER,
    });
    const link = this.#connect(process, harvester);
    harvester.start((messages) => link.send(messages));
    process.onEnd(() => cluster.network.ended(process));
  }

  crash(): void {
    this.#cluster.trace.note(HOST, () => "dies");
    this.#process?.end();
  }

  #connect(process: Process, harvester: Harvester): Link<FromHarvester> {
    const cluster = this.#cluster;
    const random = cluster.random.fork(process.name);
    const link: Link<FromHarvester> = openLink<ToHarvester, FromHarvester>({
      url: SERVER.replace(/^http/, "ws") + HARVESTER_SOCKET_PATH,
      token: () => "harvester",
      caFingerprint: null,
      clock: process.clock,
      random: () => random.next(),
      parse: (value) => ToHarvesterFrame.parse(value),
      onOpen: () => {
        link.send([
          {
            type: "hello",
            ...{ protocol: OUR_RANGE, harvester: "h", sites: [] },
            // Its id stands on its disk; each start is a new instance.
            ...{ id: "h", instance: process.name, version: "0", host: HOST },
          },
        ]);
        harvester.onConnected();
      },
      onMessage: (message) => {
        cluster.trace.note(
          HOST,
          () =>
            `<- ${message.type} ${"pilots" in message ? `${message.queue.name} ${message.pilots}` : ""}`,
        );
        harvester.onMessage(message);
      },
      onClosed: () => harvester.onDisconnected(),
      onRefused: () => true,
      openSocket: openSocketFrom(cluster, process, HOST),
    });
    return link;
  }

  #submissions(): Submissions {
    const notes = this.#notes;
    return {
      directoryOf: (id) => `/submissions/${id}`,
      batchOf: (id) => notes.get(id)?.batch ?? { kind: "local" },
      outputOf: () => null,
      active: () => [...notes.values()],
      prepare: ({ server, secret, queue, submissionId }) => {
        const { name, batch } = queue;
        notes.set(submissionId, { submissionId, queue: name, batch, batchId: null });
        this.#boots.set(submissionId, BootFile.parse({ server, secret, queue, submissionId }));
        return `/submissions/${submissionId}/boot.json`;
      },
      noteBatchId: (id, batchId) => {
        const note = notes.get(id);
        if (note !== undefined) notes.set(id, { ...note, batchId });
      },
      end: (id) => {
        notes.delete(id);
        this.#boots.delete(id);
      },
    };
  }
}
