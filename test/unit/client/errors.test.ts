import assert from "node:assert/strict";
import { AnsweredError, errorDocument, errorLines, usageError } from "../../../client/errors.ts";
import { styleOf } from "../../../client/style.ts";
import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";

const plain = styleOf({
  isTty: true,
  environment: { NO_COLOR: "1", LANG: "C.UTF-8" },
  noColour: false,
});
const ascii = styleOf({ isTty: true, environment: { NO_COLOR: "1", LANG: "C" }, noColour: false });

const ERROR = new AnsweredError(
  {
    code: "E_SANDBOX_SIZE",
    message: "The task's files are 13.1 MB; at most 10.0 MB are taken.",
    why: "The largest: data.json 12.0 MB.",
    remedy: "Leave it out,\nor make it smaller.",
  },
  "7f3a-91c2",
);

describe("errors", () => {
  it("have four parts on a terminal", () => {
    assert.equal(
      errorLines(ERROR, plain),
      [
        "✗ E_SANDBOX_SIZE The task's files are 13.1 MB; at most 10.0 MB are taken.",
        "  Why   The largest: data.json 12.0 MB.",
        "  Do    Leave it out,",
        "        or make it smaller.",
        "  More  hyperpilot help exit-codes     request 7f3a-91c2",
      ].join("\n"),
    );
  });

  it("are ASCII where the locale is", () => {
    assert.match(errorLines(usageError("Bad é.", "Do."), ascii), /^x E_USAGE Bad \\xe9\.\n {2}Do/);
  });

  it("are one JSON document with --json", () => {
    assert.deepEqual(JSON.parse(errorDocument(ERROR)), {
      error: {
        code: "E_SANDBOX_SIZE",
        exit: EXIT.refusedByLimit,
        message: ERROR.message,
        why: ERROR.why,
        remedy: ERROR.remedy,
        requestId: "7f3a-91c2",
      },
    });
  });

  it("of a server cannot steer the terminal", () => {
    const hostile = new HyperpilotError({
      code: "E_CONFLICT",
      message: "a\u001b[2J",
      why: "b\u001b]0;x\u0007",
      remedy: "c\u202e",
    });

    assert.doesNotMatch(errorLines(hostile, plain), /[\u001b\u0007\u202e]/);
  });

  it("that nobody expected are called that, with a remedy", () => {
    const lines = errorLines(new TypeError("x is not a function"), plain);
    assert.match(lines, /^✗ E_INTERNAL .*x is not a function\n {2}Do {4}Report it/);
  });
});
