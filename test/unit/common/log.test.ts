import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { jsonLineLogger, redact } from "../../../common/log.ts";

describe("the log", () => {
  it("is one line of JSON per event, with time, level, event and fields", () => {
    const lines: string[] = [];
    const stream = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        lines.push(chunk.toString());
        done();
      },
    });
    const log = jsonLineLogger(stream, { program: "pilot" }, () => 0);
    log.warn("lost", { text: "two\nlines" });
    assert.equal(lines.length, 1);
    assert.deepEqual(JSON.parse(lines[0] ?? ""), {
      time: "1970-01-01T00:00:00.000Z",
      level: "warn",
      event: "lost",
      program: "pilot",
      text: "two\nlines",
    });
    assert.equal(lines[0]?.indexOf("\n"), (lines[0]?.length ?? 0) - 1);
  });

  for (const [what, text] of [
    ["bearer tokens", "authorization: Bearer CANARY-abcdef"],
    ["our own tokens", "token hp_CANARY0123456789"],
    ["tokens of leases", "token hp_lease_CANARY0123_456789"],
    ["session tokens", "eyJCANARYhbGciOiJ.eyJzdWIiOiJ4.c2lnbmF0dXJl"],
    ["passwords in addresses", "https://user:CANARY@host/"],
    ["private keys", "-----BEGIN PRIVATE KEY-----CANARY-----END"],
  ] as const) {
    it(`never shows ${what}`, () => {
      assert.doesNotMatch(redact(text), /CANARY/);
    });
  }
});
