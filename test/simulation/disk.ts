/**
 * A simulated disk behind the Disk port: bytes and names are durable only once they were synced, and any one operation can be made
 * to fail. Reads are no operations: they change nothing.
 *
 *     const disk = new SimulatedDisk();
 *     disk.failAt(17, "torn");          // the 17th operation from now on
 *     ... run a server on it; `disk.hasCrashed` tells that it is gone ...
 *     disk.powerOn();                   // what survived is all that is there now
 */
import { dirname } from "node:path";
import { Readable } from "node:stream";
import type { Disk, NewFile } from "../../server/disk.ts";

/** In which ways an operation fails. */
export const FAULTS = [
  /** The process ends before the operation; all that was written before survives, as after kill -9. */
  "crashBefore",
  /** The process ends right after it, nobody hears of its success; all survives. */
  "crashAfter",
  /** Power fails right after it: what was not synced is lost, bytes and names. */
  "unsyncedLost",
  /** Power fails right after it: names that were not synced are lost (new files, renames), bytes survive. */
  "namesLost",
  /** Power fails right after it: bytes that were not synced are lost, names survive. */
  "bytesLost",
  /** Power fails within it: half of what it writes is there. */
  "torn",
  /** It fails for want of space, half done; the process goes on. */
  "ENOSPC",
  /** It fails, and what was not synced is gone although it can still be read; the process goes on. */
  "EIO",
] as const;
export type Fault = (typeof FAULTS)[number];

/** What survives a crash besides what was synced. */
type Surviving = "all" | "synced" | "bytes" | "names";

interface Node {
  readonly isDirectory: boolean;
  bytes: Buffer;
  syncedBytes: Buffer;
}

export class SimulatedDisk implements Disk {
  /** Operations since the last `failAt`. */
  operations = 0;
  hasCrashed = false;
  /** What each operation was, for messages. */
  readonly trace: string[] = [];
  #names = new Map<string, Node>([["/", directory()]]);
  #syncedNames = new Map(this.#names);
  #planned: { readonly at: number; readonly fault: Fault } | null = null;

  /** Counts from 1 again and lets operation number `at` fail. */
  failAt(at: number, fault: Fault): void {
    this.operations = 0;
    this.#planned = { at, fault };
  }

  /** The machine goes off now: nothing is answered any more. */
  crash(surviving: Surviving): void {
    this.hasCrashed = true;
    const names = surviving === "all" || surviving === "names" ? this.#names : this.#syncedNames;
    const keepsBytes = surviving === "all" || surviving === "bytes";
    const after = new Map<string, Node>();
    for (const [path, node] of names) {
      const bytes = keepsBytes ? node.bytes : node.syncedBytes;
      after.set(path, { isDirectory: node.isDirectory, bytes, syncedBytes: bytes });
    }
    for (const path of after.keys()) if (!isReachable(after, path)) after.delete(path);
    this.#names = after;
    this.#syncedNames = new Map(after);
  }

  /** The machine is on again; processes of before are gone. */
  powerOn(): void {
    this.hasCrashed = false;
    this.#planned = null;
    this.trace.length = 0;
  }

