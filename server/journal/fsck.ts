/** Checks a stopped server's data directory and changes nothing: everything that a start trusts, and what it does not look at. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { replay } from "../apply.ts";
import { KEY_FILES, blobPath } from "../backup/backup-stream.ts";
import { createCore, type Core } from "../core.ts";
import { readPrivateFile } from "../data-directory.ts";
import type { Disk } from "../disk.ts";
import type { HyperpilotEvent } from "../events.ts";
import { brokenJournal } from "./journal-errors.ts";
import type { Head, Journal } from "./journal.ts";
import { withJournalCopy } from "./journal-copy.ts";
import { NO_HASH, decodeRecord } from "./record.ts";
import { contentHashOf, listSnapshots, readSnapshot } from "./snapshots.ts";
import { contradictions } from "./state-check.ts";

export interface FsckCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
  /** Empty when it is good. */
  readonly remedy: string;
}

export interface FsckReport {
  readonly data: string;
  readonly ok: boolean;
  readonly events: number;
  readonly tasks: number;
  readonly points: number;
  readonly checks: readonly FsckCheck[];
}

export interface FsckRequest {
  readonly data: string;
  readonly clock: Clock;
  readonly onProgress: (text: string) => void;
}

const RESTORE = "Restore the last backup: hyperpilot server restore --from FILE --data NEWDIR";

/** Errors: E_JOURNAL_LOCKED (the server is running), E_CONFIG (no data directory). Damage is no error but a bad check. */
export async function fsck(disk: Disk, request: FsckRequest): Promise<FsckReport> {
  const { data, clock, onProgress } = request;
  const checks: FsckCheck[] = [];
  const good = (name: string, detail: string): void => {
    checks.push({ name, ok: true, detail, remedy: "" });
  };
  const bad = (name: string, detail: string, remedy: string): void => {
    checks.push({ name, ok: false, detail, remedy });
  };
  const results: Results = { good, bad };
  let core: Core | null = null;
  try {
    core = await withJournalCopy(join(data, "journal"), clock, async (journal, head) => {
      good("head", `event ${head.seq} is there, with the hash that the head file names`);
      return checkJournal(disk, { data, journal, head, results, onProgress });
    });
  } catch (error) {
    if (!(error instanceof HyperpilotError)) throw error;
    if (error.code !== "E_JOURNAL_BROKEN" && error.code !== "E_JOURNAL_VERSION") throw error;
    const what = checks.length === 0 ? "head" : "journal";
    bad(
      what,
      `${error.message} ${error.why ?? ""}`.trim(),
      error.code === "E_JOURNAL_BROKEN" ? RESTORE : (error.remedy ?? RESTORE),
    );
  }
  if (core !== null) checkState(core, results);
  await checkBlobs(disk, { data, core, results, onProgress });
  await checkKeys(data, results);
  const tasks = [...(core?.tasks.values() ?? [])];
  return {
    data,
    ok: checks.every(({ ok }) => ok),
    events: core?.seq ?? 0,
    tasks: tasks.length,
    points: tasks.reduce((sum, task) => sum + task.points.size, 0),
    checks,
  };
}

interface Results {
  good(name: string, detail: string): void;
  bad(name: string, detail: string, remedy: string): void;
}

interface JournalCheck extends Pick<FsckRequest, "data" | "onProgress"> {
  readonly journal: Journal;
  readonly head: Head;
  readonly results: Results;
}

/** One pass over all records: chain, events, and each snapshot where the journal comes by it. */
async function checkJournal(disk: Disk, check: JournalCheck): Promise<Core> {
  const { data, journal, head, results, onProgress } = check;
  const snapshots = await listSnapshots(disk, join(data, "journal", "snapshots"));
  const core = createCore();
  const states = new Map<number, string>();
  let hash = NO_HASH;
  let records = 0;
  for await (const [key, value] of journal.records(1)) {
    const record = decodeRecord(key, value, hash);
    if (record.batch.firstSeq !== core.seq + 1)
      throw brokenJournal(core.seq + 1, `the next record starts at ${record.batch.firstSeq}`);
    for (const event of record.batch.events) applyChecked(core, event);
    hash = record.hash;
    records += 1;
    if (snapshots.some(({ seq }) => seq === core.seq))
      states.set(core.seq, contentHashOf({ core, hash }));
    if (records % 1_000 === 0) onProgress(`journal: event ${core.seq} of ${head.seq}`);
  }
  if (core.seq !== head.seq)
    throw brokenJournal(core.seq + 1, `its records end there, but ${head.seq} were written`);
  results.good(
    "journal",
    `${records} records, ${core.seq} events, no gap, chain of hashes unbroken`,
  );
  for (const { path, seq } of snapshots)
    await checkSnapshot(disk, { path, seq }, { states, results });
  return core;
}

