/**
 * Files that are read again years later, or after a bad disk: a sequence of chunks, each with its length and a hash over itself
 * and all before it, and an end that says how many there were. Nothing that was changed, cut or put together anew is taken.
 */
import { createHash } from "node:crypto";
import { decodeTrusted, encode } from "../../protocol/codec.ts";
import { SERVER } from "../../protocol/limits.ts";

const LENGTH_BYTES = 4;
const HASH_BYTES = 32;
const END = "end";

export interface ChunkWriter {
  /** The bytes of the next chunk. */
  chunk(value: unknown): Uint8Array;
  /** The last bytes; nothing is added after them. */
  end(): Uint8Array;
  /** Hash of all chunks so far, hex. */
  hash(): string;
}

export function createChunkWriter(): ChunkWriter {
  let hash: Buffer = Buffer.alloc(HASH_BYTES);
  let chunks = 0;
  function chunk(value: unknown): Uint8Array {
    const body = encode(value);
    if (body.length > SERVER.chunkBytesMax)
      throw new Error(`a chunk of ${body.length} bytes, at most ${SERVER.chunkBytesMax}`);
    hash = hashOf(hash, body);
    chunks += 1;
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt32BE(body.length);
    return Buffer.concat([length, hash, body]);
  }
  return {
    chunk,
    end: () => chunk([END, chunks]),
    hash: () => hash.toString("hex"),
  };
}

/** Why a file of chunks is not taken: damaged, cut, or no such file at all. */
export class DamagedChunks extends Error {
  override readonly name = "DamagedChunks";
}

/** The values of all chunks but the end. Throws {@link DamagedChunks}; what was given out before was whole. */
export async function* readChunks(source: AsyncIterable<Uint8Array>): AsyncGenerator {
  const input = new ByteQueue(source);
  let hash: Buffer = Buffer.alloc(HASH_BYTES);
  for (let chunks = 0; ; chunks += 1) {
    const length = (await input.take(LENGTH_BYTES)).readUInt32BE();
    if (length > SERVER.chunkBytesMax)
      throw new DamagedChunks(`chunk ${chunks} says that it has ${length} bytes`);
    const expected = await input.take(HASH_BYTES);
    const body = await input.take(length);
    hash = hashOf(hash, body);
    if (!hash.equals(expected)) throw new DamagedChunks(`chunk ${chunks} was changed (hash)`);
    const value = decodeTrusted(body);
    if (!Array.isArray(value) || value[0] !== END) {
      yield value;
      continue;
    }
    if (value[1] !== chunks || !(await input.isAtEnd()))
      throw new DamagedChunks("something follows its end");
    return;
  }
}

function hashOf(previous: Uint8Array, body: Uint8Array): Buffer {
  return createHash("sha256").update(previous).update(body).digest();
}

/** Takes exact numbers of bytes off a stream. */
class ByteQueue {
  readonly #source: AsyncIterator<Uint8Array>;
  #parts: Uint8Array[] = [];
  #bytes = 0;

  constructor(source: AsyncIterable<Uint8Array>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  async take(count: number): Promise<Buffer> {
    while (this.#bytes < count) {
      if (!(await this.#pull())) throw new DamagedChunks("it ends before its end");
    }
    const all = this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
    const bytes = Buffer.from(all?.buffer ?? new ArrayBuffer(0), all?.byteOffset, all?.length);
    this.#parts = [bytes.subarray(count)];
    this.#bytes -= count;
    return bytes.subarray(0, count);
  }

  async isAtEnd(): Promise<boolean> {
    return this.#bytes === 0 && !(await this.#pull());
  }

  async #pull(): Promise<boolean> {
    const next = await this.#source.next();
    if (next.done === true) return false;
    this.#parts.push(next.value);
    this.#bytes += next.value.length;
    return true;
  }
}
