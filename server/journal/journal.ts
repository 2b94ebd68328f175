/** The Journal port: an append-only chain of batches of events, durable when `append` resolves. */
import type { HyperpilotEvent } from "../events.ts";
import type { StoredRecord } from "./record-store.ts";

/** The last batch that is known to be durable. `seq` is the sequence number of its last event; 0 and an empty hash: none. */
export interface Head {
  readonly seq: number;
  /** sha256, hex, of the last record. */
  readonly hash: string;
}

export interface Batch {
  /** Sequence number of the first event; events are numbered without gaps from 1. */
  readonly firstSeq: number;
  readonly events: readonly HyperpilotEvent[];
}

export interface Journal {
  /**
   * Opens the journal, takes over from any former writer and checks that it reaches `head`.
   * Errors: E_JOURNAL_LOCKED (another process has it), E_JOURNAL_BROKEN (gap, hash mismatch, ends before its head).
   */
  open(): Promise<{ readonly term: number; readonly head: Head }>;
  /**
   * All batches from the one that holds `fromSeq`, in order, each checked against the chain. With the hash of the record before,
   * that record must end right before `fromSeq`. Throws E_JOURNAL_BROKEN, E_JOURNAL_VERSION (written by a newer program).
   */
  read(fromSeq: number, previousHash?: string): AsyncIterable<Batch>;
  /** The records as they are stored, unchecked, from the one that holds `fromSeq` to the last that is durable now. */
  records(fromSeq: number): AsyncIterable<StoredRecord>;
  /** The event with this number, or undefined. */
  event(seq: number): Promise<HyperpilotEvent | undefined>;
  /**
   * Appends; resolves when the batch is on disk. Several may be in flight; they complete in order.
   * Errors: E_FENCED (a newer open took over), E_JOURNAL_WRITE (the caller must stop the process: nothing after it is certain).
   */
  append(batch: Batch, term: number): Promise<void>;
  close(): Promise<void>;
}
