/** Frames: msgpack with bounds. The only importer of msgpackr. */
import { Packr } from "msgpackr";
import { HyperpilotError } from "./errors.ts";
import { WIRE } from "./limits.ts";

const packr = new Packr({
  useRecords: false,
  variableMapSize: true,
  int64AsType: "number",
  moreTypes: false,
});

/** The bytes of a value made of null, booleans, finite numbers, strings, byte arrays, arrays and plain objects. */
export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

/** Decodes bytes that this system wrote itself (journal records). */
export function decodeTrusted(bytes: Uint8Array): unknown {
  return packr.unpack(bytes);
}

/**
 * Decodes bytes from a peer: their structure is walked first, because a decoder that allocates what a peer announces can
 * end the process before it throws. Refuses extension types, too deep or too many values and trailing bytes.
 */
export function decodeFrame(bytes: Uint8Array): unknown {
  if (bytes.length > WIRE.frameBytesMax)
    throw malformed(`frame of ${bytes.length} bytes, at most ${WIRE.frameBytesMax}`);
  const end = checkStructure(bytes);
  if (end !== bytes.length)
    throw malformed(`${bytes.length - end} bytes after the end of the message`);
  try {
    return packr.unpack(bytes);
  } catch (error) {
    throw malformed(error instanceof Error ? error.message : "undecodable");
  }
}

function malformed(reason: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_PROTOCOL",
    message: "A message on the wire could not be read.",
    why: reason,
    remedy: "Check that both sides run compatible versions: hyperpilot --version.",
  });
}

/** Walks one value iteratively and returns the offset of its end. */
function checkStructure(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const remaining: number[] = [1];
  let offset = 0;
  let values = 0;
  while (remaining.length > 0) {
    const top = remaining.length - 1;
    const left = remaining[top] ?? 0;
    if (left === 0) {
      remaining.pop();
      continue;
    }
    remaining[top] = left - 1;
    values += 1;
    if (values > WIRE.valuesPerFrameMax)
      throw malformed(`more than ${WIRE.valuesPerFrameMax} values`);
    if (offset >= bytes.length) throw malformed("truncated");
    const shape = shapeAt(view, offset);
    offset += shape.size;
    if (offset > bytes.length) throw malformed("truncated");
    if (shape.children > 0) {
      if (shape.children > bytes.length - offset)
        throw malformed("announces more values than it holds");
      if (remaining.length >= WIRE.depthMax) throw malformed(`nested deeper than ${WIRE.depthMax}`);
      remaining.push(shape.children);
    }
  }
  return offset;
}

interface Shape {
  /** Bytes of the value without its children. */
  readonly size: number;
  readonly children: number;
}

function leaf(size: number): Shape {
  return { size, children: 0 };
}

/** Size and number of children of the value at `offset`; formats after the MessagePack specification. */
function shapeAt(view: DataView, offset: number): Shape {
  const type = view.getUint8(offset);
  if (type <= 0x7f || type >= 0xe0) return leaf(1);
  if (type <= 0x8f) return { size: 1, children: 2 * (type & 0x0f) };
  if (type <= 0x9f) return { size: 1, children: type & 0x0f };
  if (type <= 0xbf) return leaf(1 + (type & 0x1f));
  if (type === 0xc0 || type === 0xc2 || type === 0xc3) return leaf(1);
  const lengthAt = (size: 1 | 2 | 4): number => {
    if (offset + 1 + size > view.byteLength) throw malformed("truncated");
    return size === 1
      ? view.getUint8(offset + 1)
      : size === 2
        ? view.getUint16(offset + 1)
        : view.getUint32(offset + 1);
  };
  switch (type) {
    case 0xc4:
    case 0xd9:
      return leaf(2 + lengthAt(1));
    case 0xc5:
    case 0xda:
      return leaf(3 + lengthAt(2));
    case 0xc6:
    case 0xdb:
      return leaf(5 + lengthAt(4));
    case 0xca:
      return leaf(5);
    case 0xcb:
    case 0xcf:
    case 0xd3:
      return leaf(9);
    case 0xcc:
    case 0xd0:
      return leaf(2);
    case 0xcd:
    case 0xd1:
      return leaf(3);
    case 0xce:
    case 0xd2:
      return leaf(5);
    case 0xdc:
      return { size: 3, children: lengthAt(2) };
    case 0xdd:
      return { size: 5, children: lengthAt(4) };
    case 0xde:
      return { size: 3, children: 2 * lengthAt(2) };
    case 0xdf:
      return { size: 5, children: 2 * lengthAt(4) };
    default:
      throw malformed(`type 0x${type.toString(16)} is not used here`);
  }
}
