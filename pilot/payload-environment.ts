import { PAYLOAD_PATH } from "../protocol/host-paths.ts";
import type { GrantedItem } from "../protocol/pilot-messages.ts";
import type { SlotResources } from "../protocol/resources.ts";
import type { PayloadPaths } from "./runtime/runtime.ts";

export interface EnvironmentSources {
  readonly item: GrantedItem;
  readonly slot: SlotResources;
  /** The queue's environment. */
  readonly queue: Readonly<Record<string, string>>;
  /** Directories as the payload sees them. */
  readonly paths: PayloadPaths;
}

/**
 * All variables of an evaluation. The queue may replace the defaults, not what tells the payload who and where it is. The
 * lease's token is none of them.
 */
export function payloadEnvironment(sources: EnvironmentSources): Record<string, string> {
  const { item, slot, queue, paths } = sources;
  return {
    TMPDIR: paths.temporaryDirectory,
    TZ: "UTC",
    OMP_NUM_THREADS: String(Math.max(1, Math.round(slot.cpus))),
    MLFLOW_TRACKING_URI: `file:${paths.workDirectory}/mlruns`,
    ...queue,
    PATH: pathEndingInDot(queue["PATH"] ?? PAYLOAD_PATH),
    HOME: paths.workDirectory,
    PWD: paths.workDirectory,
    CUDA_VISIBLE_DEVICES: slot.gpus.map((gpu) => gpu.uuid).join(","),
    PanDA_TaskID: String(item.item.taskId),
    PanDA_AttemptNr: String(item.attempt),
    HYPERPILOT_POINT: item.item.type === "evaluation" ? item.item.pointId : "",
    HYPERPILOT_ATTEMPT: String(item.attempt),
    HYPERPILOT_SEED: String(item.seed),
    ...(item.segment === undefined
      ? {}
      : { HYPERPILOT_SEGMENT: item.segment.name, HYPERPILOT_SEGMENT_ID: String(item.segment.id) }),
  };
}

/** `train.py` is found in the work directory, after all programs of the system. */
function pathEndingInDot(path: string): string {
  return path.endsWith(":.") ? path : `${path}:.`;
}
