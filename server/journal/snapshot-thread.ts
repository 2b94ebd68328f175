/** The other side of the snapshot worker: feeds it records as fast as it takes them, and no faster. */
import { once } from "node:events";
import type { Worker } from "node:worker_threads";
import { startThread } from "../../common/program-files.ts";
import { HyperpilotError, type ErrorParts } from "../../protocol/errors.ts";
import type { Head, Journal } from "./journal.ts";
import type { StoredRecord } from "./record-store.ts";
import type { SnapshotMade } from "./snapshot-maker.ts";

export type WorkerJob =
  | { readonly type: "snapshot"; readonly directory: string }
  | { readonly type: "check"; readonly until: Head };

export type ToWorker =
  | { readonly type: "records"; readonly records: readonly StoredRecord[] }
  | { readonly type: "end" };

export type FromWorker =
  | { readonly type: "ready"; readonly fromSeq: number }
  | { readonly type: "more" }
  | { readonly type: "done"; readonly result: unknown }
  | { readonly type: "failed"; readonly parts: ErrorParts | null; readonly text: string };

/** Handed over in one go: bounds how long the event loop is held. */
const GROUP_BYTES = 65_536;

type Records = Pick<Journal, "records">;

/** Makes a snapshot of all that is durable now in a thread of its own. Errors: E_JOURNAL_BROKEN, those of the disk. */
export async function makeSnapshot(
  journal: Records,
  directory: string,
  signal: AbortSignal,
): Promise<SnapshotMade> {
  return (await runJob(journal, { type: "snapshot", directory }, signal)) as SnapshotMade;
}

/** Checks the records up to `until` in a thread of its own. Errors: E_JOURNAL_BROKEN. */
export async function checkChain(
  journal: Records,
  until: Head,
  signal: AbortSignal,
): Promise<void> {
  await runJob(journal, { type: "check", until }, signal);
}

async function runJob(journal: Records, job: WorkerJob, signal: AbortSignal): Promise<unknown> {
  const worker = startThread("snapshots", job);
  const stop = (): void => void worker.terminate();
  signal.addEventListener("abort", stop, { once: true });
  try {
    signal.throwIfAborted();
    const answer = await next(worker);
    if (answer.type !== "ready") throw unexpected(answer);
    const lastSeq = job.type === "check" ? job.until.seq : Number.POSITIVE_INFINITY;
    for await (const records of groupsOf(journal, answer.fromSeq, lastSeq)) {
      const taken = next(worker);
      worker.postMessage({ type: "records", records } satisfies ToWorker);
      const reply = await taken;
      if (reply.type !== "more") throw unexpected(reply);
    }
    const finished = next(worker);
    worker.postMessage({ type: "end" } satisfies ToWorker);
    const done = await finished;
    if (done.type !== "done") throw unexpected(done);
    return done.result;
  } finally {
    signal.removeEventListener("abort", stop);
    await worker.terminate();
  }
}

/** The next message of the worker; rejects when it ends instead. */
async function next(worker: Worker): Promise<FromWorker> {
  const ended = new AbortController();
  try {
    const [message] = (await Promise.race([
      once(worker, "message", { signal: ended.signal }),
      once(worker, "exit", { signal: ended.signal }).then(() => [
        { type: "failed", parts: null, text: "its thread ended" } satisfies FromWorker,
      ]),
    ])) as [FromWorker];
    return message;
  } finally {
    ended.abort();
  }
}

function unexpected(message: FromWorker): Error {
  if (message.type !== "failed") return new Error(`the worker said ${message.type}`);
  return message.parts === null ? new Error(message.text) : new HyperpilotError(message.parts);
}

async function* groupsOf(
  journal: Records,
  fromSeq: number,
  lastSeq: number,
): AsyncGenerator<StoredRecord[]> {
  let group: StoredRecord[] = [];
  let bytes = 0;
  for await (const record of journal.records(fromSeq)) {
    if (Number.parseInt(record[0], 16) > lastSeq) break;
    group.push(record);
    bytes += record[1].length;
    if (bytes < GROUP_BYTES) continue;
    yield group;
    group = [];
    bytes = 0;
  }
  if (group.length > 0) yield group;
}
