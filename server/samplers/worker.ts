/** Entry of the worker thread in which built-in steering runs: one request in, one answer out. */
import { parentPort } from "node:worker_threads";
import { errorText } from "../../protocol/errors.ts";
import { askSampler, type AskRequest } from "./sampler.ts";

parentPort?.on("message", ({ id, request }: { id: number; request: AskRequest }) => {
  try {
    parentPort?.postMessage({ id, ok: true, answer: askSampler(request) });
  } catch (error) {
    parentPort?.postMessage({ id, ok: false, reason: errorText(error) });
  }
});
