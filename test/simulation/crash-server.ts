/** The server's inside - journal, head, snapshots, blobs, batches, reactor - on a simulated disk and a clock that is moved by hand. */
import { createHash } from "node:crypto";
import type { HyperpilotError } from "../../protocol/errors.ts";
import type { FromPilot, ToPilot } from "../../protocol/pilot-messages.ts";
import { createBatcher } from "../../server/batch.ts";
import type { Blobs } from "../../server/blobs/blobs.ts";
import { openDiskBlobs } from "../../server/blobs/disk-blobs.ts";
import type { Core } from "../../server/core.ts";
import { createEngine, type RunningEngine } from "../../server/engine-loop.ts";
import type { Effect } from "../../server/inbox.ts";
import { createChainedJournal } from "../../server/journal/chained-journal.ts";
import type { Journal } from "../../server/journal/journal.ts";
import { startSnapshot } from "../../server/journal/snapshot-maker.ts";
import { createLive } from "../../server/live.ts";
import { restore } from "../../server/restore.ts";
import type { FakeClock } from "../support/fake-clock.ts";
import { createDiskStore } from "./disk-store.ts";
import type { SimulatedDisk } from "./disk.ts";

const DIRECTORY = "/data/journal";
const SNAPSHOTS = "/data/journal/snapshots";
/** Longer than a batch's interval. */
const STEP_MS = 3;
const STEPS_MAX = 2_000;

/** The process is gone, or has ended itself because its storage failed. */
export class Gone extends Error {
  override readonly name = "Gone";
}

export class CrashServer {
  readonly clock: FakeClock;
  core!: Core;
  blobs!: Blobs;
  fatal: HyperpilotError | null = null;
  private readonly disk: SimulatedDisk;
  private readonly toPilot: (session: string, message: ToPilot) => void;
  private journal!: Journal;
  private engine!: RunningEngine;

  constructor(
    disk: SimulatedDisk,
    clock: FakeClock,
    toPilot: (session: string, message: ToPilot) => void,
  ) {
    this.disk = disk;
    this.clock = clock;
    this.toPilot = toPilot;
  }

  private openJournal(): Journal {
    const { disk, clock } = this;
    return createChainedJournal({
      store: createDiskStore(disk, DIRECTORY),
      disk,
      directory: DIRECTORY,
      clock,
      onHeadFailed: (error) => (this.fatal ??= error),
    });
  }

  /** Rejects with {@link Gone} when the machine fails meanwhile, and with the server's own error when it refuses to start. */
  async start(): Promise<void> {
    await this.during(this.open());
  }

  private async open(): Promise<void> {
    const { disk, clock } = this;
    await disk.makeDirectory("/data");
    await disk.syncDirectory("/");
    this.journal = this.openJournal();
    const { core, term } = await restore(this.journal, { disk, directory: SNAPSHOTS });
    this.core = core;
    this.blobs = await openDiskBlobs("/data/blobs", disk);
    const batcher = createBatcher({
      journal: this.journal,
      term,
      clock,
      nextSeq: core.seq + 1,
      onFatal: (error) => (this.fatal ??= error),
    });
    this.engine = createEngine({
      reactor: {
        core,
        live: createLive(),
        ports: {
          sha256: (text) => createHash("sha256").update(text).digest("hex"),
          leaseToken: () => "token",
        },
      },
      clock,
      batcher,
      execute: (effect) => this.execute(effect),
      defer: (work) => void Promise.resolve().then(work),
    });
    this.engine.post({ type: "started" });
  }

  private execute(effect: Effect): void {
    if (this.isGone) return;
    if (effect.type === "toPilot") this.toPilot(effect.session, effect.message);
    if (effect.type !== "ask") return;
    const { taskId, run, epoch } = effect;
    const wanted = this.core.tasks.get(taskId)?.run?.wanted ?? 0;
    const texts = Array.from({ length: wanted }, (_, n) => `{"x":${run}.${n}}`);
    const answer = { ok: true, parts: [{ segment: 0, texts, exhausted: null }] } as const;
    this.engine.post({ type: "proposed", taskId, run, epoch, answer });
  }

  get isGone(): boolean {
    return this.disk.hasCrashed || this.fatal !== null;
  }

  /** Lets time pass until the promise is settled or the server is gone. */
  async during<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const mark = (): void => void (settled = true);
    work.then(mark, mark);
    await this.until(() => settled);
    return work;
  }

  async until(isDone: () => boolean): Promise<void> {
    for (let step = 0; step < STEPS_MAX; step += 1) {
      await new Promise((resolve) => setImmediate(resolve));
      if (isDone()) return;
      if (this.isGone) throw new Gone(this.fatal?.message ?? "the machine went off");
      this.clock.advance(STEP_MS);
    }
    throw new Error("nothing happens any more");
  }

  /** A command; resolves when it is durable. Errors: its own, {@link Gone}. */
  execCommand: RunningEngine["execute"] = (principal, command) =>
    this.during(this.engine.execute(principal, command));

  post(session: string, pilotId: string, submissionId: string, message: FromPilot): void {
    this.engine.post({ type: "pilot", session, pilotId, submissionId, message });
  }

  tick(): void {
    this.engine.post({ type: "tick" });
  }

  /** As the snapshot thread does it. */
  async makeSnapshot(): Promise<void> {
    const work = async (): Promise<void> => {
      const taker = await startSnapshot(this.disk, SNAPSHOTS);
      for await (const record of this.journal.records(taker.fromSeq)) taker.take(record);
      await taker.finish();
    };
    await this.during(work());
  }

  async close(): Promise<void> {
    await this.during(this.engine.stop());
    await this.during(this.journal.close());
  }

  /** All that is on disk, read anew by another journal; the server itself must be closed or gone. */
  async eventsOnDisk(): Promise<{ readonly whole: Core; readonly types: string[] }> {
    const journal = this.openJournal();
    const { core } = await restore(journal);
    const types: string[] = [];
    for await (const { events } of journal.read(1)) {
      for (const event of events) {
        if (event.type === "pointFinal" && event.state !== "notEvaluated")
          types.push(`final ${event.taskId}/${event.pointId}`);
        if (event.type === "attemptEnded")
          types.push(`attempt ${event.taskId}/${event.pointId} ${event.epoch.join(".")}`);
        if (event.type === "runAnswered") types.push(`run ${event.taskId}/${event.run}`);
      }
    }
    await journal.close();
    return { whole: core, types };
  }
}
