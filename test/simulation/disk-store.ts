/** A record store in one file of a Disk: each record is synced, and a torn one at the end is dropped at the next open, as LevelDB does. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { brokenJournal } from "../../server/journal/journal-errors.ts";
import type { RecordStore, StoredRecord } from "../../server/journal/record-store.ts";
import type { Disk, NewFile } from "../../server/disk.ts";

const HEADER_BYTES = 12;

export function createDiskStore(disk: Disk, directory: string): RecordStore {
  const path = join(directory, "log");
  let records: StoredRecord[] = [];
  let file: NewFile | null = null;

  async function put(added: readonly StoredRecord[]): Promise<void> {
    if (file === null) throw new Error("the store is not open");
    await file.write(Buffer.concat(added.map(framed)));
    await file.sync();
    records.push(...added);
  }

  return {
    async open({ createIfMissing }) {
      const bytes = await disk.read(path);
      if (bytes === null && !createIfMissing) throw brokenJournal(0, "its log is missing");
      records = parsed(bytes ?? new Uint8Array());
      file = await disk.create(`${path}.new`);
      await file.write(Buffer.concat(records.map(framed)));
      await file.sync();
      await disk.rename(`${path}.new`, path);
      await disk.syncDirectory(directory);
    },
    put: (key, value) => put([[key, value]]),
    putMany: put,
    async *entries({ reverse = false, limit = Number.POSITIVE_INFINITY, gte, lte }) {
      const found = records.filter(
        ([key]) => (gte === undefined || key >= gte) && (lte === undefined || key <= lte),
      );
      if (reverse) found.reverse();
      for (const record of found.slice(0, limit)) yield await Promise.resolve(record);
    },
    async close() {
      await file?.close();
      file = null;
    },
  };
}

/** Length, first bytes of a hash, and the record as JSON. */
function framed([key, value]: StoredRecord): Buffer {
  const body = Buffer.from(JSON.stringify([key, Buffer.from(value).toString("base64")]));
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32BE(body.length);
  hashOf(body).copy(header, 4, 0, 8);
  return Buffer.concat([header, body]);
}

function parsed(bytes: Uint8Array): StoredRecord[] {
  const all = Buffer.from(bytes);
  const records: StoredRecord[] = [];
  for (let at = 0; at + HEADER_BYTES <= all.length;) {
    const end = at + HEADER_BYTES + all.readUInt32BE(at);
    const body = all.subarray(at + HEADER_BYTES, end);
    if (
      end > all.length ||
      !hashOf(body)
        .subarray(0, 8)
        .equals(all.subarray(at + 4, at + 12))
    )
      break;
    const [key, value] = JSON.parse(body.toString()) as [string, string];
    records.push([key, new Uint8Array(Buffer.from(value, "base64"))]);
    at = end;
  }
  return records;
}

function hashOf(body: Uint8Array): Buffer {
  return createHash("sha256").update(body).digest();
}
