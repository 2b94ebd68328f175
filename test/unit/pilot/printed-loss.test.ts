import assert from "node:assert/strict";
import fc from "fast-check";
import { withPointArguments } from "../../../pilot/point-arguments.ts";
import { interpretPrinted, lastPrinted } from "../../../pilot/printed-loss.ts";
import { Outcome } from "../../../protocol/pilot-messages.ts";
import { Evaluation, printedLossName } from "../../../protocol/task.ts";

const EXIT_0 = { exitCode: 0, signal: null, outputTail: "" };

describe("a printed loss", () => {
  it("is the last one, in the ways in which programs print it", () => {
    const cases: readonly (readonly [string, string | null])[] = [
      ["loss: 0.5\nloss: 0.25\n", "0.25"],
      ["loss=0.5", "0.5"],
      ["Loss : 3e-2", "3e-2"],
      ["LOSS: -1.", "-1."],
      ["epoch 3/3 - loss: 0.2341 - acc: 0.91", "0.2341"],
      ["test loss: .5, accuracy: 0.9", ".5"],
      ['{"epoch": 3, "loss": 0.125, "lr": 1}', "0.125"],
      ["{'loss': 1e-07}", "1e-07"],
      ["loss: tensor(0.1234, device='cuda:0')", "0.1234"],
      ["\u001b[1mloss:\u001b[0m \u001b[32m0.5\u001b[0m", "0.5"],
      ["loss: 0.9\rloss: 0.8\r", "0.8"],
      ["final loss: 0.3.\n", "0.3"],
      ["loss: nan", "nan"],
      ["loss: -Inf", "-Inf"],
      ["val_loss: 0.5", null],
      ["val/loss: 0.5", null],
      ["lossless: 0.5", null],
      ["loss 0.5", null],
      ["loss: high", null],
      ["loss: 0.31x", null],
      ["loss: 1.2.3", null],
      ["loss: 1,234.5", null],
      ["loss: nano", null],
      ["loss: 0.5\nval_loss: 0.4\nloss: none", "0.5"],
      ["", null],
    ];
    for (const [output, expected] of cases)
      assert.equal(lastPrinted(output, "loss"), expected, output);
    assert.equal(lastPrinted("loss: 1 - val_loss: 2", "val_loss"), "2");
    assert.equal(lastPrinted("loss: 1, val.loss: 2, valxloss: 3", "val.loss"), "2");
  });

  it("that is no finite number means diverged", () => {
    for (const value of ["nan", "NaN", "inf", "-inf", "Infinity", "1e999"]) {
      const outcome = Outcome.parse(interpretPrinted(`loss: ${value}\n`, "loss", EXIT_0));
      assert.deepEqual(outcome, { type: "diverged", value, exitCode: 0, message: "" });
    }
  });

  it("does not count when the program failed afterwards", () => {
    const tail = "loss: 0.5\nValueError: no\n";
    const exit = { exitCode: 1, signal: null, outputTail: tail };
    const outcome = Outcome.parse(interpretPrinted(tail, "loss", exit));
    assert.ok(outcome.type === "failed" && outcome.code === "E_PAYLOAD");
    assert.match(
      outcome.message,
      /^exited with 1; its output ends with:\nloss: 0\.5\nValueError: no/,
    );
  });

  it("that is missing is said with what to print", () => {
    const outcome = Outcome.parse(interpretPrinted("done\n", "loss", EXIT_0));
    assert.ok(outcome.type === "failed" && outcome.code === "E_BAD_OUTPUT");
    assert.match(outcome.message, /printed no "loss: <number>" and wrote no output\.json/);
    assert.match(outcome.message, /print\("loss:", loss\)/);
  });

  it("is any number that Python prints", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (loss) => {
        const outcome = interpretPrinted(`step 1\nloss: ${String(loss)}\n`, "loss", EXIT_0);
        assert.ok(outcome.type === "loss" && Object.is(outcome.loss + 0, loss + 0));
      }),
    );
  });

  it("is asked for by evaluation.output", () => {
    assert.equal(printedLossName("stdout:val_loss"), "val_loss");
    assert.equal(printedLossName("output.json"), null);
    const given = (output: string) =>
      Evaluation.safeParse({ container: "host:", exec: "x", output });
    assert.ok(given("stdout:loss").success && given("none").success && given("a.json").success);
    for (const wrong of ["stdout:", "stdout:a b", "stdout:0", "stdout:(", "stdout:a\n"])
      assert.ok(!given(wrong).success, wrong);
  });
});

describe("the point as options", () => {
  const evaluation = (more: Partial<Evaluation>) =>
    Evaluation.parse({ container: "host:", exec: "python3 train.py", ...more });

  it("follows the command, texts as they are and all else as in the JSON", () => {
    const point =
      '{"lr": 1e-05, "b": 1.0, "act": "relu", "on": true, "none": null, "sizes": [1, 2]}';
    assert.equal(
      withPointArguments(evaluation({ arguments: "options" }), point),
      "python3 train.py --lr=1e-05 --b=1.0 --act=relu --on=true --none=null '--sizes=[1, 2]'",
    );
  });

  it("is left out unless it is asked for", () => {
    assert.equal(withPointArguments(evaluation({}), '{"lr": 1}'), "python3 train.py");
  });

  it("is nothing but words for the shell, whatever it holds", () => {
    const hostile = JSON.stringify({ "a b": "'; touch x; '", "$(c)": "`d`\n", é: "*" });
    assert.equal(
      withPointArguments(evaluation({ arguments: "options" }), hostile),
      "python3 train.py '--a b='\\''; touch x; '\\''' '--$(c)=`d`\n' '--é=*'",
    );
  });
});
