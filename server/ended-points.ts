/**
 * Points of searches that ended long ago leave memory: they lie in files of this process, one per search, and come back when
 * somebody asks for them. The files hold nothing that journal and snapshots do not hold, and are made anew by every process.
 */
import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../common/clock.ts";
import type { Logger } from "../common/log.ts";
import { startRepeating } from "../common/repeated.ts";
import { decodeTrusted, encode } from "../protocol/codec.ts";
import { errorText, HyperpilotError } from "../protocol/errors.ts";
import type { TaskId } from "../protocol/ids.ts";
import { SERVER } from "../protocol/limits.ts";
import { isEnded } from "../protocol/states.ts";
import type { Core, Point, Task } from "./core.ts";
import type { Disk, NewFile } from "./disk.ts";
import { pointOfRow, rowOfPoint } from "./points/point-form.ts";
import { forgetDrawn } from "./tasks/while-steering.ts";

export interface EndedPointsDeps {
  readonly core: Core;
  /** Emptied at the start; nobody else writes there. */
  readonly directory: string;
  readonly disk: Disk;
  /** The whole content, at once: what asks for points cannot wait. */
  readonly readNow: (path: string) => Uint8Array;
  /** Room on that disk, which the journal needs first. */
  readonly freeBytes: () => Promise<number>;
  readonly clock: Clock;
}

/** Points as they were written, in blocks. */
interface Written {
  /** Of the task; it grows with every change. */
  readonly version: number;
  readonly path: string;
  readonly blockBytes: readonly number[];
  readonly sha256: string;
}

export interface EndedPoints {
  /** Lets go what may go now. Returns the number of tasks. */
  look(): Promise<number>;
}

/** Errors of `look`: those of the disk; everything that was let go before can be read. */
export async function openEndedPoints(deps: EndedPointsDeps): Promise<EndedPoints> {
  const { core, directory, disk, clock } = deps;
  await disk.remove(directory);
  await disk.makeDirectory(directory);
  const written = new Map<TaskId, Written>();

  async function letGo(task: Task): Promise<boolean> {
    let copy = written.get(task.id);
    if (copy?.version !== task.version) {
      const points = [...task.points.values()];
      // That was no question of somebody.
      task.points.takeUse();
      if (!mayComeBackQuickly(points)) return false;
      copy = await writePoints(deps, task, points);
      written.set(task.id, copy);
    }
    // While it was written somebody may have looked, or have begun a new round.
    if (task.points.takeUse() || copy.version !== task.version || !isEnded(task.state))
      return false;
    const of = copy;
    releasePoints(task, () => readPoints(deps, task.id, of));
    return true;
  }

  return {
    async look() {
      const beforeMs = clock.wallMs() - SERVER.endedInMemoryMs;
      if ((await deps.freeBytes()) < SERVER.endedFreeBytesMin) return 0;
      let released = 0;
      for (const task of [...core.tasks.values()]) {
        const { endedAtMs, points } = task;
        if (endedAtMs === null || endedAtMs > beforeMs || !isEnded(task.state)) continue;
        if (!points.isLoaded || points.size === 0 || points.takeUse()) continue;
        if (await letGo(task)) released += 1;
      }
      return released;
    },
  };
}

/** Lets the points of an ended task go, wherever else they are held; `load` gives them again, as they are, in the same order. */
export function releasePoints(task: Task, load: () => Iterable<Point>): void {
  task.ready.compact(({ state }) => state === "ready");
  forgetDrawn(task);
  const best = [task.best, ...task.segments.map((segment) => segment.best)];
  task.points.release(
    best.filter((point) => point !== null),
    load,
  );
}

function mayComeBackQuickly(points: readonly Point[]): boolean {
  if (points.length > SERVER.endedPointsMax) return false;
  const textBytes = points.reduce((sum, { text }) => sum + text.length, 0);
  return textBytes <= SERVER.endedTextBytesMax;
}

async function writePoints(
  { disk, directory }: EndedPointsDeps,
  { id, version }: Task,
  points: readonly Point[],
): Promise<Written> {
  const path = join(directory, String(id));
  const hash = createHash("sha256");
  const blockBytes: number[] = [];
  const file = await disk.create(`${path}.new`);
  try {
    for (let first = 0; first < points.length; first += SERVER.endedPointsPerWrite) {
      const block = points.slice(first, first + SERVER.endedPointsPerWrite);
      blockBytes.push(await writeBlock(file, block, hash));
    }
  } catch (error) {
    await file.close();
    await disk.remove(`${path}.new`);
    throw error;
  }
  await file.close();
  await disk.rename(`${path}.new`, path);
  return { version, path, blockBytes, sha256: hash.digest("hex") };
}

async function writeBlock(file: NewFile, points: readonly Point[], hash: Hash): Promise<number> {
  const bytes = encode(points.map(rowOfPoint));
  hash.update(bytes);
  await file.write(bytes);
  return bytes.length;
}

function readPoints({ readNow }: EndedPointsDeps, taskId: TaskId, written: Written): Point[] {
  const { path, blockBytes, sha256 } = written;
  let bytes: Uint8Array;
  try {
    bytes = readNow(path);
  } catch (error) {
    throw notReadable(taskId, path, errorText(error));
  }
  if (createHash("sha256").update(bytes).digest("hex") !== sha256)
    throw notReadable(taskId, path, "It is not what was written.");
  const points: Point[] = [];
  let first = 0;
  for (const length of blockBytes) {
    const rows = decodeTrusted(bytes.subarray(first, first + length)) as unknown[];
    for (const row of rows) points.push(pointOfRow(row));
    first += length;
  }
  return points;
}

function notReadable(taskId: TaskId, path: string, why: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_INTERNAL",
    message: `The points of task ${taskId}, which ended long ago, cannot be read from ${path}.`,
    why,
    remedy: "Nothing is lost: start the server again, and they come from the journal.",
  });
}

/** Looks at a fixed interval until `stop`, which waits for a look that goes on. */
export function startLettingGo(
  ended: EndedPoints,
  { clock, log }: { readonly clock: Clock; readonly log: Logger },
): { stop(): Promise<void> } {
  return startRepeating(clock, SERVER.endedLookIntervalMs, async () => {
    try {
      const tasks = await ended.look();
      if (tasks > 0) log.info("endedPointsLetGo", { tasks });
    } catch (error) {
      log.warn("endedPointsKept", { error: errorText(error) });
    }
  });
}
