/** What one evaluation on a node is given, and what becomes of it. */
import type { Clock } from "../common/clock.ts";
import type { GrantedItem, Outcome } from "../protocol/pilot-messages.ts";
import type { QueueConfig } from "../protocol/queue.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { TaskSpecification } from "../protocol/task.ts";
import type { Artifacts } from "./artifacts.ts";
import type { CheckpointSaver } from "./checkpoint-saver.ts";
import type { HoldRequest, NodeImages } from "./images/node-images.ts";
import type { PayloadExit } from "./output-json.ts";
import type { Runtime } from "./runtime/runtime.ts";
import type { Spawner } from "./spawner.ts";

export interface PayloadRunnerOptions {
  /** Best first; an image gets the first that can run it. */
  readonly runtimes: readonly Runtime[];
  readonly clock: Clock;
  /** Private directory of this pilot process on local disk; made when missing. */
  readonly scratch: string;
  /** What the queue gives its payloads. */
  readonly queue: Pick<QueueConfig, "environment" | "readOnlyPaths" | "images">;
  readonly images: NodeImages;
}

export interface EvaluationRequest {
  readonly item: GrantedItem;
  readonly spec: TaskSpecification;
  /** Verified tarball of the task's files on this node; null when the task has none. */
  readonly sandboxFile: string | null;
  readonly slot: SlotResources;
  /** The slot's own spawner: one evaluation at a time. */
  readonly spawner: Spawner;
  /** Ends the payload at once; the outcome is then null. */
  readonly signal: AbortSignal;
  /** Ends the payload after it had a chance to save its state (see payload-watch); the outcome is null then, too. */
  readonly eviction?: AbortSignal;
  readonly checkpoints?: EvaluationCheckpoints;
  /** Reads what the payload has left; by default its output file as an evaluation's. */
  readonly readOutcome?: (work: string, exit: PayloadExit) => Outcome;
  /** The task owner's credential for a registry; by default there is none. */
  readonly credentialOf?: HoldRequest["credentialOf"];
  /** Takes what keeps the image away, while it does; null: nothing does any more. */
  readonly onHindrance?: HoldRequest["onHindrance"];
  /** Added to the payload's environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Further paths inside at which the work directory is found. */
  readonly mounts?: readonly string[];
  /** The payload may write to the image's root, into a layer that goes with it. */
  readonly writableRoot?: boolean;
}

/** What an evaluation goes on from, and how its state is saved. */
export interface EvaluationCheckpoints {
  /** Verified tarball; null: it begins anew. */
  readonly tarball: string | null;
  /** Begins to save what is in the work directory. */
  begin(work: string): Promise<CheckpointSaver>;
}

export interface EvaluationEnd {
  /** null when it was stopped from outside: nothing is to be reported. */
  readonly outcome: Outcome | null;
  readonly durationSeconds: number;
  /** The output, head and tail; null when the payload was never started. The caller removes it. */
  readonly logFile: string | null;
  /** The end of the output, at most 16 KiB. */
  readonly logTail: string;
  /** What it has left besides; the caller removes `artifactDirectory`. */
  readonly artifacts: Artifacts;
  readonly artifactDirectory: string;
  /** What could not be removed from the node, for the pilot's log; null when all is gone. */
  readonly leftover: string | null;
  /** The runtime that ran it; null when none was chosen. */
  readonly runtime: string | null;
  /** Most memory that its processes were seen to use; null when it ended before the first look. */
  readonly memoryBytesPeak: number | null;
}

export interface PayloadRunner {
  /** Never throws for what payload, task or node do wrong: that is in the outcome. */
  run(request: EvaluationRequest): Promise<EvaluationEnd>;
}
