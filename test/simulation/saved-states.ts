/** Checkpoints of payloads that only pretend: a state is the number of the step that an evaluation has come to. */
import { createHash } from "node:crypto";
import { tryAgain } from "../../pilot/try-again.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { itemKey, type Item } from "../../protocol/ids.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { BlobRef, GrantedItem } from "../../protocol/pilot-messages.ts";
import type { Oracle } from "./oracle.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** Requests of one pilot under a lease. */
export interface StateRequests {
  putCheckpoint(token: string, blob: BlobRef, text: string): Promise<void>;
  getCheckpoint(token: string, sha256: string): Promise<string>;
}

export interface SavingNode {
  readonly oracle: Oracle;
  readonly process: Process;
  readonly requests: StateRequests;
}

export interface RestoredState {
  readonly step: number;
  /** null: it begins anew. */
  readonly sha256: string | null;
}

/** The same step of the same point is the same state, whoever comes to it. */
function textOf(item: Item, step: number): string {
  return `${itemKey(item)} step ${step}`;
}

function stepIn(item: Item, text: string): number | null {
  const key = `${itemKey(item)} step `;
  return text.startsWith(key) ? Number(text.slice(key.length)) : null;
}

/** A request that is given up at a signal, as the real ones are. */
function upTo<T>(signal: AbortSignal, request: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(new Error("given up"));
    signal.addEventListener("abort", abort, { once: true });
    if (signal.aborted) abort();
    request.then(resolve, reject).finally(() => signal.removeEventListener("abort", abort));
  });
}

/** The first of the granted states that is whole, as the pilot does it. Throws what is about the lease or the way to the server. */
export async function restoreState(
  { oracle, process, requests }: SavingNode,
  { item, token, checkpoints = [] }: GrantedItem,
  { signal, random }: { readonly signal: AbortSignal; readonly random: Random },
): Promise<RestoredState> {
  const patience = {
    clock: process.clock,
    random: () => random.next(),
    timeoutMs: PILOT.stageTimeoutMs,
    signal,
  };
  for (const { sha256 } of checkpoints) {
    try {
      const text = await tryAgain(patience, () =>
        upTo(signal, requests.getCheckpoint(token, sha256)),
      );
      const step = stepIn(item, text);
      oracle.must(step !== null, "resumed", () => `${itemKey(item)} goes on from '${text}'`);
      oracle.reached("evaluation continued");
      if (sha256 !== checkpoints[0]?.sha256) oracle.reached("continued from the one before");
      return { step: step ?? 0, sha256 };
    } catch (error) {
      const isOfState =
        error instanceof HyperpilotError &&
        (error.code === "E_CHECKSUM" || error.code === "E_NOT_FOUND");
      if (!isOfState) throw error;
    }
  }
  return { step: 0, sha256: null };
}

export interface StateSaver {
  /** Begins to save what has been reached; one at a time. */
  save(step: number): void;
  /** Waits for what is under way, and saves once more. */
  finish(step: number): Promise<void>;
  /** Gives up what is under way. */
  stop(): Promise<void>;
}

/** Brings states to the server and says so, as the pilot does; what cannot be saved is left to the next time. */
export function createStateSaver(
  { process, requests }: SavingNode,
  { item, token }: GrantedItem,
  { random, onSaved }: { readonly random: Random; readonly onSaved: (blob: BlobRef) => void },
): StateSaver {
  const stopped = new AbortController();
  const isStopped = (): boolean => stopped.signal.aborted;
  let saving: Promise<void> = Promise.resolve();
  let isSaving = false;
  let last = "";
  async function bring(step: number, timeoutMs: number): Promise<void> {
    const text = textOf(item, step);
    const sha256 = createHash("sha256").update(text).digest("hex");
    if (isStopped() || sha256 === last) return;
    const blob = { sha256, sizeBytes: text.length };
    const patience = {
      clock: process.clock,
      random: () => random.next(),
      timeoutMs,
      signal: stopped.signal,
    };
    isSaving = true;
    try {
      await tryAgain(patience, () =>
        upTo(stopped.signal, requests.putCheckpoint(token, blob, text)),
      );
      if (isStopped()) return;
      last = sha256;
      onSaved(blob);
    } catch (error) {
      if (!(error instanceof HyperpilotError) && !isStopped()) throw error;
    } finally {
      isSaving = false;
    }
  }
  return {
    save(step) {
      if (!isSaving) saving = bring(step, PILOT.checkpointUploadMs);
    },
    async finish(step) {
      await saving;
      await bring(step, PILOT.evictedUploadMs);
    },
    async stop() {
      stopped.abort(new Error("the evaluation has ended"));
      await saving;
    },
  };
}
