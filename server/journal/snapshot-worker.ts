/** Entry of the worker thread that makes snapshots and checks chains: records in, a file or an error out. */
import { parentPort, workerData } from "node:worker_threads";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { systemDisk } from "../system-disk.ts";
import { startChainCheck, startSnapshot, type RecordTaker } from "./snapshot-maker.ts";
import type { FromWorker, ToWorker, WorkerJob } from "./snapshot-thread.ts";

function send(message: FromWorker): void {
  parentPort?.postMessage(message);
}

async function work(job: WorkerJob): Promise<void> {
  const taker: RecordTaker<unknown> =
    job.type === "snapshot"
      ? await startSnapshot(systemDisk, job.directory)
      : startChainCheck(job.until);
  parentPort?.on("message", (message: ToWorker) => {
    try {
      if (message.type === "records") {
        for (const record of message.records) taker.take(record);
        return send({ type: "more" });
      }
      taker.finish().then((result) => send({ type: "done", result }), fail);
    } catch (error) {
      fail(error);
    }
  });
  send({ type: "ready", fromSeq: taker.fromSeq });
}

function fail(error: unknown): void {
  const parts = error instanceof HyperpilotError ? error.parts : null;
  send({ type: "failed", parts, text: errorText(error) });
}

work(workerData as WorkerJob).catch(fail);
