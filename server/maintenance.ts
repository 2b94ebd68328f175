/** Programs for the data directory of a server: check, backup, restore. They end by themselves. */
import { join } from "node:path";
import { systemClock } from "../common/clock.ts";
import { backupStream } from "./backup/backup-stream.ts";
import { restoreBackup, type RestoreReport } from "./backup/restore-backup.ts";
import { writeBackup, type BackupReport, type OnProgress } from "./backup/write-backup.ts";
import { diskBlobs } from "./blobs/disk-blobs.ts";
import { fsck, type FsckReport } from "./journal/fsck.ts";
import { withJournalCopy } from "./journal/journal-copy.ts";
import { systemDisk } from "./system-disk.ts";

const disk = systemDisk;
const clock = systemClock;

/** See {@link fsck}. */
export function checkData(options: {
  readonly data: string;
  readonly onProgress: (text: string) => void;
}): Promise<FsckReport> {
  return fsck(disk, { ...options, clock });
}

/**
 * Writes a backup: of a running server from the stream that it answers, of a stopped one from its directory. Errors:
 * E_JOURNAL_LOCKED (the server runs and there is no stream), E_CONFLICT, E_STORAGE_FULL, E_BACKUP, E_JOURNAL_BROKEN.
 */
export function writeBackupFile(options: {
  readonly data: string;
  readonly to: string;
  readonly stream: AsyncIterable<Uint8Array> | null;
  readonly onProgress: OnProgress;
}): Promise<BackupReport> {
  const { data, to, stream, onProgress } = options;
  if (stream !== null) return writeBackup(disk, stream, { to, onProgress });
  return withJournalCopy(join(data, "journal"), clock, (journal, head) => {
    const source = {
      journal,
      blobs: diskBlobs(join(data, "blobs"), disk),
      disk,
      dataDirectory: data,
      wallMs: () => clock.wallMs(),
      seq: head.seq,
    };
    return writeBackup(disk, backupStream(source), { to, onProgress });
  });
}

/** See {@link restoreBackup}. */
export function restoreBackupFile(options: {
  readonly from: string;
  readonly data: string;
  readonly onProgress: OnProgress;
}): Promise<RestoreReport> {
  return restoreBackup(disk, { ...options, clock });
}
