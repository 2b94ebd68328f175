import assert from "node:assert/strict";
import { parseGpus, parseMemory } from "../../../client/submit/amounts.ts";
import { describeFiles, refuseSecretNames } from "../../../client/submit/files.ts";
import { specificationOf } from "../../../client/submit/specification.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";

const SPACE = '{"lr":{"method":"loguniform","dimension":{"low":1e-4,"high":1.0}}}';
const BASE = { space: SPACE, exec: "python3 train.py" };

function refused(options: Record<string, unknown>): HyperpilotError {
  try {
    specificationOf({ ...BASE, ...options }, "/home/anna/digits");
  } catch (error) {
    assert.ok(error instanceof HyperpilotError);
    return error;
  }
  throw new Error("it was taken");
}

describe("submit", () => {
  it("needs no more than a search space and a command", () => {
    const spec = specificationOf(BASE, "/home/anna/digits");
    assert.equal(spec.name, "digits");
    assert.deepEqual(spec.steering, { method: "tpe" });
    assert.equal(spec.searchSpace, SPACE);
    assert.equal(spec.evaluation.container, "host:");
    assert.deepEqual(spec.limits.maxPoints, 10);
    assert.deepEqual(spec.needs, {
      cpus: 0.5,
      memoryBytes: 1e9,
      gpus: null,
      internet: false,
      alternatives: [],
    });
    assert.ok(spec.failFast);
  });

  it("draws a uuid for every invocation, and a seed unless one is given", () => {
    const [one, two] = [specificationOf(BASE, "/x"), specificationOf(BASE, "/x")];
    assert.notEqual(one.clientTaskUuid, two.clientTaskUuid);
    assert.notEqual(one.seed, two.seed);
    assert.equal(specificationOf({ ...BASE, seed: "0" }, "/x").seed, 0);
  });

  it("takes every option into the specification", () => {
    const spec = specificationOf(
      {
        ...BASE,
        name: "n",
        method: "random",
        container: "docker://x",
        maxPoints: "20",
        nParallelEvaluation: "4",
        maxEvaluationJobs: "50",
        nPointsPerIteration: "6",
        minUnevaluatedPoints: "0",
        maxPointsPerEvaluationJob: "3",
        evaluationTimeout: "1.5",
        loopingTimeout: "600",
        evaluationOutput: "none",
        cpus: "2",
        memory: "8GB",
        gpus: "2:A100:40GB",
        direction: "max",
        seed: "7",
        noFailFast: true,
        penalty: "omit",
        penaltyLoss: "99",
        duplicates: "reuse",
        queue: ["a", "b"],
        resources: "cpus=2|cpus=16,gpus=0",
        internet: true,
        whileSteering: "random",
        steeringTimeout: "60",
        checkPointToSave: "ckpt",
        checkPointKeep: true,
        evaluationInput: "point.json",
        evaluationMeta: "meta.json",
        trainingDS: "user.me.data",
      },
      "/x",
    );
    assert.deepEqual(
      { ...spec, clientTaskUuid: "" },
      {
        specVersion: 1,
        name: "n",
        direction: "max",
        seed: 7,
        clientTaskUuid: "",
        sandboxSha256: null,
        steering: { method: "random" },
        searchSpace: SPACE,
        evaluation: {
          container: "docker://x",
          exec: "python3 train.py",
          input: "point.json",
          output: "none",
          arguments: "none",
          timeoutSeconds: 1.5,
          loopingSeconds: 600,
          trainingData: "input_ds.json",
          metadata: "meta.json",
          metrics: null,
        },
        limits: {
          maxPoints: 20,
          nParallelEvaluation: 4,
          maxEvaluationJobs: 50,
          nPointsPerIteration: 6,
          minUnevaluatedPoints: 0,
          maxPointsPerEvaluationJob: 3,
        },
        needs: {
          cpus: 2,
          memoryBytes: 8e9,
          gpus: { count: 2, model: "A100", memoryBytes: 40e9 },
          internet: true,
          alternatives: [{ cpus: 16, memoryBytes: 8e9, gpus: null }],
        },
        checkpoint: { save: ["ckpt"], load: null, intervalMinutes: 5, keep: true },
        datasets: { training: "user.me.data", output: null },
        segments: [],
        whileSteering: "random",
        steeringTimeoutSeconds: 60,
        clientOptions: {},
        penalty: "omit",
        penaltyLoss: 99,
        duplicates: "reuse",
        failFast: false,
        queues: ["a", "b"],
      },
    );
  });

  it("takes steering in a container, with or without a search space", () => {
    const steered = { steeringContainer: "registry/x", steeringExec: "gen --mode max %IN %OUT" };
    const spec = specificationOf({ exec: "true", ...steered }, "/x");
    assert.deepEqual(spec.steering, { container: "registry/x", exec: steered.steeringExec });
    assert.deepEqual([spec.searchSpace, spec.direction], ["null", "max"]);
    assert.equal(specificationOf({ ...BASE, ...steered }, "/x").searchSpace, SPACE);
    assert.match(
      refused({ ...steered, method: "tpe" }).message,
      /--method and --steeringExec exclude/,
    );
  });

  it("refuses what the server would refuse, with the numbers", () => {
    const cadence = refused({ minUnevaluatedPoints: "4", nPointsPerIteration: "4" });
    assert.match(cadence.message, /minUnevaluatedPoints 4 must be less than nPointsPerIteration 4/);
    assert.match(cadence.remedy ?? "", /--nPointsPerIteration 5/);
    assert.match(
      refused({ minUnevaluatedPoints: "3" }).message,
      /3 must be less than nPointsPerIteration 2/,
    );
    assert.match(refused({ maxPoints: "10000001" }).message, /limits\.maxPoints/);
    assert.equal(
      refused({ space: '{"lr":{"method":"uniform","dimension":{"low":2,"high":1}}}' }).code,
      "E_SEARCH_SPACE",
    );
    assert.match(refused({ space: '{"lr":\n{"method":}}' }).message, /^--space:2:11/);
  });

  it("says what is missing", () => {
    assert.match(refused({ exec: undefined }).remedy ?? "", /--exec/);
    assert.match(refused({ space: undefined }).remedy ?? "", /--space/);
  });

  it("refuses numbers that are none", () => {
    for (const maxPoints of ["0", "-1", "1.5", "x", "", "1e3", "99999999999999999999"]) {
      assert.match(refused({ maxPoints }).message, /--maxPoints/);
    }
    for (const cpus of ["0", "-1", "x", "", "Infinity", "NaN"])
      assert.match(refused({ cpus }).message, /--cpus/);
  });
});

