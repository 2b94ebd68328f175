/**
 * A stopped server's journal, read without a change to it: LevelDB writes when it opens, so it opens a copy, in which tables,
 * which are never changed, are links to the original.
 */
import {
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
} from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";
import { locked } from "./journal-errors.ts";
import type { Head, Journal } from "./journal.ts";
import { createLevelJournal } from "./level-journal.ts";

const TABLE = /\.(ldb|sst)$/;
const NOT_NEEDED = /^(LOCK|LOG|LOG\.old)$/;

/**
 * Runs `work` on the opened copy and removes it. Errors: E_JOURNAL_LOCKED (a server is running), E_CONFIG (no journal there),
 * E_JOURNAL_BROKEN.
 */
export async function withJournalCopy<T>(
  directory: string,
  clock: Clock,
  work: (journal: Journal, head: Head) => Promise<T>,
): Promise<T> {
  await refuseRunning(directory);
  const copy = await mkdtemp(join(tmpdir(), "hyperpilot-journal-"));
  try {
    await copyJournal(directory, copy);
    const onHeadFailed = (error: HyperpilotError): never => {
      throw error;
    };
    const journal = createLevelJournal({ directory: copy, clock, onHeadFailed });
    try {
      const { head } = await journal.open();
      return await work(journal, head);
    } finally {
      await journal.close();
    }
  } finally {
    await rm(copy, { recursive: true, force: true });
  }
}

async function copyJournal(directory: string, copy: string): Promise<void> {
  const db = join(directory, "db");
  const names = await readdir(db).catch((error: unknown) => {
    throw noJournal(directory, error);
  });
  await mkdir(join(copy, "db"));
  for (const name of names.filter((one) => !NOT_NEEDED.test(one))) {
    if (TABLE.test(name)) await symlink(await realpath(join(db, name)), join(copy, "db", name));
    else await copyFile(join(db, name), join(copy, "db", name));
  }
  await copyFile(join(directory, "head"), join(copy, "head")).catch((error: unknown) => {
    // What a missing head means is for the journal to say.
    if (systemErrorCode(error) !== "ENOENT") throw error;
  });
}

function noJournal(directory: string, cause: unknown): HyperpilotError {
  return new HyperpilotError(
    {
      code: "E_CONFIG",
      message: `There is no journal in ${directory}.`,
      why:
        systemErrorCode(cause) === "EACCES"
          ? "This user may not look inside."
          : "A server's data directory has one.",
      remedy: "Name the data directory of a server with --data, as the user that runs it.",
    },
    cause,
  );
}

/** Errors: E_JOURNAL_LOCKED when a process holds LevelDB's lock, as /proc/locks tells (proc(5)). */
export async function refuseRunning(directory: string): Promise<void> {
  const lock = join(directory, "db", "LOCK");
  const [inode, locks] = await Promise.all([
    stat(lock).then(
      ({ ino }) => ino,
      () => null,
    ),
    readFile("/proc/locks", "utf8").catch(() => ""),
  ]);
  if (inode === null) return;
  for (const line of locks.split("\n")) {
    const [, , , , pid, place] = line.trim().split(/\s+/);
    if (place?.split(":").at(-1) !== String(inode)) continue;
    if (await holds(Number(pid), lock)) throw locked(directory, new Error(`process ${pid ?? "?"}`));
  }
}

/** Whether the process has the file open; one that may not be asked is taken at the lock's word. */
async function holds(pid: number, file: string): Promise<boolean> {
  const target = await realpath(file);
  try {
    for (const fd of await readdir(`/proc/${pid}/fd`)) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => "")) === target) return true;
    }
    return false;
  } catch (error) {
    return systemErrorCode(error) === "EACCES";
  }
}
