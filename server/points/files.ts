/** What the evaluations of a point have left on the server, and how often each blob is referred to. Pure. */
import type { BlobRef } from "../../protocol/pilot-messages.ts";
import { TASK } from "../../protocol/limits.ts";
import { isFinal } from "../../protocol/states.ts";
import type { Core, Point, PointFiles, Task } from "../core.ts";
import type { EventOf, HyperpilotEvent } from "../events.ts";

/** Files of the point, made on first use: most points have none. */
function filesOf(point: Point): PointFiles {
  point.files ??= {
    checkpoints: [],
    savedInLease: false,
    failedRestores: 0,
    metadata: null,
    metrics: null,
  };
  return point.files;
}

/** One more reference to a blob. */
export function refer(core: Core, sha256: string): void {
  core.blobs.set(sha256, (core.blobs.get(sha256) ?? 0) + 1);
  core.unreferenced.delete(sha256);
}

/** One reference less; a blob without any is to be deleted when this is durable. */
export function unrefer(core: Core, sha256: string): void {
  const references = (core.blobs.get(sha256) ?? 0) - 1;
  if (references > 0) {
    core.blobs.set(sha256, references);
    return;
  }
  core.blobs.delete(sha256);
  core.unreferenced.add(sha256);
}

/** The newest and the one before are kept. The same content again is no progress. */
export function storeCheckpoint(
  core: Core,
  point: Point,
  { seq, sha256, sizeBytes }: EventOf<"checkpointStored">,
): void {
  point.lastSeq = seq;
  const files = filesOf(point);
  if (files.checkpoints[0]?.sha256 === sha256) return;
  refer(core, sha256);
  files.savedInLease = true;
  point.interruptionsInRow = 0;
  const [newest] = files.checkpoints;
  const kept = newest === undefined ? [] : [newest];
  for (const { sha256: dropped } of files.checkpoints.slice(TASK.checkpointsKept - 1))
    unrefer(core, dropped);
  files.checkpoints = [{ sha256, sizeBytes }, ...kept];
}

/** One that turned out to be damaged. */
export function dropCheckpoint(core: Core, point: Point, sha256: string): void {
  dropCheckpoints(core, point, (one) => one.sha256 === sha256);
}

/** A lease begins: what it saves is progress of its own. */
export function beginLease(point: Point): void {
  if (point.files !== null) point.files.savedInLease = false;
}

/** Files of the attempt replace those of the one before: a point shows what belongs to its last attempt. */
export function endAttemptFiles(core: Core, point: Point, event: EventOf<"attemptEnded">): void {
  replace(core, point, "metadata", event.metadata ?? null);
  replace(core, point, "metrics", event.metrics ?? null);
  const { restored } = event;
  if (restored !== undefined && isNoProgress(point, event)) distrust(core, point, restored);
}

function replace(
  core: Core,
  point: Point,
  kind: "metadata" | "metrics",
  blob: BlobRef | null,
): void {
  const former = point.files?.[kind] ?? null;
  if (former === null && blob === null) return;
  if (blob !== null) refer(core, blob.sha256);
  filesOf(point)[kind] = blob;
  if (former !== null) unrefer(core, former.sha256);
}

/** The attempt failed after it had been resumed, or had its whole time without coming further. */
function isNoProgress(point: Point, { outcome }: EventOf<"attemptEnded">): boolean {
  if (outcome.type === "failed") return true;
  return outcome.type === "timeout" && point.files?.savedInLease !== true;
}

/** The next attempt begins from an older checkpoint; after a second such failure from none. */
function distrust(core: Core, point: Point, restored: string): void {
  const files = filesOf(point);
  files.failedRestores += 1;
  const began = files.checkpoints.findIndex((one) => one.sha256 === restored);
  const doubted = files.savedInLease ? 1 : Math.max(0, began) + 1;
  const trusted = files.failedRestores > 1 ? [] : files.checkpoints.slice(doubted);
  dropCheckpoints(core, point, (one) => !trusted.includes(one));
}

/** A final point is never resumed; its last checkpoint stays where the task wants that. */
export function endPointFiles(core: Core, task: Task, point: Point): void {
  if (!isFinal(point.state)) return;
  const kept = task.spec.checkpoint.keep ? point.files?.checkpoints[0] : undefined;
  dropCheckpoints(core, point, (one) => one !== kept);
}

function dropCheckpoints(core: Core, point: Point, drops: (one: BlobRef) => boolean): void {
  const { files } = point;
  if (files === null) return;
  for (const one of files.checkpoints) if (drops(one)) unrefer(core, one.sha256);
  files.checkpoints = files.checkpoints.filter((one) => !drops(one));
}

/** Blobs that an event refers to from now on: whoever has uploaded them need not fear for them any more. */
export function referredBy(event: HyperpilotEvent): readonly string[] {
  switch (event.type) {
    case "taskDefined":
      return event.spec.sandboxSha256 === null ? [] : [event.spec.sandboxSha256];
    case "checkpointStored":
      return [event.sha256];
    case "attemptEnded":
      return [event.metadata, event.metrics].flatMap((blob) =>
        blob === undefined ? [] : [blob.sha256],
      );
    default:
      return [];
  }
}
