import assert from "node:assert/strict";
import { join } from "node:path";
import { systemClock } from "../../common/clock.ts";
import { createPayloadRunner } from "../../pilot/payload.ts";
import { createApptainer } from "../../pilot/runtime/apptainer.ts";
import { createSpawner, type Spawner } from "../../pilot/spawner.ts";
import { runSteering, type SteeringEnd } from "../../pilot/steering-run.ts";
import { TaskSpecification } from "../../protocol/task.ts";
import { buildOciImage } from "../support/oci-image.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../support/temporary-directory.ts";
import { testImages } from "../support/node-images.ts";
import { requireTestbed, testbed } from "../support/testbed.ts";

/** What the steering of the tests is told. */
const INPUT = '{"points": [[{"x": 1.0}, 0.5]], "opt_space": null}';

describe("one run of container steering in apptainer", function () {
  this.timeout(60_000);
  let directory: TemporaryDirectory;
  let spawner: Spawner;

  before(function () {
    requireTestbed(this);
  });
  beforeEach(() => {
    directory = temporaryDirectory();
    spawner = createSpawner({ directory: join(directory.path, "scripts"), clock: systemClock });
  });
  afterEach(async () => {
    for (const close of closers.splice(0)) close();
    await spawner.close();
    await directory.remove();
  });

  const closers: (() => void)[] = [];

  function steer(
    steering: { container: string | null; exec: string },
    image: string,
  ): Promise<SteeringEnd> {
    const scratch = join(directory.path, "scratch");
    const runtimes = [
      createApptainer({
        name: "apptainer",
        scratchDirectory: directory.path,
        program: testbed.apptainer,
      }),
    ];
    const images = testImages({ directory: join(directory.path, "images"), runtimes });
    closers.push(() => images.close());
    const runner = createPayloadRunner({
      runtimes,
      images,
      clock: systemClock,
      scratch,
      queue: { environment: {}, readOnlyPaths: [], images: { "registry.example/own:1": image } },
    });
    const item = {
      item: { type: "steering" as const, taskId: 10_000_001, run: 0 },
      epoch: [1, 1] as const,
      slot: 0,
      attempt: 1,
      pointText: "",
      seed: 42,
      token: "canary-token-of-the-lease",
      steering: { numPoints: 2, maxPoints: 8 },
    };
    const spec = TaskSpecification.parse({
      specVersion: 1,
      name: "steering",
      seed: 1,
      clientTaskUuid: "00000000-steering",
      steering,
      searchSpace: "null",
      evaluation: { container: "host:", exec: "true" },
      limits: {},
      needs: {},
    });
    const slot = { cpus: 1, memoryBytes: 500_000_000, gpus: [] };
    return runSteering(
      {
        runner,
        api: {
          getSteeringInput: () => Promise.resolve(INPUT),
          getRegistryCredential: () => Promise.resolve(null),
        },
        stage: { hold: () => Promise.reject(new Error("no files")) },
        spawner,
        slot,
      },
      { item, spec, signal: new AbortController().signal },
    );
  }

  async function answerOf(
    steering: { container: string | null; exec: string },
    image: string = testbed.sifFile,
  ): Promise<string> {
    const end = await steer(steering, image);
    assert.equal(typeof end.answer?.points, "string", JSON.stringify(end));
    return end.answer?.points?.trim() ?? "";
  }

  it("has a root that it may write to and that the next one does not find", async () => {
    const exec = "mkdir /cache && echo kept > /opt-file && cat /marker /opt-file > %OUT";
    const steering = { container: "registry.example/own:1", exec };
    assert.equal(await answerOf(steering), "from the image\nkept");
    assert.equal(await answerOf(steering), "from the image\nkept");
    assert.equal(await answerOf(steering, testbed.imageDirectory), "from the image\nkept");
  });

  it("finds %IN in its working directory, under every name of it", async () => {
    const exec = `run --rm -v "$(pwd)":/HPOiDDS registry.example/own:1 /bin/sh -c 'cat /HPOiDDS/%IN > /HPOiDDS/%OUT; cmp $PWD/%IN /HPOiDDS/%IN'`;
    assert.equal(await answerOf({ container: null, exec }), INPUT);
  });

  it("is started as docker starts an image: with its ENV, through its ENTRYPOINT, or by its CMD", async () => {
    const image = await buildOciImage(directory.path, {
      Env: ["FROM_IMAGE=yes", "PATH=/opt/own:/bin"],
      Entrypoint: ["/bin/sh", "-c", 'echo "entry $FROM_IMAGE ${PATH%%:/bin*}" > output.json; exec "$@"', "entry"], // prettier-ignore
      Cmd: ["/bin/sh", "-c", "echo by cmd >> output.json"],
    });
    const run = (words: string): Promise<string> =>
      answerOf({ container: null, exec: `run --rm registry.example/own:1 ${words}` }, image);
    const echo = "/bin/sh -c 'echo \"$1 $FROM_IMAGE\" >> output.json' sh";
    assert.equal(await run(`${echo} 'a  $b'`), "entry yes /opt/own\na  $b yes");
    assert.equal(await run(""), "entry yes /opt/own\nby cmd");
    const plain = { container: "registry.example/own:1", exec: "echo $FROM_IMAGE > %OUT" };
    assert.equal(await answerOf(plain, image), "yes");
    const replaced = `run --rm --entrypoint /bin/sh registry.example/own:1 -c 'echo own > output.json'`;
    assert.equal(await answerOf({ container: null, exec: replaced }, image), "own");
  });

  it("fails with the command that builds a predefined image which is not there", async () => {
    const exec = "hpogrid generate";
    const end = await steer({ container: "hyperpilot/skopt", exec }, testbed.sifFile);
    assert.equal(end.answer?.points, null);
    assert.match(end.answer.message, /hyperpilot admin steering build skopt/);
  });
});
