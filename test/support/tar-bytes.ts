/** Tar archives made byte by byte: also such as no sane program would make. */
import { gzipSync } from "node:zlib";

const BLOCK = 512;

export interface Header {
  readonly name: string | Buffer;
  /** "0" file, "5" directory, "2" symbolic link, ... */
  readonly type?: string;
  readonly data?: string | Buffer;
  /** Size as it stands in the header; that of `data` by default. A Buffer is taken as it is. */
  readonly size?: number | Buffer;
  readonly link?: string;
  readonly mode?: number;
  readonly prefix?: string;
  readonly magic?: string;
  /** Added to the right sum. */
  readonly checksumError?: number;
}

/** One entry: a header, and the data filled up to whole blocks. */
export function entry(header: Header): Buffer {
  const data = Buffer.from(header.data ?? "");
  const block = Buffer.alloc(BLOCK);
  const put = (value: string | Buffer, offset: number, length: number): void => {
    Buffer.from(value).copy(block, offset, 0, length);
  };
  const octal = (value: number, length: number): string =>
    `${value.toString(8).padStart(length - 1, "0")}\0`;
  put(header.name, 0, 100);
  put(octal(header.mode ?? 0o644, 8), 100, 8);
  put(octal(0, 8), 108, 8);
  put(octal(0, 8), 116, 8);
  const size = header.size ?? data.length;
  put(typeof size === "number" ? octal(size, 12) : size, 124, 12);
  put(octal(0, 12), 136, 12);
  block.fill(0x20, 148, 156);
  put(header.type ?? "0", 156, 1);
  put(header.link ?? "", 157, 100);
  put(header.magic ?? "ustar\u000000", 257, 8);
  put(header.prefix ?? "", 345, 155);
  let sum = header.checksumError ?? 0;
  for (const byte of block) sum += byte;
  put(`${sum.toString(8).padStart(6, "0")}\0 `, 148, 8);
  return Buffer.concat([block, data, Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK)]);
}

/** An extended header (PAX) with these records; `type` "g": for all entries that follow. */
export function pax(records: Readonly<Record<string, string>>, type = "x"): Buffer {
  const data = Object.entries(records).map(([key, value]) => paxRecord(key, value));
  return entry({ name: "PaxHeader/x", type, data: Buffer.concat(data) });
}

/** "<length> key=value\n", where the length counts itself. */
function paxRecord(key: string, value: string): Buffer {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length += 1;
  return Buffer.from(`${length} ${key}=${value}\n`);
}

/** GNU's way for long names: an entry whose data are the name of the next one ("L"), or its link's ("K"). */
export function gnuLong(type: "L" | "K", text: string): Buffer {
  return entry({ name: "././@LongLink", type, data: `${text}\0` });
}

export function archive(...entries: readonly Buffer[]): Buffer {
  return Buffer.concat([...entries, Buffer.alloc(2 * BLOCK)]);
}

export function packed(...entries: readonly Buffer[]): Buffer {
  return gzipSync(archive(...entries));
}
