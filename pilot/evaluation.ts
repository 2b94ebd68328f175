/** One granted evaluation from the grant to what its result will say: files in, the payload, files out. */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { PILOT } from "../protocol/limits.ts";
import type { BlobRef, GrantedItem, Outcome } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { LeaseFileKind } from "../protocol/routes.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { LeftByEvaluation } from "./agent-port.ts";
import type { HoldRequest } from "./images/node-images.ts";
import { NO_ARTIFACTS, type LeftFile } from "./artifacts.ts";
import { checkpointNames } from "./checkpoint-names.ts";
import { type CheckpointSaver, createCheckpointSaver } from "./checkpoint-saver.ts";
import { cleanMessage } from "./clean-message.ts";
import type { EvaluationCheckpoints, EvaluationEnd, PayloadRunner } from "./payload.ts";
import type { Permits } from "./permits.ts";
import { type Fetched, fetchCheckpoint } from "./restore.ts";
import type { ServerApi } from "./server-api.ts";
import type { Spawner } from "./spawner.ts";
import type { Stage } from "./stage.ts";
import { tryAgain } from "./try-again.ts";

/** What all evaluations of a pilot share. */
export interface EvaluationNode {
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly runner: PayloadRunner;
  readonly stage: Stage;
  readonly api: Pick<
    ServerApi,
    "putLog" | "putLeaseFile" | "getCheckpoint" | "getRegistryCredential"
  >;
  /** Private directory on local disk for what comes and goes. */
  readonly spool: string;
  /** Copies and packs at a time. */
  readonly packs: Permits;
  /** Nobody tells of changes on the scratch file system. */
  readonly usePolling: boolean;
  readonly isConnected: () => boolean;
}

export interface EvaluationOrder {
  readonly item: GrantedItem;
  readonly spec: TaskSpecification;
  readonly slot: SlotResources | undefined;
  readonly spawner: Spawner | undefined;
  /** Ends all of it at once. */
  readonly signal: AbortSignal;
  /** Ends the payload after it had a chance to save its state. */
  readonly eviction: AbortSignal;
  readonly onSaved: (checkpoint: BlobRef) => void;
  readonly onWarning: (text: string | null) => void;
}

export interface FinishedEvaluation {
  /** null: it was stopped from outside. */
  readonly outcome: Outcome | null;
  readonly durationSeconds: number;
  /** The end of the output, empty when all of it was uploaded. */
  readonly log: string;
  readonly left: LeftByEvaluation;
  /** For the pilot's log. */
  readonly used: Pick<EvaluationEnd, "runtime" | "memoryBytesPeak">;
}

/** Never throws for what payload, task, node or network do wrong. */
export function runEvaluation(
  node: EvaluationNode,
  order: EvaluationOrder,
): Promise<FinishedEvaluation> {
  return new GrantedEvaluation(node, order).run();
}

class GrantedEvaluation {
  readonly #node: EvaluationNode;
  readonly #order: EvaluationOrder;
  readonly #spool: string;
  readonly #warnings: string[] = [];
  #restored: string | null = null;
  #saver: CheckpointSaver | null = null;

  constructor(node: EvaluationNode, order: EvaluationOrder) {
    this.#node = node;
    this.#order = order;
    this.#spool = join(node.spool, `slot-${order.item.slot}`);
  }

  async run(): Promise<FinishedEvaluation> {
    const { log } = this.#node;
    const end = await this.#execute();
    // What the payload has left is worth no more than a few seconds of a pilot that must go.
    const patience = this.#patience();
    try {
      const { outcome, durationSeconds, runtime, memoryBytesPeak } = end;
      const text = await this.#deliverLog(end, patience.signal);
      const left = await this.#left(end, patience.signal);
      if (end.leftover !== null) log.warn("leftover", { error: end.leftover });
      return { outcome, durationSeconds, log: text, left, used: { runtime, memoryBytesPeak } };
    } finally {
      patience.cancel();
      await this.#remove(end.artifactDirectory);
      await this.#remove(this.#spool);
    }
  }