function applyChecked(core: Core, event: HyperpilotEvent): void {
  try {
    replay(core, event);
  } catch (error) {
    throw brokenJournal(core.seq, errorText(error), error);
  }
}

async function checkSnapshot(
  disk: Disk,
  { path, seq }: { readonly path: string; readonly seq: number },
  { states, results }: { readonly states: ReadonlyMap<number, string>; readonly results: Results },
): Promise<void> {
  const name = `snapshot ${seq}`;
  const remedy = `Remove ${path}: the server makes another.`;
  try {
    const { contentHash } = await readSnapshot(disk, path);
    if (contentHash === states.get(seq)) results.good(name, "the same state as from the journal");
    else results.bad(name, "another state than from the journal", remedy);
  } catch (error) {
    const why = errorText(error);
    if (why.startsWith("it was made by another program")) results.good(name, `not used: ${why}`);
    else results.bad(name, why, remedy);
  }
}

function checkState(core: Core, results: Results): void {
  const found = contradictions(core);
  if (found.length === 0)
    results.good("state", `${core.tasks.size} tasks, counts and leases agree`);
  else results.bad("state", found.slice(0, 3).join("; "), `Report this. ${RESTORE}`);
}

interface BlobCheck extends Pick<FsckRequest, "data" | "onProgress"> {
  readonly core: Core | null;
  readonly results: Results;
}

/** Every blob that a task names must be there, and every blob must have the bytes that its name says. */
async function checkBlobs(
  disk: Disk,
  { data, core, results, onProgress }: BlobCheck,
): Promise<void> {
  const present = new Set<string>();
  const damaged: string[] = [];
  for (const folder of await disk.list(join(data, "blobs"))) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const rest of await disk.list(join(data, "blobs", folder))) {
      const sha256 = folder + rest;
      if (!/^[0-9a-f]{64}$/.test(sha256)) continue;
      present.add(sha256);
      const hash = createHash("sha256");
      for await (const part of disk.stream(join(data, blobPath(sha256)), 0))
        hash.update(part as Uint8Array);
      if (hash.digest("hex") !== sha256) damaged.push(sha256);
      if (present.size % 100 === 0) onProgress(`blobs: ${present.size}`);
    }
  }
  const wanted = new Set(core?.blobs.keys());
  const missing = [...wanted].filter((sha256) => !present.has(sha256));
  const unused = [...present].filter((sha256) => !wanted.has(sha256)).length;
  if (damaged.length > 0)
    results.bad(
      "blobs",
      `${damaged.length} of ${present.size} are damaged: ${damaged.slice(0, 3).join(", ")}`,
      "Copy them from a backup, or let their users submit them again.",
    );
  else if (missing.length > 0)
    results.bad(
      "blobs",
      `${missing.length} of ${wanted.size} that tasks name are missing: ${missing.slice(0, 3).join(", ")}`,
      "Copy them from a backup: tasks without them cannot be evaluated.",
    );
  else
    results.good(
      "blobs",
      `${present.size}, checksums good; ${wanted.size} named by tasks, all there; ${unused} not named`,
    );
}

async function checkKeys(data: string, results: Results): Promise<void> {
  const there: string[] = [];
  for (const name of KEY_FILES) {
    try {
      if ((await readPrivateFile(join(data, name))) !== null) there.push(name);
    } catch (error) {
      const remedy =
        error instanceof HyperpilotError ? (error.remedy ?? "") : "Check who may read it.";
      results.bad("keys", errorText(error), remedy);
      return;
    }
  }
  if (there.includes("session-key")) results.good("keys", there.join(", "));
  else
    results.bad(
      "keys",
      "there is no session-key: pilots that run now cannot come back",
      "Copy it from a backup.",
    );
}
