/** Output of evaluations: capped append files, one per point; never in the journal, and losing one is no fault of the search. */
import { appendFile, mkdir, open, readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { SERVER } from "../protocol/limits.ts";
import { systemErrorCode } from "../protocol/errors.ts";
import type { PointId, TaskId } from "../protocol/ids.ts";

/** All attempts of a point together: a head and a tail of the bound's size each. */
const BYTES_MAX = SERVER.logHeadBytesMax + SERVER.logTailBytesMax;

export interface Logs {
  /** Appends the output of one lease. Rejects on errors of the disk; the caller logs them and goes on. */
  append(taskId: TaskId, pointId: PointId, epoch: string, text: string | Uint8Array): Promise<void>;
  /** Output of all attempts, each under a heading; empty when there is none. */
  read(taskId: TaskId, pointId: PointId): Promise<string>;
  removeTask(taskId: TaskId): Promise<void>;
}

export function createLogs(directory: string): Logs {
  const folder = (taskId: TaskId): string => join(directory, String(taskId));
  const file = (taskId: TaskId, pointId: PointId): string => {
    if (!/^(?:run-)?\d{1,12}$/.test(pointId)) throw new Error(`not a point id: ${pointId}`);
    return join(folder(taskId), `${pointId}.log`);
  };
  return {
    async append(taskId, pointId, epoch, text) {
      const path = file(taskId, pointId);
      await mkdir(folder(taskId), { recursive: true, mode: 0o700 });
      const heading = `=== lease ${epoch.replace(/[^\d.]/g, "")} ===\n`;
      const bytes = Buffer.concat([Buffer.from(heading), Buffer.from(text), Buffer.from("\n")]);
      await appendFile(path, bytes, { mode: 0o600 });
      if ((await stat(path)).size > BYTES_MAX) await cut(path);
    },
    async read(taskId, pointId) {
      try {
        return await readFile(file(taskId, pointId), "utf8");
      } catch (error) {
        if (systemErrorCode(error) === "ENOENT") return "";
        throw error;
      }
    },
    removeTask: (taskId) => rm(folder(taskId), { recursive: true, force: true }),
  };
}

/** Keeps half a tail after the head, so that not every further append cuts again. */
async function cut(path: string): Promise<void> {
  const handle = await open(path, "r+");
  try {
    const { size } = await handle.stat();
    const tail = Buffer.alloc(Math.floor(SERVER.logTailBytesMax / 2));
    await handle.read(tail, 0, tail.length, size - tail.length);
    const note = Buffer.from(
      `\n=== ${size - SERVER.logHeadBytesMax - tail.length} bytes left out ===\n`,
    );
    await handle.truncate(SERVER.logHeadBytesMax);
    await handle.write(
      Buffer.concat([note, tail]),
      0,
      note.length + tail.length,
      SERVER.logHeadBytesMax,
    );
  } finally {
    await handle.close();
  }
}
