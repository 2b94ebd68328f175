/** Blobs on the server's disk: outlive its processes, and are sometimes other bytes than they were. */
import type { Readable } from "node:stream";
import type { BlobInfo, Blobs } from "../../server/blobs/blobs.ts";
import type { Process } from "./process.ts";
import type { Random } from "./random.ts";

/** Streams would not settle between two events: what is uploaded is handed over beside. */
const NO_STREAM = null as unknown as Readable;

export class BlobStore {
  #texts = new Map<string, string>();
  #damaged = new Set<string>();
  #backup: ReadonlyMap<string, string> = new Map();
  /** Bodies of the uploads that are under way. */
  readonly #bodies = new Map<string, string>();

  /** Whether the bytes are there, as they were stored or damaged. */
  has(sha256: string): boolean {
    return this.#texts.has(sha256);
  }

  /** The bytes; null: they are lost or damaged. */
  textOf(sha256: string): string | null {
    return this.#damaged.has(sha256) ? null : (this.#texts.get(sha256) ?? null);
  }

  /** A disk returns other bytes from now on. Returns whether there was anything to damage. */
  damage(random: Random): boolean {
    const whole = [...this.#texts.keys()].filter((sha256) => !this.#damaged.has(sha256));
    if (whole.length === 0) return false;
    this.#damaged.add(random.pick(whole));
    return true;
  }

  takeBackup(): void {
    this.#backup = new Map(this.#texts);
  }

  restoreBackup(): void {
    this.#texts = new Map(this.#backup);
    this.#damaged.clear();
  }

  async put(blobs: Blobs, info: BlobInfo, text: string): Promise<void> {
    this.#bodies.set(info.sha256, text);
    await blobs.put(NO_STREAM, info, text.length);
  }

  /** The store as one process of the server sees it; each operation takes its time. */
  portFor(process: Process, random: Random): Blobs {
    const works = (): Promise<void> => process.clock.sleep(random.between(1, 40));
    return {
      put: async (_source, expected) => {
        await works();
        this.#texts.set(expected.sha256, this.#bodies.get(expected.sha256) ?? "");
        this.#damaged.delete(expected.sha256);
        return expected;
      },
      get: (sha256) => {
        const text = this.#texts.get(sha256);
        const info = { sha256, sizeBytes: text?.length ?? 0 };
        return Promise.resolve(text === undefined ? null : { info, stream: NO_STREAM });
      },
      delete: async (sha256) => {
        await works();
        this.#texts.delete(sha256);
        this.#damaged.delete(sha256);
      },
      list: (cursor, limit) =>
        Promise.resolve(
          [...this.#texts.keys()]
            .filter((name) => name > cursor)
            .sort()
            .slice(0, limit),
        ),
    };
  }
}
