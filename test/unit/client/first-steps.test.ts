import assert from "node:assert/strict";
import { failureHints, outcomeWords } from "../../../client/here/failure.ts";
import { forecastSeconds, forecastWords } from "../../../client/here/forecast.ts";
import { pathsToShow, isHiddenFromPayloads } from "../../../client/here/readable-paths.ts";
import { pointOptions, shellWord } from "../../../client/here/shell-words.ts";
import { tryPlan } from "../../../client/here/try-plan.ts";
import { spaceWords } from "../../../client/space-words.ts";
import { shellRc, shellStart } from "../../../pilot/shell-script.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import type { Outcome } from "../../../protocol/pilot-messages.ts";
import { parseSearchSpace } from "../../../protocol/search-space.ts";
import { spaceFromText } from "../../../protocol/space-text.ts";
import { TaskSpecification, effectiveLimits, Limits } from "../../../protocol/task.ts";
import { seedOf, pointSeedText } from "../../../server/points/seed.ts";
import { sha256Hex } from "../../../server/auth/tokens.ts";

function specification(change: object = {}): TaskSpecification {
  return TaskSpecification.parse({
    specVersion: 1,
    name: "t",
    seed: 1,
    clientTaskUuid: "12345678",
    steering: { method: "tpe" },
    searchSpace: "{}",
    evaluation: { container: "host:", exec: "python3 train.py", arguments: "options" },
    limits: {},
    needs: {},
    ...change,
  });
}

describe("a forecast", () => {
  const limits = (change: Partial<Limits>, isBuiltin = true) =>
    effectiveLimits(Limits.parse(change), isBuiltin);

  it("counts rounds of evaluations where the ask goes on beside them", () => {
    const measured = { askSeconds: 5, evaluationSeconds: 60 };
    const of = (change: Partial<Limits>) => forecastSeconds(limits(change), measured);
    assert.equal(of({ maxPoints: 10, nParallelEvaluation: 2 }), 5 + 5 * 60);
    assert.equal(of({ maxPoints: 10, nParallelEvaluation: 3 }), 5 + 4 * 60);
    assert.equal(of({ maxPoints: 10, nParallelEvaluation: 100 }), 5 + 60);
    assert.equal(of({ maxPoints: 1 }), 5 + 60);
  });

  it("counts an ask per iteration where it waits for all points of the last one", () => {
    const measured = { askSeconds: 5, evaluationSeconds: 60 };
    const of = (change: Partial<Limits>) => forecastSeconds(limits(change, false), measured);
    // 5 iterations of 2 points, one after another.
    assert.equal(of({ maxPoints: 10 }), 5 * (5 + 2 * 60));
    assert.equal(of({ maxPoints: 10, nParallelEvaluation: 2 }), 5 * (5 + 60));
    // More at a time than an iteration brings are of no use; the last iteration has one point.
    assert.equal(
      of({ maxPoints: 5, nParallelEvaluation: 8, nPointsPerIteration: 2 }),
      3 * (5 + 60),
    );
  });

  it("is told with no more digits than it knows, and the time of the clock", () => {
    const nowMs = Date.parse("2026-03-02T17:28:00Z");
    const words = (evaluationSeconds: number) =>
      forecastWords({
        limits: limits({ maxPoints: 10, nParallelEvaluation: 2 }),
        measured: { askSeconds: 0, evaluationSeconds },
        nowMs,
        timeZone: "UTC",
      });
    assert.equal(words(144), "10 points, 2 at a time: about 12 min, so by 17:40 if it started now");
    assert.equal(words(0.5), "10 points, 2 at a time: about 3 s, so by 17:28 if it started now");
    assert.match(words(7_200), /about 10 h, so by Tue,? 3 Mar,? 03:28 if/);
    assert.match(words(90_000), /about 6 days, so by Sat,? 7 Mar,? 22:28 if/);
  });
});

