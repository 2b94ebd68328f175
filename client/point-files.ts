/** Files that evaluations have left on the server: which points have them, and their bytes, checked. */
import { createHash } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import type { TaskId } from "../protocol/ids.ts";
import type { BlobRef } from "../protocol/pilot-messages.ts";
import type { PointView } from "../protocol/rest.ts";
import type { LeaseFileKind } from "../protocol/routes.ts";
import type { Api } from "./api.ts";

const PAGE_ITEMS = 1_000;

export interface PointFile {
  readonly taskId: TaskId;
  readonly pointId: string;
  readonly kind: LeaseFileKind;
  readonly blob: BlobRef;
}

/** Files of a kind: of one point, or of all points of the task in their order. Errors: E_NOT_FOUND. */
export async function* pointFiles(
  api: Api,
  taskId: TaskId,
  kind: LeaseFileKind,
  pointId?: string,
): AsyncIterable<PointFile> {
  if (pointId !== undefined) {
    const point = await api.call("showPoint", { params: { taskId, pointId } });
    yield* fileOf(taskId, point, kind);
    return;
  }
  let cursor: string | null = null;
  do {
    const query: { limit: number; cursor?: string } = { limit: PAGE_ITEMS };
    if (cursor !== null) query.cursor = cursor;
    const page = await api.call("listPoints", { params: { taskId }, query });
    for (const point of page.items) yield* fileOf(taskId, point, kind);
    cursor = page.nextCursor;
  } while (cursor !== null);
}

function* fileOf(taskId: TaskId, point: PointView, kind: LeaseFileKind): Iterable<PointFile> {
  const blob = kind === "checkpoint" ? point.checkpoints[0] : point[kind];
  if (blob !== undefined && blob !== null) yield { taskId, pointId: point.pointId, kind, blob };
}

/** The whole file, for what is small. Errors: E_CHECKSUM, E_NOT_FOUND. */
export async function readPointFile(api: Api, file: PointFile): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of await checkedStream(api, file)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Writes the file under a name of ours; it is there complete or not at all. Resolves with its path. Errors: E_CHECKSUM, E_FILE. */
export async function savePointFile(api: Api, file: PointFile, directory: string): Promise<string> {
  const { taskId, pointId, kind } = file;
  const part = join(directory, `.${taskId}.${kind}.${pointId}.part`);
  try {
    await mkdir(directory, { recursive: true });
    await pipeline(await checkedStream(api, file), createWriteStream(part));
    const target = join(directory, `${taskId}.${kind}.${pointId}${await endingOf(part)}`);
    await rename(part, target);
    return target;
  } catch (error) {
    if (error instanceof HyperpilotError) throw error;
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `A file cannot be written below ${dirname(part)}.`,
        why: errorText(error),
        remedy: "Name another directory with --to.",
      },
      error,
    );
  } finally {
    await rm(part, { force: true });
  }
}

/** The bytes as they arrive; ends with an error unless all of them were the right ones. */
async function checkedStream(api: Api, file: PointFile): Promise<AsyncIterable<Buffer>> {
  const { taskId, pointId, kind, blob } = file;
  const accept = "application/octet-stream";
  const response = await api.open("pointFile", { params: { taskId, pointId, kind }, accept });
  return checked(response, blob, `The ${kind} of point ${pointId}`);
}

async function* checked(
  response: Response,
  { sha256, sizeBytes }: BlobRef,
  what: string,
): AsyncIterable<Buffer> {
  const hash = createHash("sha256");
  let bytes = 0;
  const body = response.body === null ? [] : Readable.from(response.body);
  for await (const chunk of body as AsyncIterable<Uint8Array>) {
    bytes += chunk.length;
    if (bytes > sizeBytes) break;
    hash.update(chunk);
    yield Buffer.from(chunk);
  }
  if (bytes === sizeBytes && hash.digest("hex") === sha256) return;
  throw new HyperpilotError({
    code: "E_CHECKSUM",
    message: `${what} arrived damaged.`,
    why: `${bytes} of ${sizeBytes} bytes came, or others than were stored.`,
    remedy: "Try again; if it stays so, the server's copy is damaged.",
  });
}

/** Ending of a file's name by what is in it: the payload may have written anything. */
async function endingOf(file: string): Promise<string> {
  const handle = await open(file, "r");
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(262), 0, 262, 0);
    const head = buffer.subarray(0, bytesRead);
    if (head[0] === 0x1f && head[1] === 0x8b) return ".tgz";
    return head.subarray(257, 262).toString("latin1") === "ustar" ? ".tar" : "";
  } finally {
    await handle.close();
  }
}
