import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import { memberOf, parseJsonText } from "../../protocol/json-text.ts";
import type { PointView } from "../../protocol/rest.ts";
import { Deployment } from "../support/deployment.ts";
import { requireTool } from "../support/requires.ts";
import { type CliResult, PHPO, runCli } from "../support/run-cli.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { requireImages, testbed } from "../support/testbed.ts";

const EXAMPLE = resolve(import.meta.dirname, "../../examples/founding-document/task");
const STEERING_IMAGE = "gitlab-registry.cern.ch/zhangruihpc/steeringcontainer:0.0.1";
const EVALUATION_IMAGE = "docker://gitlab-registry.cern.ch/zhangruihpc/evaluationcontainer:mlflow";
const CATEGORIES = ["auto_lr", "cnn_block_depths_1"];
const SEARCH_MS_MAX = 300_000;

describe("the example of the founding document", function () {
  this.timeout(SEARCH_MS_MAX + 60_000);
  let directory: TemporaryDirectory;
  let deployment: Deployment;
  let task: string;

  const command = (program: string | undefined, args: readonly string[]): Promise<CliResult> =>
    runCli([...args, "--data", deployment.data], {
      cwd: task,
      environment: { PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}` },
      ...(program === undefined ? {} : { program }),
    });
  const hyperpilot = async (...args: string[]): Promise<CliResult> => {
    const result = await command(undefined, args);
    assert.equal(result.exitCode, 0, result.stderr);
    return result;
  };
  /** As the document writes it. */
  const phpo = (...more: string[]): Promise<CliResult> =>
    command(PHPO, [
      ...["--loadJson", "config_dev.json", "--site", "local"],
      ...["--outDS", `user.me.${randomUUID()}`, ...more],
    ]);
  const finished = async (...more: string[]): Promise<number> => {
    const result = await phpo(...more);
    assert.equal(result.exitCode, 0, result.stderr);
    const taskId = Number(result.stdout);
    const ended = await deployment.untilEnded(taskId, SEARCH_MS_MAX);
    assert.equal(ended.state, "finished", JSON.stringify(ended));
    return taskId;
  };
  const pointsOf = async (taskId: number): Promise<readonly PointView[]> =>
    (await deployment.request<{ items: PointView[] }>("GET", `/tasks/${taskId}/points`)).items;
  const steeringExec = (library: string): string => {
    const text = readFileSync(join(task, "config_dev.json"), "utf8");
    const { steeringExec } = JSON.parse(text) as { steeringExec: string };
    return steeringExec.replace("-l nevergrad", `-l ${library}`);
  };

  before(async function () {
    requireImages(this);
    requireTool(this, "bwrap");
    directory = temporaryDirectory();
    task = join(directory.path, "task");
    cpSync(EXAMPLE, task, { recursive: true });
    deployment = new Deployment({
      directory: directory.path,
      environment: { PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}` },
    });
    await deployment.start();
    await hyperpilot(
      ...["site", "queue", "alias", "central", STEERING_IMAGE, testbed.steeringImage],
    );
    await hyperpilot(
      ...["site", "queue", "alias", "local", EVALUATION_IMAGE, testbed.evaluationImage],
    );
  });
  after(async () => {
    // Not there where the suite was skipped.
    const started = deployment as Deployment | undefined;
    await started?.stop();
    await (directory as TemporaryDirectory | undefined)?.remove();
  });

  it("is not sent as it was printed: the place of its typographic quote is named", async () => {
    const file = join(task, "config_dev.json");
    const text = readFileSync(file, "utf8");
    const printed = text.replace(/"metrics\.tgz", "searchSpaceFile".*\}/s, '"metrics.tgz”}');
    const column = printed.indexOf("”") + 1;
    assert.ok(column > 400, printed);
    writeFileSync(file, printed);
    try {
      const result = await phpo();
      assert.equal(result.exitCode, EXIT.usage);
      assert.ok(
        result.stderr.includes(`config_dev.json:1:${column} typographic quote ”, write "`),
        result.stderr,
      );
    } finally {
      writeFileSync(file, text);
    }
  });

  it("ends finished with nevergrad, evaluated in a SIF file", async () => {
    const points = await pointsOf(await finished());
    assert.equal(points.length, 10);
    assert.ok(points.every(({ state }) => state === "done"));
    for (const { text } of points) {
      const root = parseJsonText(text, { name: "point" });
      const value = (name: string): string => memberOf(root, name)?.raw ?? "";
      assert.match(value("auto_lr"), /^(true|false)$/);
      assert.match(value("batch_size"), /^(1\d|2\d|30)$/);
      assert.match(value("epoch"), /^([5-9]|10)$/);
      assert.match(value("cnn_block_depths_1"), /^[12]$/);
      assert.match(value("cnn_block_depths_2"), /^[123]$/);
    }
    for (const name of CATEGORIES)
      assert.ok(
        new Set(points.map(({ text }) => memberOf(parseJsonText(text, { name }), name)?.raw)).size >
          1,
      );
  });

  for (const library of ["skopt", "optuna"])
    it(`ends finished with ${library}`, async () => {
      const taskId = await finished("--steeringExec", steeringExec(library), "--maxPoints", "4");
      assert.equal((await pointsOf(taskId)).length, 4);
    });

  it("ends finished with the container named by steeringContainer", async () => {
    const exec =
      "hpogrid generate --n_point=%NUM_POINTS --max_point=%MAX_POINTS --infile=$PWD/%IN --outfile=$PWD/%OUT -l nevergrad";
    const taskId = await finished(
      ...["--steeringContainer", STEERING_IMAGE, "--steeringExec", exec, "--maxPoints", "4"],
    );
    assert.equal((await pointsOf(taskId)).length, 4);
  });

  it("runs with a predefined image once it is built; before, the command that builds it is named", async () => {
    const arguments_ = [
      ...["--steeringContainer", "hyperpilot/optuna", "--maxPoints", "2"],
      ...["--steeringExec", "hpogrid generate -l optuna -n %NUM_POINTS -i %IN -o %OUT"],
    ];
    const refused = await phpo(...arguments_);
    assert.equal(refused.exitCode, EXIT.failed);
    assert.match(refused.stderr, /E_IMAGE The predefined image hyperpilot\/optuna/);
    assert.match(refused.stderr, /hyperpilot admin steering build optuna/);
    const built = await hyperpilot(
      ...["admin", "steering", "build", "all", "--builder", "apptainer", "--base", "debian"],
      ...["--images", join(testbed.directory, "images")],
    );
    assert.match(built.stdout, new RegExp(`^hyperpilot/optuna\t${testbed.steeringImage}$`, "m"));
    assert.match(built.stderr, /is built already/);
    assert.match(built.stderr, /Queue central uses them/);
    await finished(...arguments_);
  });
});