describe("the task that is tried", () => {
  const machine = { cores: 4, memoryBytes: 8e9, gpus: 0 };

  it("has one point, and asks for as many as the search will", () => {
    const spec = specification({
      limits: {
        maxPoints: 50,
        nParallelEvaluation: 9,
        nPointsPerIteration: 3,
        minUnevaluatedPoints: 1,
      },
      queues: ["far-away"],
    });
    const { spec: tried, notes } = tryPlan(spec, machine);
    const { maxPoints, nParallelEvaluation, nPointsPerIteration } = tried.limits;
    assert.deepEqual([maxPoints, nParallelEvaluation, nPointsPerIteration], [1, 1, 3]);
    assert.deepEqual([tried.queues, notes], [[], []]);
  });

  it("is cut down to what the machine has, and that is said", () => {
    const needs = { cpus: 16, memoryBytes: 64e9, gpus: { count: 2 } };
    const { spec, slot, notes } = tryPlan(specification({ needs }), machine);
    assert.equal(slot.cpus, 4);
    assert.ok(slot.memoryMiB * 1_048_576 <= 6.4e9 && slot.memoryMiB > 6_000);
    assert.ok(spec.needs.memoryBytes <= slot.memoryMiB * 1_048_576);
    assert.deepEqual([spec.needs.gpus, slot.gpus], [null, 0]);
    assert.equal(notes.length, 3);
    assert.match(notes.join("\n"), /16 CPUs .* has 4[^]*64\.0 GB of memory[^]*tried without/);
  });

  it("takes the form of slot that fits", () => {
    const needs = { cpus: 1, gpus: { count: 1 }, alternatives: [{ cpus: 2, memoryBytes: 1e9 }] };
    const { slot, notes } = tryPlan(specification({ needs }), machine);
    assert.deepEqual([slot.cpus, slot.gpus, notes], [2, 0, []]);
    const { slot: withGpu } = tryPlan(specification({ needs }), { ...machine, gpus: 1 });
    assert.deepEqual([withGpu.cpus, withGpu.gpus], [1, 1]);
  });
});

describe("hints about a failed evaluation", () => {
  const hints = (output: string, change: Partial<Parameters<typeof failureHints>[0]> = {}) =>
    failureHints({
      spec: specification(),
      outcome: { type: "failed", code: "E_PAYLOAD", exitCode: 1, signal: null, message: "" },
      output,
      isLeftBehind: (path) => path === "data.csv",
      ownPython: null,
      ...change,
    }).join("\n");

  it("name what most likely helps", () => {
    assert.match(hints("train.py: error: unrecognized arguments: --lr=1"), /--noArgs/);
    assert.match(hints("ModuleNotFoundError: No module named 'torch'"), /has no torch: install/);
    const ownPython = "/home/anna/.venv/bin/python3";
    assert.match(hints("No module named 'torch'", { ownPython }), /Yours is \/home\/anna\/\.venv/);
    assert.match(hints("No such file or directory: 'data.csv'"), /data\.csv did not go .*--file/);
    assert.match(hints("OSError: [Errno 30] Read-only file system: '/usr/x'"), /\/tmp can be/);
    const spec = specification({
      searchSpace: '{"lr": {"method": "uniform", "dimension": {"low": 0, "high": 1}}}',
      evaluation: {
        ...{ container: "host:", exec: "python3 train.py" },
        ...{ output: "stdout:loss", arguments: "options" },
      },
    });
    assert.match(hints("KeyError: 'rate'", { spec }), /no "rate"; input\.json holds lr\./);
    assert.equal(hints("KeyError: 'lr'", { spec }), "");
    const outcome: Outcome = {
      ...{ type: "failed", code: "E_BAD_OUTPUT", exitCode: 0, signal: null, message: "" },
    };
    const other = "epoch 1 loss_scale: x\nval_loss: 0.3, accuracy: 0.7";
    assert.match(hints(other, { spec, outcome }), /say --loss val_loss/);
    assert.equal(hints("done", { spec, outcome }), "");
    assert.match(hints("URLError: [Errno -2] Name or service not known"), /network/);
    const denied: Outcome = {
      type: "interrupted",
      reason: "imagePull",
      message: "access to image docker://r/i was denied; hyperpilot secret set r --file FILE",
    };
    assert.match(hints("", { outcome: denied }), /start 'hyperpilot up'/);
    const memory: Outcome = {
      type: "failed",
      code: "E_MEMORY",
      exitCode: 137,
      signal: null,
      message: "",
    };
    assert.match(hints("", { outcome: memory }), /--memory/);
    assert.match(
      hints("", { outcome: { ...memory, code: "E_PAYLOAD", exitCode: 127 } }),
      /not found/,
    );
  });

  it("are none where nothing is recognised", () => {
    assert.equal(hints("ValueError: no"), "");
    assert.equal(hints("No such file or directory: 'other.csv'"), "");
    const spec = specification({ evaluation: { container: "host:", exec: "x" } });
    assert.equal(hints("unrecognized arguments: --x", { spec }), "");
  });

  it("of every outcome have words", () => {
    assert.equal(
      outcomeWords({ type: "diverged", value: "nan", exitCode: 0, message: "" }),
      "diverged: the loss is nan",
    );
    assert.match(
      outcomeWords({ type: "timeout", afterSeconds: 60, message: "" }),
      /ended after 60 s/,
    );
    assert.match(
      outcomeWords({ type: "interrupted", reason: "imagePull", message: "" }),
      /imagePull/,
    );
  });
});

