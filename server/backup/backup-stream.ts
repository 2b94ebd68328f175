/** A backup as a stream of bytes: the journal as of one moment, then the files. The same from a running server and from a stopped one. */
import { join } from "node:path";
import { z } from "zod";
import { VERSION } from "../../protocol/version.ts";
import type { Blobs } from "../blobs/blobs.ts";
import type { Disk } from "../disk.ts";
import { createChunkWriter } from "../journal/chunks.ts";
import type { Journal } from "../journal/journal.ts";
import { openRecord } from "../journal/record.ts";
import type { StoredRecord } from "../journal/record-store.ts";

export const BACKUP_VERSION = 1;

/** Files of the data directory that a restored server needs besides journal and blobs; those that are not there are left out. */
export const KEY_FILES = ["session-key", "harvester-token", "access.json"] as const;

const GROUP_BYTES = 262_144;
const LIST_PAGE = 1_000;

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array);
const count = z.number().int().nonnegative();

/** The chunks of a backup, in this order: begin, records, files each with their parts, summary. */
export const BackupChunk = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("begin"),
    version: count,
    program: z.string(),
    madeAtMs: z.number(),
    /** What a restored server is to hold, for progress; more may come. */
    eventsAbout: count,
    filesAbout: count,
  }),
  z.object({ type: z.literal("records"), records: z.array(z.tuple([z.string(), bytes])) }),
  /** Followed by parts until `sizeBytes` have come. */
  z.object({ type: z.literal("file"), path: z.string().max(512), sizeBytes: count }),
  z.object({ type: z.literal("part"), bytes }),
  z.object({
    type: z.literal("summary"),
    events: count,
    /** Hash of the last record. */
    hash: z.string(),
    files: count,
    /** Blobs that were deleted while the backup was made. */
    gone: count,
  }),
]);
export type BackupChunk = z.infer<typeof BackupChunk>;

export interface BackupSource {
  readonly journal: Pick<Journal, "records">;
  readonly blobs: Blobs;
  readonly disk: Disk;
  readonly dataDirectory: string;
  readonly wallMs: () => number;
  /** Number of the last event, about. */
  readonly seq: number;
}

/** Bytes of a backup; reads as fast as they are taken. Errors: E_JOURNAL_BROKEN. */
export async function* backupStream(source: BackupSource): AsyncGenerator<Uint8Array> {
  const writer = createChunkWriter();
  const chunk = (value: BackupChunk): Uint8Array => writer.chunk(value);
  yield chunk({
    type: "begin",
    version: BACKUP_VERSION,
    program: VERSION,
    madeAtMs: source.wallMs(),
    eventsAbout: source.seq,
    filesAbout: (await blobNames(source.blobs)).length + KEY_FILES.length,
  });
  let events = 0;
  let hash = "";
  for await (const records of groupsOf(source.journal.records(1))) {
    for (const [key, value] of records) {
      const record = openRecord(key, value, hash === "" ? null : hash);
      ({ lastSeq: events, hash } = record);
    }
    yield chunk({ type: "records", records: records.map(([key, value]) => [key, value]) });
  }
  let files = 0;
  let gone = 0;
  for (const path of KEY_FILES) {
    const content = await source.disk.read(join(source.dataDirectory, path));
    if (content === null) continue;
    yield chunk({ type: "file", path, sizeBytes: content.length });
    yield chunk({ type: "part", bytes: content });
    files += 1;
  }
  // Listed after the records were read: what they name is there, unless it was deleted since.
  for (const sha256 of await blobNames(source.blobs)) {
    const found = await source.blobs.get(sha256);
    if (found === null) {
      gone += 1;
      continue;
    }
    yield chunk({ type: "file", path: blobPath(sha256), sizeBytes: found.info.sizeBytes });
    for await (const part of found.stream) yield chunk({ type: "part", bytes: part as Uint8Array });
    files += 1;
  }
  yield chunk({ type: "summary", events, hash, files, gone });
  yield writer.end();
}

/** Path of a blob in a backup and in a data directory. */
export function blobPath(sha256: string): string {
  return `blobs/${sha256.slice(0, 2)}/${sha256.slice(2)}`;
}

async function blobNames(blobs: Blobs): Promise<string[]> {
  const names: string[] = [];
  for (;;) {
    const page = await blobs.list(names.at(-1) ?? "", LIST_PAGE);
    if (page.length === 0) return names;
    names.push(...page);
  }
}

async function* groupsOf(records: AsyncIterable<StoredRecord>): AsyncGenerator<StoredRecord[]> {
  let group: StoredRecord[] = [];
  let groupBytes = 0;
  for await (const record of records) {
    group.push(record);
    groupBytes += record[1].length;
    if (groupBytes < GROUP_BYTES) continue;
    yield group;
    group = [];
    groupBytes = 0;
  }
  if (group.length > 0) yield group;
}
