/**
 * Images on a node's disk: a directory that the pilots of one user share. Each entry is one image of one store by its digest.
 * An entry has two locks: one for whoever fetches or removes it, and one that its users share and whoever removes it needs
 * alone. The kernel lets locks go when a pilot dies, so that nothing has to find out whether a holder still lives.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  renameSync,
  statSync,
  statfsSync,
  utimesSync,
} from "node:fs";
import { join } from "node:path";
import { type FileLock, lockFile } from "../../common/file-lock.ts";
import { HyperpilotError, systemErrorCode } from "../../protocol/errors.ts";
import { formatBytes } from "../../protocol/resources.ts";
import type { ImageStore } from "../runtime/runtime.ts";
import { removeTree } from "../workdir.ts";
import { diskFull } from "./image-errors.ts";

export interface ImageCacheOptions {
  /** Made when missing. */
  readonly directory: string;
  /** Of all entries together; those in use stay all the same. */
  readonly bytesMax: number;
  /** The stores of the runtimes on this node, by kind. */
  readonly stores: ReadonlyMap<string, ImageStore>;
}

export interface CachedImage {
  /** As the runtime takes it. */
  readonly image: string;
  /** Keeps it on the node. */
  readonly lock: FileLock;
}

export interface FillRequest {
  readonly store: ImageStore;
  readonly digest: string;
  /** As people know it. */
  readonly name: string;
  /** Room to make; null when unknown. */
  readonly sizeBytes: number | null;
  readonly signal: AbortSignal;
  /** Called before waiting for another pilot of this node. */
  readonly onWait: () => void;
  /** Fetches into `entry` by way of `scratch`, which is removed afterwards. */
  readonly fetch: (entry: string, scratch: string) => Promise<void>;
}

/** An image is fetched, unpacked and written again before it counts. */
const ROOM_FACTOR = 3;

export class ImageCache {
  readonly #options: ImageCacheOptions;

  constructor(options: ImageCacheOptions) {
    this.#options = options;
    for (const name of ["locks", "fetching"])
      mkdirSync(join(options.directory, name), { recursive: true, mode: 0o700 });
    for (const kind of options.stores.keys())
      mkdirSync(join(options.directory, kind), { recursive: true, mode: 0o700 });
  }

  /** The image if it is here, held until its lock is let go; null: it has to be fetched. */
  async find(store: ImageStore, digest: string): Promise<CachedImage | null> {
    const entry = this.#entry(store.kind, digest);
    if (!existsSync(entry)) return null;
    // Somebody who removes it now has it alone: then it is gone.
    const lock = await lockFile(this.#locks(store.kind, digest).use, { mode: "shared" });
    if (lock === null) return null;
    const opened = existsSync(entry) ? await store.open(entry) : null;
    if (opened === null) {
      lock.release();
      return null;
    }
    const now = new Date();
    utimesSync(entry, now, now);
    return { image: opened.image, lock };
  }

  /** Fetches an image, unless another pilot has done so meanwhile. Errors: those of `fetch`, E_STORAGE_FULL. */
  async fill(request: FillRequest): Promise<void> {
    const { store, digest, signal, onWait } = request;
    const path = this.#locks(store.kind, digest).fetch;
    let lock = await lockFile(path, { mode: "exclusive" });
    if (lock === null) {
      onWait();
      lock = await lockFile(path, { mode: "exclusive", waitUntil: signal });
    }
    try {
      const entry = this.#entry(store.kind, digest);
      if (existsSync(entry) && (await store.open(entry)) !== null) return;
      await this.#fetch(request, entry);
    } finally {
      lock?.release();
    }
  }

  async #fetch(request: FillRequest, entry: string): Promise<void> {
    const { store, digest, name } = request;
    await this.#makeRoom(request);
    const scratch = join(this.#options.directory, "fetching", entryName(store.kind, digest));
    await removeTree(scratch);
    mkdirSync(scratch, { mode: 0o700 });
    // The name's end tells old versions of Singularity what it is.
    const part = join(scratch, "image.sif");
    try {
      await request.fetch(part, scratch);
      renameSync(part, entry);
    } catch (error) {
      const code = systemErrorCode(error);
      if (code !== "ENOSPC" && code !== "EDQUOT") throw error;
      throw diskFull(name, String(error));
    } finally {
      await removeTree(scratch);
    }
    await this.#removeAbove(this.#options.bytesMax);
  }

  /** Errors: E_STORAGE_FULL for an image that is larger than all of the cache. */
  async #makeRoom({ sizeBytes, name }: FillRequest): Promise<void> {
    const { bytesMax, directory } = this.#options;
    await this.#removeAbandoned();
    if (sizeBytes === null) return;
    if (sizeBytes > bytesMax)
      throw diskFull(
        name,
        `it has ${formatBytes(sizeBytes)}, and the node keeps ${formatBytes(bytesMax)} of images`,
      );
    const { bavail, bsize } = statfsSync(directory);
    const missingBytes = Math.max(0, ROOM_FACTOR * sizeBytes - bavail * bsize);
    await this.#removeAbove(bytesMax - Math.max(sizeBytes, missingBytes));
  }