  async makeDirectory(path: string): Promise<void> {
    await this.#operate(`makeDirectory ${path}`, () => {
      for (const one of withParents(path))
        if (!this.#names.has(one)) this.#names.set(one, directory());
    });
  }

  list(path: string): Promise<readonly string[]> {
    return this.#read(() => this.#children(path).sort());
  }

  sizeBytes(path: string): Promise<number | null> {
    return this.#read(() => this.#names.get(path)?.bytes.length ?? null);
  }

  read(path: string): Promise<Uint8Array | null> {
    return this.#read(() => {
      const node = this.#names.get(path);
      return node === undefined ? null : Buffer.from(node.bytes);
    });
  }

  stream(path: string, startByte: number): Readable {
    const node = this.#names.get(path);
    if (node === undefined) throw systemError("ENOENT", path);
    return Readable.from([Buffer.from(node.bytes.subarray(startByte))], { objectMode: false });
  }

  async create(path: string): Promise<NewFile> {
    const node: Node = { isDirectory: false, bytes: Buffer.alloc(0), syncedBytes: Buffer.alloc(0) };
    await this.#operate(`create ${path}`, () => {
      if (!this.#names.has(dirname(path))) throw systemError("ENOENT", path);
      this.#names.set(path, node);
    });
    return {
      write: (bytes) => {
        const half = bytes.subarray(0, Math.floor(bytes.length / 2));
        const append = (part: Uint8Array) => (): void => {
          node.bytes = Buffer.concat([node.bytes, part]);
        };
        return this.#operate(`write ${path}`, append(bytes), append(half));
      },
      sync: () =>
        this.#operate(
          `sync ${path}`,
          () => {
            node.syncedBytes = node.bytes;
          },
          () => undefined,
        ),
      close: () => this.#read(() => undefined),
    };
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operate(`rename ${from} ${to}`, () => {
      const node = this.#names.get(from);
      if (node === undefined) throw systemError("ENOENT", from);
      this.#names.delete(from);
      this.#names.set(to, node);
    });
  }

  async remove(path: string): Promise<void> {
    await this.#operate(`remove ${path}`, () => {
      for (const one of [...this.#names.keys()])
        if (one === path || one.startsWith(`${path}/`)) this.#names.delete(one);
    });
  }

  async syncDirectory(path: string): Promise<void> {
    await this.#operate(`syncDirectory ${path}`, () => {
      if (!this.#names.has(path)) throw systemError("ENOENT", path);
      const isChild = (one: string): boolean => one !== "/" && dirname(one) === path;
      for (const one of [...this.#syncedNames.keys()])
        if (isChild(one) && !this.#names.has(one)) this.#syncedNames.delete(one);
      for (const [one, node] of this.#names) if (isChild(one)) this.#syncedNames.set(one, node);
    });
  }

  #children(path: string): string[] {
    const prefix = path === "/" ? "/" : `${path}/`;
    return [...this.#names.keys()]
      .filter((one) => one !== "/" && one.startsWith(prefix))
      .map((one) => one.slice(prefix.length))
      .filter((name) => !name.includes("/"));
  }

  /** Of a machine that is off nothing is heard. */
  #read<T>(read: () => T): Promise<T> {
    return this.hasCrashed ? new Promise(() => undefined) : Promise.resolve().then(read);
  }

  async #operate(
    what: string,
    whole: () => void,
    half: () => void = () => undefined,
  ): Promise<void> {
    if (this.hasCrashed) return new Promise(() => undefined);
    this.operations += 1;
    this.trace.push(what);
    const planned = this.#planned;
    if (planned?.at !== this.operations) {
      await Promise.resolve();
      whole();
      return;
    }
    this.#planned = null;
    switch (planned.fault) {
      case "ENOSPC":
        half();
        throw systemError("ENOSPC", what);
      case "EIO":
        half();
        // The next power failure shows it: what was not synced by now never will be.
        throw systemError("EIO", what);
      case "crashBefore":
        return this.#goOff("all");
      case "torn":
        half();
        return this.#goOff("all");
      case "crashAfter":
        whole();
        return this.#goOff("all");
      case "unsyncedLost":
        whole();
        return this.#goOff("synced");
      case "namesLost":
        whole();
        return this.#goOff("bytes");
      case "bytesLost":
        whole();
        return this.#goOff("names");
    }
  }

  #goOff(surviving: Surviving): Promise<never> {
    this.crash(surviving);
    return new Promise(() => undefined);
  }
}

function directory(): Node {
  return { isDirectory: true, bytes: Buffer.alloc(0), syncedBytes: Buffer.alloc(0) };
}

function withParents(path: string): string[] {
  const parts = path.split("/").filter((part) => part !== "");
  return parts.map((_part, index) => `/${parts.slice(0, index + 1).join("/")}`);
}

function isReachable(names: ReadonlyMap<string, Node>, path: string): boolean {
  return withParents(path).every((parent) => names.has(parent));
}

function systemError(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}
