/** Form of one journal record: a batch, chained to the one before by sha256. */
import { createHash } from "node:crypto";
import { decodeTrusted, encode } from "../../protocol/codec.ts";
import { errorText } from "../../protocol/errors.ts";
import { brokenJournal, tooNew } from "./journal-errors.ts";
import type { Batch } from "./journal.ts";
import { presentEvent } from "./present-event.ts";

const RECORD_VERSION = 1;

/** Hash before the first record. */
export const NO_HASH = "0".repeat(64);

export interface EncodedRecord {
  readonly key: string;
  readonly value: Uint8Array;
  /** sha256, hex: of the previous hash, the first sequence number and the events. */
  readonly hash: string;
}

/** Fixed width, so that keys sort as numbers do. */
export function recordKey(firstSeq: number): string {
  return firstSeq.toString(16).padStart(14, "0");
}

export function encodeRecord(batch: Batch, previousHash: string): EncodedRecord {
  const body = encode(batch.events);
  const hash = hashOf(previousHash, batch.firstSeq, body);
  const value = encode([RECORD_VERSION, batch.events.length, previousHash, hash, body]);
  return { key: recordKey(batch.firstSeq), value, hash };
}

/** A record whose bytes are those that were written; its events are not looked at yet. */
export interface OpenedRecord {
  readonly firstSeq: number;
  readonly lastSeq: number;
  readonly hash: string;
  /** The events, encoded. */
  readonly body: Uint8Array;
}

/** Checks one record against the chain. Errors: E_JOURNAL_BROKEN. */
export function openRecord(
  key: string,
  value: Uint8Array,
  previousHash: string | null,
): OpenedRecord {
  const firstSeq = Number.parseInt(key, 16);
  let fields: unknown;
  try {
    fields = decodeTrusted(value);
  } catch (error) {
    throw brokenJournal(firstSeq, `its record cannot be read: ${errorText(error)}`);
  }
  const [version, count, previous, hash, body] = Array.isArray(fields) ? (fields as unknown[]) : [];
  if (typeof version === "number" && version > RECORD_VERSION)
    throw tooNew(
      firstSeq,
      `Its record has version ${version}, this program reads ${RECORD_VERSION}.`,
    );
  if (version !== RECORD_VERSION)
    throw brokenJournal(firstSeq, "its record has an unknown version");
  const isShaped =
    typeof previous === "string" && typeof hash === "string" && body instanceof Uint8Array;
  if (!isShaped || typeof count !== "number")
    throw brokenJournal(firstSeq, "its record has an unknown shape");
  if (previousHash !== null && previous !== previousHash) {
    throw brokenJournal(firstSeq, "its record does not follow the one before (hash chain)");
  }
  if (hashOf(previous, firstSeq, body) !== hash)
    throw brokenJournal(firstSeq, "its record was changed (hash)");
  return { firstSeq, lastSeq: firstSeq + count - 1, hash, body };
}

export interface DecodedRecord {
  readonly batch: Batch;
  readonly hash: string;
  readonly lastSeq: number;
}

/** Decodes and checks one record against the chain, its events in their present form. Errors: E_JOURNAL_BROKEN, E_JOURNAL_VERSION. */
export function decodeRecord(
  key: string,
  value: Uint8Array,
  previousHash: string | null,
): DecodedRecord {
  const { firstSeq, lastSeq, hash, body } = openRecord(key, value, previousHash);
  const written = decodeTrusted(body);
  if (!Array.isArray(written) || written.length !== lastSeq - firstSeq + 1)
    throw brokenJournal(firstSeq, "its record holds another number of events than it says");
  const events = written.map((event, index) => presentEvent(event, firstSeq + index));
  return { batch: { firstSeq, events }, hash, lastSeq };
}

/** A batch that would leave a hole, or be none, is a mistake of the caller: the journal stays as it is. */
export function misfitOf(batch: Batch, tailSeq: number): Error | null {
  if (batch.firstSeq === tailSeq + 1 && batch.events.length > 0) return null;
  const what = `${batch.events.length} events from ${batch.firstSeq} on`;
  return new Error(`a batch of ${what} does not follow a journal that ends at ${tailSeq}`);
}

function hashOf(previousHash: string, firstSeq: number, body: Uint8Array): string {
  return createHash("sha256").update(`${previousHash}:${firstSeq}:`).update(body).digest("hex");
}
