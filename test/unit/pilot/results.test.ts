import assert from "node:assert/strict";
import { cleanMessage, lastLines } from "../../../pilot/clean-message.ts";
import { interpretOutput, missingOutput } from "../../../pilot/output-json.ts";
import { payloadEnvironment } from "../../../pilot/payload-environment.ts";
import { PILOT } from "../../../protocol/limits.ts";
import { Outcome } from "../../../protocol/pilot-messages.ts";

const EXIT_0 = { exitCode: 0, signal: null, outputTail: "" };
const EXIT_3 = { exitCode: 3, signal: null, outputTail: "epoch 1\nTraceback\nValueError: no\n" };

function read(text: string, exit = EXIT_0): Outcome {
  const outcome = interpretOutput(text, "output.json", exit);
  // Whatever a payload writes must fit into the message to the server.
  return Outcome.parse(outcome);
}

function failure(text: string, exit = EXIT_0): { code: string; message: string } {
  const outcome = read(text, exit);
  assert.ok(outcome.type === "failed", JSON.stringify(outcome));
  return outcome;
}

describe("output.json", () => {
  it("gives the loss and the message, with status 0 when none is written", () => {
    assert.deepEqual(read('{"status":0,"loss":0.12,"message":"fine"}'), {
      type: "loss",
      loss: 0.12,
      exitCode: 0,
      message: "fine",
    });
    assert.deepEqual(read('{"loss": -3}'), { type: "loss", loss: -3, exitCode: 0, message: "" });
  });

  it("counts when it is valid, whatever the exit code, and keeps the exit code as a warning", () => {
    assert.deepEqual(read('{"loss": 1}', EXIT_3), {
      type: "loss",
      loss: 1,
      exitCode: 3,
      message: "",
    });
  });

  it("fails with its message when its status is not 0", () => {
    const { code, message } = failure('{"status":2,"loss":1,"message":"no data"}');
    assert.equal(code, "E_PAYLOAD");
    assert.equal(message, "output.json has status 2: no data");
  });

  for (const value of ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
    it(`means diverged with the loss ${value}`, () => {
      assert.deepEqual(read(`{"loss": ${value}, "message": "m"}`), {
        type: "diverged",
        value,
        exitCode: 0,
        message: "m",
      });
    });

  for (const [text, said] of [
    ["{}", '"loss" in output.json is missing'],
    ['{"loss":null}', '"loss" in output.json is null, not a number'],
    ['{"loss":"0.1"}', '"loss" in output.json is the string "0.1", not a number'],
    ['{"loss":[1]}', '"loss" in output.json is a list, not a number'],
    ['{"loss":true}', '"loss" in output.json is true, not a number'],
    ['{"loss":{"a":1}}', '"loss" in output.json is an object, not a number'],
    ['{"status":"ok","loss":1}', '"status" in output.json is the string "ok", not a number'],
    ["[1]", "output.json holds a list, not an object"],
    ["0.5", "output.json holds the number 0.5, not an object"],
    ["", "output.json is empty"],
    [" \n", "output.json is empty"],
    ['{"loss": 1,\n "x": }', "output.json is not JSON: output.json:2:7"],
    ["loss = 1", "output.json is not JSON: output.json:1:1"],
    ['{"loss": 1} trailing', "output.json is not JSON: output.json:1:13"],
  ] as const)
    it(`is refused with a sentence that names what is wrong: ${JSON.stringify(text)}`, () => {
      const { code, message } = failure(text);
      assert.equal(code, "E_BAD_OUTPUT");
      assert.ok(message.startsWith(said), message);
    });

  it("adds exit code and last lines of the output when it is bad and the payload failed", () => {
    const { message } = failure("{}", EXIT_3);
    assert.match(
      message,
      /\(exit code 3\); its output ends with:\nepoch 1\nTraceback\nValueError: no$/,
    );
  });

  it("is cut to a message of 4 KiB without control characters", () => {
    const outcome = read(
      `{"loss":1,"message":"\\u001b[31mred\\u001b[0m\\u0007\\u202e\\ud800 ${"é".repeat(5_000)}"}`,
    );
    const message = outcome.message;
    assert.ok(message.startsWith("red é"), message.slice(0, 20));
    assert.ok(Buffer.byteLength(message) <= PILOT.messageBytesMax);
    assert.ok(Buffer.byteLength(message) > PILOT.messageBytesMax - 4);
    assert.ok(message.endsWith("é"));
  });
});

describe("a missing output file", () => {
  it("is the payload's failure when it exited with another code than 0, with its last lines", () => {
    assert.deepEqual(missingOutput("output.json", EXIT_3), {
      type: "failed",
      code: "E_PAYLOAD",
      exitCode: 3,
      signal: null,
      message:
        "exited with 3 and wrote no output.json; its output ends with:\nepoch 1\nTraceback\nValueError: no",
    });
  });

  it("is bad output when the payload exited with 0, and says what to write", () => {
    const outcome = missingOutput("output.json", EXIT_0);
    assert.equal(outcome.type === "failed" ? outcome.code : "", "E_BAD_OUTPUT");
    assert.match(outcome.message, /wrote no output\.json; write \{"loss": <number>\}/);
  });

  it("names the signal", () => {
    const exit = { exitCode: 139, signal: "SIGSEGV", outputTail: "" };
    assert.match(missingOutput("output.json", exit).message, /^was ended by SIGSEGV and wrote no/);
  });
});

describe("text of a payload for people", () => {
  it("keeps lines, and drops terminal sequences, bells, carriage returns and bidirectional marks", () => {
    assert.equal(
      cleanMessage("a\r\nb\u001b]0;title\u0007c\u001b[1;31md\u202ee\u0000\u009bf\tg"),
      "a\nbcdef g",
    );
  });

  it("takes the last ten lines of an output and at most 2 KiB", () => {
    const lines = Array.from({ length: 30 }, (_, n) => `line ${n}`).join("\n");
    assert.equal(lastLines(lines).split("\n").length, 10);
    assert.ok(lastLines(lines).endsWith("line 29"));
    assert.equal(Buffer.byteLength(lastLines("é".repeat(5_000))), 2_048);
  });
});

describe("environment of an evaluation", () => {
  const gpu = { uuid: "GPU-1", model: "A100", memoryBytes: 1, driver: null };
  const sources = {
    item: {
      item: { type: "evaluation" as const, taskId: 10_000_001, pointId: "7" },
      epoch: [1, 2] as const,
      slot: 0,
      attempt: 2,
      pointText: "{}",
      seed: 42,
      token: "canary",
    },
    slot: { cpus: 2.4, memoryBytes: 1, gpus: [] },
    queue: {},
    paths: { workDirectory: "/srv/workDir", temporaryDirectory: "/tmp" },
  };

  it("holds who and where the evaluation is, and not its token", () => {
    assert.deepEqual(payloadEnvironment(sources), {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:.",
      TMPDIR: "/tmp",
      TZ: "UTC",
      HOME: "/srv/workDir",
      PWD: "/srv/workDir",
      OMP_NUM_THREADS: "2",
      CUDA_VISIBLE_DEVICES: "",
      MLFLOW_TRACKING_URI: "file:/srv/workDir/mlruns",
      PanDA_TaskID: "10000001",
      PanDA_AttemptNr: "2",
      HYPERPILOT_POINT: "7",
      HYPERPILOT_ATTEMPT: "2",
      HYPERPILOT_SEED: "42",
    });
  });

  it("says of which segment a point is, where there are segments", () => {
    const segment = { id: 3, name: "endcap $(x)" };
    const environment = payloadEnvironment({ ...sources, item: { ...sources.item, segment } });
    assert.equal(environment["HYPERPILOT_SEGMENT"], "endcap $(x)");
    assert.equal(environment["HYPERPILOT_SEGMENT_ID"], "3");
  });

  it("gives at least one thread, and the slot's GPUs only", () => {
    const slot = { cpus: 0.25, memoryBytes: 1, gpus: [gpu, { ...gpu, uuid: "GPU-2" }] };
    const environment = payloadEnvironment({ ...sources, slot });
    assert.equal(environment["OMP_NUM_THREADS"], "1");
    assert.equal(environment["CUDA_VISIBLE_DEVICES"], "GPU-1,GPU-2");
  });

  it("lets the queue set proxies, PATH and MLflow, and not who the evaluation is", () => {
    const environment = payloadEnvironment({
      ...sources,
      queue: {
        PATH: "/opt/bin",
        MLFLOW_TRACKING_URI: "http://m",
        HTTPS_PROXY: "p",
        HYPERPILOT_SEED: "0",
      },
    });
    assert.equal(environment["PATH"], "/opt/bin:.");
    assert.equal(environment["MLFLOW_TRACKING_URI"], "http://m");
    assert.equal(environment["HTTPS_PROXY"], "p");
    assert.equal(environment["HYPERPILOT_SEED"], "42");
  });
});
