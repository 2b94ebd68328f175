/** Saves the state of one running evaluation: at fixed intervals when something has changed, and once more when it is evicted. */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { packTree } from "../common/archive.ts";
import type { Clock, Timer } from "../common/clock.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT, TASK } from "../protocol/limits.ts";
import type { BlobRef } from "../protocol/pilot-messages.ts";
import { formatBytes } from "../protocol/resources.ts";
import { type ChangeWatch, watchForChanges } from "./checkpoint.ts";
import type { CheckpointNames } from "./checkpoint-names.ts";
import { cleanMessage } from "./clean-message.ts";
import type { Permits } from "./permits.ts";
import { type Survey, copySurveyed, survey } from "./snapshot.ts";

export interface CheckpointSaver {
  /** One more save, if something has changed, when the payload is gone. Never rejects: what goes wrong is a warning. */
  finish(): Promise<void>;
  /** No more saves; a running upload is given up. Removes what it has written. */
  stop(): Promise<void>;
  /** What went wrong, for the attempt. */
  readonly warning: string | null;
}

export interface SaverOptions {
  readonly work: string;
  readonly names: CheckpointNames;
  readonly intervalMs: number;
  readonly clock: Clock;
  /** Directory for copies and tarballs; made and removed here. */
  readonly spool: string;
  /** See `needsPolling`. */
  readonly usePolling: boolean;
  /** Shared by all slots of the pilot. */
  readonly packs: Permits;
  /** Brings the tarball to the server. */
  readonly upload: (file: string, blob: BlobRef, signal: AbortSignal) => Promise<void>;
  readonly onSaved: (blob: BlobRef) => void;
  readonly onWarning: (text: string | null) => void;
}

interface Packed {
  readonly seen: Survey;
  readonly file: string;
  readonly blob: BlobRef;
}

const BOUNDS = { entriesMax: PILOT.checkpointEntriesMax, depthMax: PILOT.checkpointDepthMax };
/** A file that changes while it is copied is copied once more; then it is the next interval's turn. */
const COPIES_MAX = 2;

/** Begins; what is there now counts as saved, as it came with the task or is the checkpoint that the evaluation began from. */
export async function createCheckpointSaver(options: SaverOptions): Promise<CheckpointSaver> {
  const { signature } = await survey(options.work, options.names, BOUNDS);
  return new Saver(options, signature);
}

class Saver implements CheckpointSaver {
  readonly #options: SaverOptions;
  readonly #watch: ChangeWatch;
  readonly #stopped = new AbortController();
  warning: string | null = null;
  /** Signature of what was saved last, or found to be unfit. */
  #known: string;
  #lastSha256 = "";
  /** One save at a time. */
  #saving: Promise<void> = Promise.resolve();
  #isSaving = false;
  #mustLook = false;
  #timer: Timer;

  constructor(options: SaverOptions, known: string) {
    this.#options = options;
    this.#known = known;
    const { work, names, usePolling } = options;
    this.#watch = watchForChanges(work, names, usePolling);
    this.#timer = this.#schedule();
  }

  async finish(): Promise<void> {
    this.#timer.cancel();
    await this.#saving;
    await this.#save();
  }

