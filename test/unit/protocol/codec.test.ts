import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeFrame, encode } from "../../../protocol/codec.ts";
import { WIRE } from "../../../protocol/limits.ts";

function refused(bytes: Uint8Array, why: RegExp): void {
  assert.throws(() => decodeFrame(bytes), { code: "E_PROTOCOL", why });
}

/** `depth` arrays of one element around nil. */
function nested(depth: number): Uint8Array {
  return Uint8Array.from([...Array<number>(depth).fill(0x91), 0xc0]);
}

describe("frames", () => {
  it("come back as they were sent", () => {
    const value = fc.letrec((tie) => ({
      leaf: fc.oneof(
        fc.constant(null),
        fc.boolean(),
        fc.integer(),
        // A negative zero becomes zero on the wire.
        fc.double({ noNaN: true }).map((value) => value + 0),
        fc.string(),
      ),
      node: fc.oneof(tie("leaf"), fc.array(tie("leaf"), { maxLength: 5 })),
    })).node;
    fc.assert(
      fc.property(fc.array(value), (sent) => {
        assert.deepEqual(decodeFrame(encode(sent)), sent);
      }),
    );
  });

  it("carry doubles bit by bit (a negative zero becomes zero)", () => {
    for (const loss of [0.1 + 0.2, 5e-324, 1.7976931348623157e308, 123456789.12345679]) {
      assert.ok(Object.is((decodeFrame(encode([loss])) as number[])[0], loss));
    }
  });

  it("nested to the limit are taken, one level deeper refused", () => {
    assert.doesNotThrow(() => decodeFrame(nested(WIRE.depthMax - 1)));
    refused(nested(WIRE.depthMax), /nested deeper than 16/);
    refused(nested(500_000), /nested deeper/);
  });

  it("that announce more than they hold are refused before anything is allocated", () => {
    refused(Uint8Array.from([0xdd, 0xff, 0xff, 0xff, 0xff]), /announces more values/);
    refused(Uint8Array.from([0xdf, 0xff, 0xff, 0xff, 0xff]), /announces more values/);
    refused(Uint8Array.from([0xdb, 0xff, 0xff, 0xff, 0xff, 0x61]), /truncated/);
    refused(Uint8Array.from([0xc6, 0x7f, 0xff, 0xff, 0xff]), /truncated/);
  });

  it("with 100 bytes of nested array32 that ended other decoders' processes are refused", () => {
    const bomb = Uint8Array.from(
      Array.from({ length: 20 }, () => [0xdd, 0x7f, 0xff, 0xff, 0xff]).flat(),
    );
    refused(bomb, /announces more values/);
  });

  it("with more values than the limit are refused", () => {
    const count = WIRE.valuesPerFrameMax;
    const header = [0xdd, count >>> 24, (count >>> 16) & 0xff, (count >>> 8) & 0xff, count & 0xff];
    refused(
      Uint8Array.from([...header, ...Array<number>(count).fill(0xc0)]),
      /more than 100000 values/,
    );
  });

  it("larger than the limit are refused", () => {
    refused(new Uint8Array(WIRE.frameBytesMax + 1), /frame of 1048577 bytes/);
  });

  it("with extension types are refused: records, dates, regular expressions", () => {
    for (const bytes of [
      [0xd4, 0x72, 0x40],
      [0xd6, 0xff, 0, 0, 0, 0],
      [0xc7, 3, 0x78, 1, 2, 3],
      [0xd8, 0x74, ...Array<number>(16).fill(0)],
      [0xc1],
    ]) {
      refused(Uint8Array.from(bytes), /is not used here/);
    }
  });

  it("with trailing bytes, or cut anywhere, are refused", () => {
    const frame = encode([{ type: "beat", grantSeen: 300, leases: ["x".repeat(300)], share: 0.5 }]);
    refused(Uint8Array.from([...frame, 0xc0]), /1 bytes after the end/);
    for (let length = 0; length < frame.length; length += 1) {
      assert.throws(() => decodeFrame(frame.subarray(0, length)), { code: "E_PROTOCOL" });
    }
  });

  it("of random bytes never do anything but decode or be refused", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decodeFrame(bytes);
        } catch (error) {
          assert.equal((error as { code: string }).code, "E_PROTOCOL");
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("cannot set a prototype", () => {
    const value = decodeFrame(encode([JSON.parse('{"__proto__": {"isAdmin": true}}')])) as Record<
      string,
      unknown
    >[];
    assert.equal((Object.assign({}, value[0]) as { isAdmin?: boolean }).isAdmin, undefined);
  });
});