  async #execute(): Promise<EvaluationEnd> {
    const { clock, log } = this.#node;
    const { item, signal, eviction } = this.#order;
    const beganMs = clock.monotonicMs();
    try {
      return await this.#runStaged(AbortSignal.any([signal, eviction]));
    } catch (error) {
      const isStopped = signal.aborted || eviction.aborted;
      if (!isStopped) log.error("evaluationFailed", { item: item.item, error: textOf(error) });
      return {
        outcome: isStopped ? null : notOfThePayload(error),
        durationSeconds: (clock.monotonicMs() - beganMs) / 1_000,
        logFile: null,
        logTail: "",
        artifacts: NO_ARTIFACTS,
        artifactDirectory: join(this.#spool, "artifacts"),
        leftover: null,
        runtime: null,
        memoryBytesPeak: null,
      };
    }
  }

  async #runStaged(ending: AbortSignal): Promise<EvaluationEnd> {
    const { api, stage, runner } = this.#node;
    const { item, spec, slot, spawner, signal, eviction, onWarning } = this.#order;
    if (spawner === undefined || slot === undefined) throw new Error(`no slot ${item.slot}`);
    const { sandboxSha256 } = spec;
    const staged =
      sandboxSha256 === null ? null : await stage.hold(sandboxSha256, item.token, ending);
    try {
      const fetched = await this.#fetchCheckpoint(ending);
      ending.throwIfAborted();
      const sandboxFile = staged?.file ?? null;
      const credentialOf: HoldRequest["credentialOf"] = (registry) =>
        api.getRegistryCredential(item.token, registry, ending);
      const onHindrance = (text: string | null): void =>
        onWarning(text === null ? null : cleanMessage(text, PILOT.warningBytesMax));
      const what = {
        ...{ item, spec, sandboxFile, slot, spawner, signal, eviction },
        ...{ credentialOf, onHindrance },
      };
      const checkpoints = this.#checkpoints(fetched);
      return await runner.run(checkpoints === null ? what : { ...what, checkpoints });
    } finally {
      staged?.release();
    }
  }

  async #fetchCheckpoint(signal: AbortSignal): Promise<Fetched> {
    const { api, clock, random, log } = this.#node;
    const { item, onWarning } = this.#order;
    const directory = join(this.#spool, "restored");
    const fetched = await fetchCheckpoint(item, { api, clock, random, directory, signal });
    this.#restored = fetched.checkpoint?.sha256 ?? null;
    this.#warnings.push(...fetched.warnings);
    if (fetched.warnings.length > 0) {
      log.warn("checkpointNotUsed", { item: item.item, warnings: fetched.warnings });
      onWarning(fetched.warnings.join("; ").slice(0, PILOT.warningBytesMax));
    }
    return fetched;
  }

  #checkpoints({ checkpoint }: Fetched): EvaluationCheckpoints | null {
    const { clock, packs, usePolling } = this.#node;
    const { spec, onSaved, onWarning } = this.#order;
    const { save, intervalMinutes } = spec.checkpoint;
    if (save.length === 0) return null;
    const names = checkpointNames(save);
    return {
      tarball: checkpoint?.file ?? null,
      begin: async (work) => {
        this.#saver = await createCheckpointSaver({
          work,
          names,
          intervalMs: intervalMinutes * 60_000,
          clock,
          spool: join(this.#spool, "checkpoint"),
          usePolling,
          packs,
          upload: (file, blob, signal) => this.#upload("checkpoint", { file, blob }, signal),
          onSaved,
          onWarning,
        });
        return this.#saver;
      },
    };
  }

  #upload(kind: LeaseFileKind, { file, blob }: LeftFile, upTo: AbortSignal): Promise<void> {
    const { api, clock, random } = this.#node;
    const { item, signal: stopped } = this.#order;
    const signal = AbortSignal.any([stopped, upTo]);
    const timeoutMs = kind === "checkpoint" ? PILOT.checkpointUploadMs : PILOT.artifactTimeoutMs;
    return tryAgain({ clock, random, timeoutMs, signal }, () =>
      api.putLeaseFile(kind, blob, { token: item.token, file, signal }),
    );
  }

  /** Uploads what is left and says so; what cannot be uploaded becomes a warning and never costs the result. */
  async #left(end: EvaluationEnd, signal: AbortSignal): Promise<LeftByEvaluation> {
    const { metadata, metrics, warnings } = end.artifacts;
    const all = [...this.#warnings, ...warnings];
    if (this.#saver?.warning != null) all.push(this.#saver.warning);
    const blobs: { metadata?: BlobRef; metrics?: BlobRef } = {};
    for (const [kind, left] of [
      ["metadata", metadata],
      ["metrics", metrics],
    ] as const) {
      if (left === null || end.outcome === null) continue;
      try {
        await this.#upload(kind, left, signal);
        blobs[kind] = left.blob;
      } catch (error) {
        all.push(`the ${kind} could not be uploaded: ${textOf(error)}`);
      }
    }
    const cut = all
      .slice(0, PILOT.warningsMax)
      .map((text) => cleanMessage(text, PILOT.warningBytesMax));
    return {
      ...blobs,
      ...(this.#restored === null ? {} : { restored: this.#restored }),
      ...(cut.length === 0 ? {} : { warnings: cut }),
    };
  }

  /** Aborted when the evaluation is over, and a while after the pilot has been told to go. */
  #patience(): { readonly signal: AbortSignal; cancel(): void } {
    const { clock } = this.#node;
    const { eviction } = this.#order;
    const controller = new AbortController();
    let timer = { cancel: (): void => undefined };
    const begin = (): void => {
      timer = clock.setTimer(PILOT.evictedUploadMs, () =>
        controller.abort(new Error("the pilot had to go before it was done")),
      );
    };
    if (eviction.aborted) begin();
    else eviction.addEventListener("abort", begin, { once: true });
    return {
      signal: controller.signal,
      cancel: () => {
        eviction.removeEventListener("abort", begin);
        timer.cancel();
      },
    };
  }

  /** The output that travels with the result: none when all of it was uploaded. Losing output never costs the result. */
  async #deliverLog(
    { logFile, logTail, outcome }: EvaluationEnd,
    upTo: AbortSignal,
  ): Promise<string> {
    const { api, log, isConnected } = this.#node;
    const { item, signal } = this.#order;
    if (logFile === null) return logTail;
    try {
      const isLong = (await stat(logFile)).size > PILOT.inlineLogBytesMax;
      if (!isLong || outcome === null || !isConnected()) return logTail;
      await api.putLog(item, logFile, AbortSignal.any([signal, upTo]));
      return "";
    } catch (error) {
      log.warn("logNotUploaded", { item: item.item, error: textOf(error) });
      return logTail;
    } finally {
      await this.#remove(logFile);
    }
  }

  async #remove(path: string): Promise<void> {
    try {
      await rm(path, { recursive: true, force: true });
    } catch (error) {
      this.#node.log.warn("leftover", { error: errorText(error) });
    }
  }
}

/** What failed before the payload began is the node's or the network's, unless the task asks for what no node can do. */
function notOfThePayload(error: unknown): Outcome {
  const message = cleanMessage(textOf(error));
  if (error instanceof HyperpilotError && error.code === "E_PAYLOAD")
    return { type: "failed", code: error.code, exitCode: 0, signal: null, message };
  return { type: "interrupted", reason: "runtime", message };
}

function textOf(error: unknown): string {
  if (!(error instanceof HyperpilotError)) return errorText(error);
  return [error.code, error.message, error.why].filter((part) => part !== undefined).join(" ");
}