describe("words and paths", () => {
  it("tell a search space so that a misreading is seen", () => {
    const text =
      "lr=log(1e-5,1e-1) n=int(1,8) q=step(0,1,0.1) k=int(1,64,log) w=normal(0,1) act=relu|tanh|gelu seed=3";
    assert.equal(
      spaceWords(parseSearchSpace(spaceFromText(text, "s"), "s").parameters),
      "lr 1e-05 to 0.1 (log), n 1 to 8 (whole), q 0 to 1 (steps of 0.1), k 1 to 64 (log, whole), " +
        "w around 0, spread 1, act relu, tanh or gelu, seed always 3",
    );
  });

  it("of a point are options for a shell", () => {
    assert.equal(pointOptions('{"lr":0.01,"a":"b c","on":true}'), "--lr=0.01 '--a=b c' --on=true");
    assert.equal(pointOptions("[1]"), "");
    assert.equal(shellWord("it's"), "'it'\\''s'");
  });

  it("show evaluations what they need, and never a home directory", () => {
    assert.deepEqual(
      pathsToShow(
        ["/home/anna/x/.venv", "/home/anna/x/.venv/lib", "/home/anna/x/.venv"],
        "/home/anna",
      ),
      ["/home/anna/x/.venv"],
    );
    for (const path of ["/home/anna", "/home", "/", "/home/anna/."])
      assert.throws(() => pathsToShow([path], "/home/anna"), HyperpilotError, path);
    assert.deepEqual(
      ["/usr/bin/python3", "/opt/x", "/usrlocal/x", "/root/.pyenv", "/usr/../root"].map(
        isHiddenFromPayloads,
      ),
      [false, false, true, true, true],
    );
  });

  it("begin a shell that runs what the evaluation runs", () => {
    const rc = shellRc({ exec: "echo 'a b' && x", pointId: "17", output: "output.json" });
    assert.match(rc, /rm -rf -- 'output\.json'\n {2}\/bin\/sh -c 'echo '\\''a b'\\'' && x'\n/);
    assert.match(rc, /PS1='point 17 \$ '/);
    assert.match(
      shellStart("/tmp/rc", true),
      /bash .*--rcfile '\/tmp\/rc' -i; .*exec \/bin\/sh -i/,
    );
    assert.doesNotMatch(shellRc({ exec: "x", pointId: "1", output: null }), /rm -rf/);
  });

  it("of a seed are the first 32 bits of a SHA-256", () => {
    // printf 7:3 | sha256sum | cut -c1-8
    assert.equal(seedOf(sha256Hex, pointSeedText(7, "3")), 0x111c309f);
  });
});