  async stop(): Promise<void> {
    this.#timer.cancel();
    this.#stopped.abort(new Error("the evaluation has ended"));
    await this.#saving;
    await this.#watch.close();
    await rm(this.#options.spool, { recursive: true, force: true });
  }

  #schedule(): Timer {
    const { clock, intervalMs } = this.#options;
    return clock.setTimer(intervalMs, () => {
      this.#timer = this.#schedule();
      const changed = this.#watch.takeChanged();
      if (this.#isSaving) this.#mustLook ||= changed;
      else if (changed || this.#mustLook) this.#saving = this.#save();
    });
  }

  #isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  async #save(): Promise<void> {
    if (this.#isStopped()) return;
    this.#isSaving = true;
    this.#mustLook = false;
    const { spool, packs } = this.#options;
    try {
      try {
        const packed = await packs.run(() => this.#copyAndPack());
        if (packed !== null) await this.#bring(packed);
      } finally {
        await rm(spool, { recursive: true, force: true });
      }
    } catch (error) {
      this.#mustLook = true;
      if (!this.#isStopped()) this.#warn(`a checkpoint could not be saved: ${textOf(error)}`);
    } finally {
      this.#isSaving = false;
    }
  }

  /** A complete state as a tarball; null: there is none to be brought away. */
  async #copyAndPack(): Promise<Packed | null> {
    const { work, names, spool } = this.#options;
    const copy = join(spool, "copy");
    await mkdir(spool, { recursive: true, mode: 0o700 });
    for (let tries = 1; tries <= COPIES_MAX && !this.#isStopped(); tries += 1) {
      const seen = await survey(work, names, BOUNDS);
      if (seen.signature === this.#known) return null;
      const problem = unfitness(seen);
      if (problem !== null) return this.#refuse(seen, problem);
      await rm(copy, { recursive: true, force: true });
      const isCopied = await copySurveyed(work, seen, copy);
      const after = await survey(work, names, BOUNDS);
      if (!isCopied || after.signature !== seen.signature) continue;
      const file = join(spool, "checkpoint.tgz");
      const blob = await packTree(copy, file);
      if (blob.sizeBytes <= TASK.checkpointBytesMax) return { seen, file, blob };
      return this.#refuse(seen, tooLarge(seen, "its tarball has", blob.sizeBytes));
    }
    // Whoever writes all the time is caught between two writes some time.
    this.#mustLook = true;
    return null;
  }

  async #bring({ seen, file, blob }: Packed): Promise<void> {
    const { upload, onSaved } = this.#options;
    if (blob.sha256 !== this.#lastSha256) {
      await upload(file, blob, this.#stopped.signal);
      this.#lastSha256 = blob.sha256;
      onSaved(blob);
    }
    this.#known = seen.signature;
    this.#warn(leftOut(seen));
  }

  /** The evaluation goes on, and the checkpoint before stays. */
  #refuse(seen: Survey, problem: string): null {
    this.#known = seen.signature;
    this.#warn(`the checkpoint is not saved, the one before stays: ${problem}`);
    return null;
  }

  #warn(text: string | null): void {
    const warning = text === null ? null : cleanMessage(text, PILOT.warningBytesMax);
    if (warning === this.warning) return;
    this.warning = warning;
    this.#options.onWarning(warning);
  }
}

function unfitness(seen: Survey): string | null {
  if (seen.unfit !== null) return seen.unfit;
  if (seen.sumBytes <= TASK.checkpointBytesMax) return null;
  return tooLarge(seen, "its files have", seen.sumBytes);
}

/** The largest files with their sizes: what to leave out, or to make smaller. */
function tooLarge(seen: Survey, what: string, bytes: number): string {
  const largest = [...seen.files]
    .sort((a, b) => b.sizeBytes - a.sizeBytes)
    .slice(0, PILOT.checkpointFilesNamed)
    .map(({ parts, sizeBytes }) => `${parts.join("/")} ${sizeBytes} bytes`);
  const more = seen.files.length - largest.length;
  const others = more > 0 ? ` and ${more} smaller files` : "";
  return `${what} ${bytes} bytes (${formatBytes(bytes)}), and less than 100 MB are taken: ${largest.join(", ")}${others}`;
}

function leftOut({ left }: Survey): string | null {
  if (left.length === 0) return null;
  const named = left.slice(0, PILOT.checkpointFilesNamed).join(", ");
  return `links and special files are not saved with a checkpoint: ${named}${left.length > PILOT.checkpointFilesNamed ? ", ..." : ""}`;
}

function textOf(error: unknown): string {
  if (!(error instanceof HyperpilotError)) return errorText(error);
  return error.why === undefined ? error.message : `${error.message} ${error.why}`;
}