  /** Removes images, the least recently used first, until the rest has at most `bytesMax`; those in use stay. */
  async #removeAbove(bytesMax: number): Promise<void> {
    const entries = await this.#entries();
    let bytes = entries.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    for (const { store, digest, entry, sizeBytes } of entries) {
      if (bytes <= bytesMax) return;
      const { fetch, use } = this.#locks(store.kind, digest);
      const isGone = await alone(
        [fetch, use],
        async () => existsSync(entry) && store.remove(entry),
      );
      if (isGone === true) bytes -= sizeBytes;
    }
  }

  /** Least recently used first. */
  async #entries() {
    const { directory, stores } = this.#options;
    const found = [];
    for (const [kind, store] of stores) {
      for (const file of readdirSync(join(directory, kind))) {
        const entry = join(directory, kind, file);
        const usedMs = statSync(entry, { throwIfNoEntry: false })?.mtimeMs;
        if (usedMs === undefined) continue;
        const sizeBytes = (await store.open(entry))?.sizeBytes ?? 0;
        found.push({ store, digest: file, entry, usedMs, sizeBytes });
      }
    }
    return found.sort((a, b) => a.usedMs - b.usedMs);
  }

  /** What pilots that died while they fetched have left. */
  async #removeAbandoned(): Promise<void> {
    const { directory } = this.#options;
    for (const name of readdirSync(join(directory, "fetching")))
      await alone([join(directory, "locks", `${name}.fetch`)], () =>
        removeTree(join(directory, "fetching", name)),
      );
  }

  #entry(kind: string, digest: string): string {
    return join(this.#options.directory, kind, fileName(digest));
  }

  #locks(kind: string, digest: string): { readonly fetch: string; readonly use: string } {
    const name = join(this.#options.directory, "locks", entryName(kind, digest));
    return { fetch: `${name}.fetch`, use: `${name}.use` };
  }
}

/** Does something while it has the locks alone; null, with nothing done, when somebody else has one. */
async function alone<T>(paths: readonly string[], action: () => Promise<T>): Promise<T | null> {
  const locks: FileLock[] = [];
  try {
    for (const path of paths) {
      const lock = await lockFile(path, { mode: "exclusive" });
      if (lock === null) return null;
      locks.push(lock);
    }
    return await action();
  } finally {
    for (const lock of locks) lock.release();
  }
}

function entryName(kind: string, digest: string): string {
  return `${kind}-${fileName(digest)}`;
}

function fileName(digest: string): string {
  return digest.replace(/^sha256:/, "");
}

/** A directory that others could write to would let them choose what payloads run. Errors: E_CONFIG. */
export function openCacheDirectory(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const entry = lstatSync(directory);
  const isOurs = entry.isDirectory() && entry.uid === process.getuid?.();
  if (isOurs && (entry.mode & 0o022) === 0) return;
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `The image cache ${directory} cannot be used.`,
    why: "Others than the pilot's user may write to it, or own it.",
    remedy: "Name a directory of the pilot's user in HYPERPILOT_IMAGE_CACHE.",
  });
}