describe("amounts", () => {
  it("of memory have units of 1000 or 1024; bare numbers are MB", () => {
    const texts = ["8GB", "512MiB", "500", "1.5 gib", "2tb", "100kB", "7B"];
    assert.deepEqual(
      texts.map((text) => parseMemory(text, "--memory")),
      [8e9, 536_870_912, 500e6, 1_610_612_736, 2e12, 100e3, 7],
    );
    for (const text of ["", "GB", "8G", "-1GB", "0", "1e3", "8 GB x", "99999999TB"]) {
      assert.throws(() => parseMemory(text, "--memory"), HyperpilotError, text);
    }
  });

  it("of GPUs may name a model and memory", () => {
    assert.deepEqual(parseGpus("2"), { count: 2, model: null, memoryBytes: null });
    assert.deepEqual(parseGpus("1:A100"), { count: 1, model: "A100", memoryBytes: null });
    assert.deepEqual(parseGpus("1::16GiB"), { count: 1, model: null, memoryBytes: 17_179_869_184 });
    assert.equal(parseGpus("0"), null);
    for (const text of ["", "A100", "-1", "1:A:1GB:x", "1:A:x"])
      assert.throws(() => parseGpus(text), HyperpilotError, text);
  });
});

describe("the files of a task", () => {
  const files = (...paths: string[]) => paths.map((path) => ({ path, sizeBytes: 10 }));

  it("whose names look like secrets are refused", () => {
    for (const name of [
      "secrets.json",
      "a/credentials.yaml",
      "my_password.py",
      "service-account.json",
      ".secret.json",
      "access_token.json",
      "tokens.yaml",
      "id_rsa.sh",
      "private-key.json",
      "api-key.json",
    ]) {
      assert.throws(() => refuseSecretNames(files("train.py", name)), HyperpilotError, name);
    }
    refuseSecretNames(
      files(
        "tokenizer.json",
        "special_tokens_map.json",
        "token_embedding.py",
        "keyboard.json",
        "secretary.py",
        "passwordless.py",
      ),
    );
  });

  it("are listed before they leave; long lists are cut", () => {
    assert.equal(describeFiles(files("a.py", "b.json")), "2 files, 20 B: a.py, b.json");
    assert.equal(describeFiles([]), "no files");
    const many = describeFiles(files(...Array.from({ length: 25 }, (_, index) => `f${index}.py`)));
    assert.match(many, /^25 files, .*, f19\.py, and 5 more$/);
  });
});
