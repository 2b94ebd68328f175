import assert from "node:assert/strict";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { EXIT } from "../../protocol/errors.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import { TaskSpecification } from "../../protocol/task.ts";
import { Deployment, LOSS_IS_X } from "../support/deployment.ts";
import { runCli, type CliResult } from "../support/run-cli.ts";
import { REGISTRY_USER, type TestRegistry, startRegistry } from "../support/registry.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";
import { waitUntil } from "../support/wait-until.ts";

/** Fails where the payload sees the credential; the pattern does not match itself. */
const SEES_NO_SECRET = `! grep -rqs 'open[ ]sesame' /proc/*/environ /proc/*/cmdline /srv/workDir /tmp /etc`;

for (const runtime of ["apptainer", "podman"] as const)
  describe(`A search with an image of a private registry: ${runtime}`, function () {
    this.timeout(120_000);
    let directory: TemporaryDirectory;
    let deployment: Deployment;
    let registry: TestRegistry;

    before(function () {
      requireTestbed(this);
    });
    beforeEach(async () => {
      directory = temporaryDirectory();
      registry = await startRegistry(directory.path, { isPrivate: true });
      deployment = new Deployment({
        directory: directory.path,
        environment: {
          PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}`,
          HYPERPILOT_IMAGE_CACHE: join(directory.path, "images"),
        },
      });
      await deployment.start();
      const { items } = await deployment.request<{ items: { config: QueueConfig }[] }>(
        "GET",
        "/queues",
      );
      const local = items.find(({ config }) => config.role === "evaluation")!.config;
      const images = { "the team's image": registry.image };
      await deployment.request("PUT", `/queues/${local.name}`, { ...local, runtime, images });
    });
    afterEach(async () => {
      await deployment.stop();
      await registry.stop();
      await directory.remove();
    });

    const evaluation = (container: string) => ({
      evaluation: TaskSpecification.shape.evaluation.parse({
        container,
        exec: `test "$OF_IMAGE" = kept && test -f /marker && ${SEES_NO_SECRET} && ${LOSS_IS_X}`,
      }),
    });

    it("pauses with the command that helps, goes on with the secret, and shows the secret to nobody", async () => {
      // Without a scheme: docker:// is meant.
      const name = registry.image.slice("docker://".length);
      const limits = { maxPoints: 4, nParallelEvaluation: 2 };
      const taskId = await deployment.submit(evaluation(name), limits);
      const paused = await waitUntil(
        "the search is paused",
        async () => {
          const task = await deployment.task(taskId);
          return task.state === "paused" ? task : null;
        },
        { timeoutMs: 60_000, state: () => deployment.errors.slice(-5) },
      );
      assert.match(paused.reason, /^on the only node, access to image \S+ was denied; registry/);
      assert.ok(paused.reason.includes(`hyperpilot secret set ${registry.name} --file FILE`));
      const path = `/secrets/${encodeURIComponent(registry.name)}`;
      await deployment.request("PUT", path, REGISTRY_USER);
      await deployment.request("POST", `/tasks/${taskId}/control`, { action: "resume" });
      const ended = await deployment.untilEnded(taskId);
      assert.deepEqual([ended.state, ended.points.done], ["finished", 4], JSON.stringify(ended));
      assert.equal(ended.attemptsFailed, 0);
      const aliased = await deployment.submit(evaluation("the team's image"), { maxPoints: 2 });
      assert.equal((await deployment.untilEnded(aliased)).state, "finished");
      const logs = await Promise.all(
        ["0", "1", "2", "3"].map((point) =>
          deployment.text(`/tasks/${taskId}/points/${point}/log`),
        ),
      );
      assert.match(logs.join("\n"), /\[hyperpilot\] pulling image docker:\/\/\S+, [\d.]+ MB/);
      assert.match(logs.join("\n"), /\[hyperpilot\] image docker:\/\/\S+ is here after/);
      await deployment.stop();
      assert.deepEqual(filesWith(directory.path, REGISTRY_USER.password), [
        join(deployment.data, "secrets"),
      ]);
    });

    it("is tried on this machine with what its server knows: credentials and names of images", async () => {
      const work = join(directory.path, "work");
      mkdirSync(work);
      writeFileSync(join(work, "t.sh"), "test -f /marker && echo loss: 0.25\n");
      const scratch = join(directory.path, "scratch");
      mkdirSync(scratch);
      const environment = {
        PATH: `${testbed.programs}:${process.env["PATH"] ?? ""}`,
        HYPERPILOT_IMAGE_CACHE: join(directory.path, "images"),
        HYPERPILOT_DATA: deployment.data,
        TMPDIR: scratch,
      };
      const words = ["run", "t.sh", "--space", "x=0..1", "--noArgs", "--try", "--container"];
      const tried = (image: string): Promise<CliResult> =>
        runCli([...words, image], { environment, cwd: work });
      const refused = await tried(registry.image);
      assert.equal(refused.exitCode, EXIT.taskUnsuccessful, refused.stderr);
      assert.match(refused.stderr, /was denied[^]*hyperpilot secret set [^]*start 'hyperpilot up'/);
      const path = `/secrets/${encodeURIComponent(registry.name)}`;
      await deployment.request("PUT", path, REGISTRY_USER);
      for (const image of [registry.image, "the team's image"]) {
        const result = await tried(image);
        assert.equal(result.exitCode, 0, result.stderr);
        assert.match(result.stdout, new RegExp(`Runtime\\t${runtime}[^]*Loss\\t0\\.25`));
      }
      assert.deepEqual(readdirSync(scratch), []);
      const { items } = await deployment.request<{ items: unknown[] }>("GET", "/secrets");
      assert.equal(items.length, 1);
    });

    it("pauses when there is no such image, and says so", async () => {
      const path = `/secrets/${encodeURIComponent(registry.name)}`;
      await deployment.request("PUT", path, REGISTRY_USER);
      const limits = { maxPoints: 4, nParallelEvaluation: 2 };
      const taskId = await deployment.submit(
        evaluation(`docker://${registry.name}/no/such:1`),
        limits,
      );
      const { reason } = await waitUntil(
        "the search is paused",
        async () => {
          const task = await deployment.task(taskId);
          return task.state === "paused" ? task : null;
        },
        { timeoutMs: 60_000, state: () => deployment.errors.slice(-5) },
      );
      assert.match(reason, /was not found.*check its name and tag/);
    });
  });

/** Directories of files below a directory that hold a text. */
function filesWith(directory: string, text: string): readonly string[] {
  const found = readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .filter(({ parentPath, name }) => readFileSync(join(parentPath, name)).includes(text))
    .map(({ parentPath }) => parentPath);
  return [...new Set(found)];
}
