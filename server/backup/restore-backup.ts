/** Makes a data directory out of a backup, complete or not at all, and starts its new incarnation. */
import { dirname, join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import type { Disk, NewFile } from "../disk.ts";
import { DamagedChunks, readChunks } from "../journal/chunks.ts";
import { writeHead } from "../journal/head.ts";
import { createLevelJournal, createLevelStore } from "../journal/level-journal.ts";
import { NO_HASH, openRecord } from "../journal/record.ts";
import type { RecordStore, StoredRecord } from "../journal/record-store.ts";
import { restore } from "../restore.ts";
import { damagedBackup, notEmpty } from "./backup-errors.ts";
import { BACKUP_VERSION, BackupChunk, KEY_FILES } from "./backup-stream.ts";
import { newIncarnation } from "./incarnation.ts";
import type { OnProgress } from "./write-backup.ts";

const BLOB_PATH = /^blobs\/[0-9a-f]{2}\/[0-9a-f]{62}$/;

export interface RestoreReport {
  readonly data: string;
  readonly events: number;
  readonly files: number;
  readonly tasks: number;
  /** Leases that ended with the restore. */
  readonly leasesEnded: number;
  readonly incarnation: number;
  readonly nextTaskId: number;
  readonly backupAtMs: number;
}

export interface RestoreRequest {
  readonly from: string;
  /** Not there yet, or empty. */
  readonly data: string;
  readonly clock: Clock;
  readonly onProgress: OnProgress;
}

/** Errors: E_CONFLICT (the directory is not empty), E_BACKUP, E_JOURNAL_BROKEN, E_JOURNAL_VERSION; then nothing is left. */
export async function restoreBackup(disk: Disk, request: RestoreRequest): Promise<RestoreReport> {
  const { from, data } = request;
  if ((await disk.list(data)).length > 0) throw notEmpty(data, "is not empty.");
  if ((await disk.sizeBytes(from)) === null)
    throw damagedBackup(from, new Error("there is no such file"));
  const work = `${data}.restoring`;
  await disk.remove(work);
  try {
    await disk.makeDirectory(work);
    const unpacked = await unpack(disk, work, request);
    const report = await begin(work, request, unpacked.madeAtMs);
    await disk.rename(work, data);
    await disk.syncDirectory(dirname(data));
    return { ...report, events: unpacked.events, files: unpacked.files };
  } catch (error) {
    await disk.remove(work).catch(() => undefined);
    throw error instanceof HyperpilotError ? error : damagedBackup(from, error);
  }
}

interface Unpacked {
  events: number;
  files: number;
  bytes: number;
  hash: string;
  madeAtMs: number;
  eventsAbout: number;
  filesAbout: number;
  isComplete: boolean;
}

async function unpack(disk: Disk, work: string, request: RestoreRequest): Promise<Unpacked> {
  const directory = join(work, "journal");
  await disk.makeDirectory(directory);
  const store = createLevelStore(directory);
  await store.open({ createIfMissing: true });
  const state: Unpacked = {
    events: 0,
    files: 0,
    bytes: 0,
    hash: NO_HASH,
    madeAtMs: 0,
    eventsAbout: 0,
    filesAbout: 0,
    isComplete: false,
  };
  const files = createFileTaker(disk, work);
  try {
    const bytes = disk.stream(request.from, 0) as AsyncIterable<Uint8Array>;
    for await (const value of readChunks(counted(bytes, state))) {
      await takeChunk(state, BackupChunk.parse(value), { store, files });
      request.onProgress(state);
    }
    await files.finish();
    await files.sync();
  } finally {
    await files.close();
    await store.close();
  }
  if (!state.isComplete) throw new DamagedChunks("it has no summary");
  if (state.events > 0)
    await writeHead(disk, join(directory, "head"), {
      seq: state.events,
      hash: state.hash,
      term: 1,
    });
  await disk.syncDirectory(work);
  return state;
}

async function takeChunk(
  state: Unpacked,
  chunk: BackupChunk,
  { store, files }: { readonly store: RecordStore; readonly files: FileTaker },
): Promise<void> {
  switch (chunk.type) {
    case "begin":
      if (chunk.version !== BACKUP_VERSION)
        throw new Error(`it was made by another program (${chunk.program})`);
      state.madeAtMs = chunk.madeAtMs;
      state.eventsAbout = chunk.eventsAbout;
      state.filesAbout = chunk.filesAbout;
      return;
    case "records":
      checkRecords(state, chunk.records);
      return store.putMany(chunk.records);
    case "file":
      state.files += 1;
      return files.begin(chunk.path, chunk.sizeBytes);
    case "part":
      return files.add(chunk.bytes);
    case "summary":
      if (chunk.events !== state.events || chunk.files !== state.files)
        throw new DamagedChunks("it does not hold what its summary says");
      state.isComplete = true;
  }
}

function checkRecords(state: Unpacked, records: readonly StoredRecord[]): void {
  for (const [key, value] of records) {
    const record = openRecord(key, value, state.hash);
    if (record.firstSeq !== state.events + 1)
      throw new DamagedChunks(`event ${state.events + 1} is missing`);
    state.events = record.lastSeq;
    state.hash = record.hash;
  }
}

async function* counted(
  bytes: AsyncIterable<Uint8Array>,
  state: { bytes: number },
): AsyncGenerator<Uint8Array> {
  for await (const part of bytes) {
    state.bytes += part.length;
    yield part;
  }
}

interface FileTaker {
  begin(path: string, sizeBytes: number): Promise<void>;
  add(bytes: Uint8Array): Promise<void>;
  finish(): Promise<void>;
  /** Closes a file that was left open by an error. */
  close(): Promise<void>;
  /** Makes the names of all files durable. */
  sync(): Promise<void>;
}

/** Writes one file after the other, each where a data directory has it and nowhere else. */
function createFileTaker(disk: Disk, work: string): FileTaker {
  let open: { readonly file: NewFile; left: number } | null = null;
  const directories = new Set<string>([work]);
  async function finish(): Promise<void> {
    if (open === null) return;
    if (open.left !== 0) throw new DamagedChunks("a file in it is not complete");
    await open.file.sync();
    await close();
  }
  async function close(): Promise<void> {
    await open?.file.close();
    open = null;
  }
  return {
    finish,
    close,
    async sync() {
      for (const directory of directories) await disk.syncDirectory(directory);
    },
    async begin(path, sizeBytes) {
      await finish();
      if (!BLOB_PATH.test(path) && !KEY_FILES.some((name) => name === path))
        throw new DamagedChunks(
          `it holds a file that no data directory has: ${JSON.stringify(path)}`,
        );
      const target = join(work, path);
      await disk.makeDirectory(dirname(target));
      for (let directory = dirname(target); directory !== work; directory = dirname(directory))
        directories.add(directory);
      open = { file: await disk.create(target), left: sizeBytes };
    },
    async add(bytes) {
      if (open === null || bytes.length > open.left)
        throw new DamagedChunks("a file in it is longer than it says");
      open.left -= bytes.length;
      await open.file.write(bytes);
    },
  };
}

type Begun = Omit<RestoreReport, "events" | "files">;

/** Opens the journal as a server does, which checks all of it, and writes the first batch of the new incarnation. */
async function begin(work: string, request: RestoreRequest, backupAtMs: number): Promise<Begun> {
  const { clock, data } = request;
  const failures: HyperpilotError[] = [];
  const journal = createLevelJournal({
    directory: join(work, "journal"),
    clock,
    onHeadFailed: (error) => void failures.push(error),
  });
  try {
    const { core, term } = await restore(journal);
    const firstSeq = core.seq + 1;
    const now = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    const events = newIncarnation(core, now, backupAtMs);
    await journal.append({ firstSeq, events }, term);
    const leasesEnded = events.filter(({ type }) => type === "leaseEnded").length;
    const { incarnation, nextTaskId, tasks } = core;
    return { data, tasks: tasks.size, leasesEnded, incarnation, nextTaskId, backupAtMs };
  } finally {
    await journal.close();
    const [failure] = failures;
    if (failure !== undefined) throw failure;
  }
}
