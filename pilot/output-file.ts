/** A payload's output, kept in bounded space: its first and its last part. */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { PILOT } from "../protocol/limits.ts";

const CHUNK_BYTES = 64 * 1024;
/** Each time less is left, unless the payload writes faster than a disk copies. */
const CATCH_UP_TIMES_MAX = 8;

export interface OutputBounds {
  readonly headBytesMax: number;
  readonly tailBytesMax: number;
}

/**
 * The payload appends to the file (O_APPEND) and `check`, called often, cuts it: the first part is copied aside once, the
 * last part at each cut, then the file is emptied and the payload goes on at its start. So a payload without much output
 * costs nothing but a stat: a pipe through the pilot would cost its main thread, a reading process one more start per
 * evaluation (a third of what a start costs), and a limit on file size would end the payload. A payload that writes
 * faster than it is looked at overshoots by what it writes between two checks, and loses part of the middle, no more.
 */
export interface OutputFile {
  readonly path: string;
  check(): void;
  /** Joins the parts at `path` when the payload has ended. */
  finish(): void;
  /** The end of the output so far, at most `bytesMax` bytes, broken characters replaced. */
  tail(bytesMax: number): string;
}

/** Makes the empty file. Errors: those of open, such as ENOSPC. */
export function createOutputFile(path: string, bounds: OutputBounds = DEFAULT_BOUNDS): OutputFile {
  const headPath = `${path}.head`;
  const tailPath = `${path}.tail`;
  const limitBytes = bounds.headBytesMax + bounds.tailBytesMax;
  let writtenBytesBefore = 0;
  closeSync(openSync(path, "wx", 0o600));

  function cut(sizeBytes: number): void {
    if (writtenBytesBefore === 0)
      copyPart(path, headPath, { from: 0, to: bounds.headBytesMax }, "w");
    copyPart(path, tailPath, { from: sizeBytes - bounds.tailBytesMax, to: sizeBytes }, "w");
    const copiedBytes = catchUp(sizeBytes);
    const file = openSync(path, "r+");
    try {
      ftruncateSync(file, 0);
    } finally {
      closeSync(file);
    }
    writtenBytesBefore += copiedBytes;
  }

  /** What was written meanwhile may be the payload's last words. */
  function catchUp(fromBytes: number): number {
    let copiedBytes = fromBytes;
    for (let times = 0; times < CATCH_UP_TIMES_MAX; times += 1) {
      const nowBytes = sizeOf(path);
      if (nowBytes <= copiedBytes) break;
      const from = Math.max(copiedBytes, nowBytes - bounds.tailBytesMax);
      copyPart(path, tailPath, { from, to: nowBytes }, "a");
      copiedBytes = nowBytes;
    }
    return copiedBytes;
  }

  return {
    path,
    check: () => {
      const sizeBytes = sizeOf(path);
      if (sizeBytes > limitBytes + bounds.tailBytesMax) cut(sizeBytes);
    },
    finish: () => {
      const sizeBytes = sizeOf(path);
      if (writtenBytesBefore === 0 && sizeBytes <= limitBytes) return;
      // The last part may be spread over the copied tail and what was written since.
      if (writtenBytesBefore === 0)
        copyPart(path, headPath, { from: 0, to: bounds.headBytesMax }, "w");
      else if (sizeBytes < bounds.tailBytesMax) {
        const keptBytes = sizeOf(tailPath);
        const missingBytes = bounds.tailBytesMax - sizeBytes;
        const joined = { from: Math.max(0, keptBytes - missingBytes), to: keptBytes };
        copyPart(tailPath, `${path}.joined`, joined, "w");
        copyPart(path, `${path}.joined`, { from: 0, to: sizeBytes }, "a");
        renameSync(`${path}.joined`, path);
      }
      const lastBytes = sizeOf(path);
      const tail = { from: Math.max(0, lastBytes - bounds.tailBytesMax), to: lastBytes };
      const leftOutBytes =
        writtenBytesBefore + sizeBytes - bounds.headBytesMax - (tail.to - tail.from);
      appendText(headPath, `\n[... ${leftOutBytes} bytes left out ...]\n`);
      copyPart(path, headPath, tail, "a");
      renameSync(headPath, path);
      rmSync(tailPath, { force: true });
    },
    tail: (bytesMax) => readTail(path, bytesMax),
  };
}

const DEFAULT_BOUNDS: OutputBounds = {
  headBytesMax: PILOT.logHeadBytesMax,
  tailBytesMax: PILOT.logTailBytesMax,
};

/** The end of a file as text, at most `bytesMax` bytes. */
export function readTail(path: string, bytesMax: number): string {
  const file = openSync(path, "r");
  try {
    const sizeBytes = fstatSync(file).size;
    const buffer = Buffer.alloc(Math.min(bytesMax, sizeBytes));
    const readBytes = readSync(file, buffer, 0, buffer.length, sizeBytes - buffer.length);
    return buffer.toString("utf8", 0, readBytes);
  } finally {
    closeSync(file);
  }
}

interface Part {
  readonly from: number;
  readonly to: number;
}

function copyPart(source: string, target: string, part: Part, flags: "w" | "a"): void {
  const input = openSync(source, "r");
  try {
    const output = openSync(target, flags, 0o600);
    try {
      const buffer = Buffer.alloc(CHUNK_BYTES);
      let position = part.from;
      while (position < part.to) {
        const wanted = Math.min(buffer.length, part.to - position);
        const readBytes = readSync(input, buffer, 0, wanted, position);
        if (readBytes === 0) break;
        writeSync(output, buffer, 0, readBytes);
        position += readBytes;
      }
    } finally {
      closeSync(output);
    }
  } finally {
    closeSync(input);
  }
}

function appendText(path: string, text: string): void {
  const file = openSync(path, "a");
  try {
    writeSync(file, text);
  } finally {
    closeSync(file);
  }
}

function sizeOf(path: string): number {
  return statSync(path).size;
}
