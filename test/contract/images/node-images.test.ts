import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { HeldImage, HoldRequest, NodeImages } from "../../../pilot/images/node-images.ts";
import { createApptainer } from "../../../pilot/runtime/apptainer.ts";
import { createPodman } from "../../../pilot/runtime/podman.ts";
import type { PayloadRequest, Runtime } from "../../../pilot/runtime/runtime.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import type { RegistryCredential } from "../../../protocol/rest.ts";
import { testImages } from "../../support/node-images.ts";
import { pushVariant } from "../../support/push-image.ts";
import { REGISTRY_USER, type TestRegistry, startRegistry } from "../../support/registry.ts";
import { requireRoot } from "../../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/temporary-directory.ts";
import { requireTestbed, testbed } from "../../support/testbed.ts";

const RUNTIMES: Readonly<Record<string, (scratchDirectory: string) => Runtime>> = {
  apptainer: (scratchDirectory) =>
    createApptainer({ name: "apptainer", scratchDirectory, program: testbed.apptainer }),
  podman: (scratchDirectory) => createPodman({ scratchDirectory, program: testbed.podman }),
};

for (const [name, create] of Object.entries(RUNTIMES))
  describe(`Images of a registry on a node: ${name}`, function () {
    this.timeout(60_000);
    let directory: TemporaryDirectory;
    let registry: TestRegistry | null = null;
    let runtime: Runtime;
    const opened: NodeImages[] = [];

    before(function () {
      requireTestbed(this);
    });
    beforeEach(() => {
      directory = temporaryDirectory();
      runtime = create(directory.path);
      if (name === "podman") execFileSync(testbed.podman, ["image", "rm", "--all", "--force"]);
    });
    afterEach(async () => {
      for (const images of opened.splice(0)) images.close();
      await registry?.stop();
      registry = null;
      await directory.remove();
    });

    const cacheDirectory = (): string => join(directory.path, "cache");
    function pilot(bytesMax?: number): NodeImages {
      const options = { directory: cacheDirectory(), runtimes: [runtime] };
      const images = testImages(bytesMax === undefined ? options : { ...options, bytesMax });
      opened.push(images);
      return images;
    }

    function request(more: Partial<HoldRequest> = {}) {
      const lines: string[] = [];
      return {
        lines,
        taskId: 1,
        credentialOf: (): Promise<RegistryCredential | null> => Promise.resolve(null),
        say: (line: string) => void lines.push(line),
        signal: new AbortController().signal,
        ...more,
      };
    }

    const blobs = (of: TestRegistry) =>
      of.requests("GET /v2/test/payload/blobs").filter((line) => / (200|206|307) /.test(line));

    async function start(options: { isPrivate?: boolean } = {}): Promise<TestRegistry> {
      registry = await startRegistry(directory.path, options);
      return registry;
    }

    it("are fetched once, however many slots and pilots want them at the same time, and told by their digest", async () => {
      const { image } = await start();
      const requests = [1, 2, 3, 4].map(() => request());
      const pilots = [pilot(), pilot()];
      const held = await Promise.all(
        requests.map((each, index) => pilots[index % 2]!.hold(runtime, image, each)),
      );
      assert.equal(new Set(held.map((each) => each.image)).size, 1);
      const first = blobs(registry!).length;
      const text = requests.flatMap(({ lines }) => lines).join("\n");
      const ofPilots = [0, 1].map((index) => [
        ...requests[index]!.lines,
        ...requests[index + 2]!.lines,
      ]);
      const pulled = ofPilots.map((lines) =>
        lines.some((line) => /^pulling image docker:\S+, [\d.]+ MB$/.test(line)),
      );
      assert.deepEqual(pulled.toSorted(), [false, true], text);
      assert.match(text, /^image \S+ is here after \d+ s \(sha256:[0-9a-f]{64}\)$/m);
      assert.match(text, /waiting for image \S+, which another slot fetches/);
      assert.match(text, /waiting for image \S+, which another pilot of this node fetches/);
      const again = request();
      for (const each of held) each.release();
      (await pilot().hold(runtime, image, again)).release();
      assert.deepEqual(again.lines, []);
      assert.equal(blobs(registry!).length, first);
      assert.deepEqual(readdirSync(join(cacheDirectory(), "fetching")), []);
      assert.equal(statSync(cacheDirectory()).mode & 0o077, 0);
    });

    it("are the same image under a tag and under its digest", async () => {
      const { image, name: host } = await start();
      const images = pilot();
      const byTag = request();
      const held = await images.hold(runtime, image, byTag);
      const digest = /sha256:[0-9a-f]{64}/.exec(byTag.lines.join())![0];
      const byDigest = request();
      const same = await images.hold(runtime, `docker://${host}/test/payload@${digest}`, byDigest);
      assert.equal(same.image, held.image);
      assert.deepEqual(byDigest.lines, []);
    });

    it("tell a wrong name or tag, with what to do", async () => {
      const { name: host } = await start();
      for (const wrong of [`${host}/test/payload:2`, `${host}/test/nothing`, "Not_a//name"]) {
        const error = await failure(pilot().hold(runtime, `docker://${wrong}`, request()));
        assert.equal(error.code, "E_IMAGE");
        assert.equal((error as { imageCause?: string }).imageCause, "notFound");
        assert.match(error.message, /was not found/);
        assert.match(error.remedy ?? "", /check its name/);
      }
    });

    it("are denied without the right credentials, with the command that sets them, and fetched with them", async () => {
      const { image, name: host } = await start({ isPrivate: true });
      const wrong = { username: REGISTRY_USER.username, password: "wrong" };
      for (const credential of [null, wrong]) {
        const asked = request({ credentialOf: () => Promise.resolve(credential) });
        const error = await failure(pilot().hold(runtime, image, asked));
        assert.equal((error as { imageCause?: string }).imageCause, "denied");
        assert.ok(error.remedy?.includes(`hyperpilot secret set ${host} --file FILE`));
        assert.equal(JSON.stringify(error.parts).includes("wrong"), false);
      }
      const right = request({ credentialOf: () => Promise.resolve(REGISTRY_USER) });
      await pilot().hold(runtime, image, right);
      assert.equal(right.lines.join("\n").includes(REGISTRY_USER.password), false);
      assert.deepEqual(filesWith(cacheDirectory(), REGISTRY_USER.password), []);
      const encoded = Buffer.from(`anna:${REGISTRY_USER.password}`).toString("base64");
      assert.deepEqual(filesWith(cacheDirectory(), encoded), []);
    });

    it("that one user's credentials have brought are given to nobody whom the registry refuses", async () => {
      const { image } = await start({ isPrivate: true });
      const images = pilot();
      const anna = request({ credentialOf: () => Promise.resolve(REGISTRY_USER) });
      await images.hold(runtime, image, anna);
      for (const node of [images, pilot()]) {
        const error = await failure(node.hold(runtime, image, request({ taskId: 2 })));
        assert.equal((error as { imageCause?: string }).imageCause, "denied");
      }
    });

    it("that are here go on being used while the registry cannot be reached, and others are tried again", async () => {
      const { image } = await start();
      const images = pilot();
      (await images.hold(runtime, image, request())).release();
      await registry!.stop();
      const held = await images.hold(runtime, image, request());
      assert.ok(held.image.length > 0);
      const stop = new AbortController();
      const other = request({ taskId: 2, signal: stop.signal, say: () => stop.abort() });
      await assert.rejects(pilot().hold(runtime, image, other));
      assert.equal(stop.signal.aborted, true);
    });

    it("of localhost are the node's own, which no registry is asked for", async () => {
      const local = "docker://localhost/hyperpilot/own:1";
      const images = pilot();
      const error = await failure(images.hold(runtime, local, request()));
      assert.equal(error.code, "E_IMAGE");
      assert.match(error.message, /is not on this node/);
      if (name !== "podman") return assert.match(error.why ?? "", /run in neither/);
      const { image, name: host } = await start();
      const held = await images.hold(runtime, image, request());
      const options = ["--log-level", "error", "tag", held.image, "localhost/hyperpilot/own:1"];
      execFileSync(testbed.podman, options);
      await registry!.stop();
      const own = await images.hold(runtime, local, request());
      assert.match(own.image, /^[0-9a-f:]{64,}$/, host);
      assert.ok(
        runtime.command({ ...payload(directory.path), image: own.image }).argv.includes(own.image),
      );
    });

    it("make room for others, the least recently used first, but stay while they are used", async () => {
      const { image } = await start();
      const held = await pilot().hold(runtime, image, request());
      assert.equal(entries().length, 1);
      // Another image of the same size has no room beside it.
      const other = pushVariant(registry!, "variant", directory.path);
      const bytesMax = 2_500_000;
      const second = await pilot(bytesMax).hold(runtime, other, request());
      assert.equal(entries().length, 2, "one in use was removed");
      held.release();
      second.release();
      for (const images of opened.splice(0)) images.close();
      const third = pushVariant(registry!, "third", directory.path);
      await pilot(bytesMax).hold(runtime, third, request());
      assert.ok(entries().length < 3, entries().join());
    });

    it("are refused where all of the node's room for images would not do", async () => {
      const { image } = await start();
      const error = await failure(pilot(1_000).hold(runtime, image, request()));
      assert.equal(error.code, "E_STORAGE_FULL");
      assert.match(error.why ?? "", /it has 1\.\d MB, and the node keeps/);
      assert.match(error.remedy ?? "", /HYPERPILOT_IMAGE_CACHE/);
    });

    const entries = (): readonly string[] => {
      const kind = runtime.store!.kind;
      return readdirSync(join(cacheDirectory(), kind));
    };

    if (name === "apptainer")
      it("tell a full disk, and leave nothing on it", async function () {
        requireRoot(this);
        const { image } = await start();
        mkdirSync(cacheDirectory(), { mode: 0o700 });
        const options = ["-t", "tmpfs", "-o", "size=600k,mode=700", "tmpfs", cacheDirectory()];
        execFileSync("mount", options);
        try {
          const error = await failure(pilot().hold(runtime, image, request()));
          assert.equal(error.code, "E_STORAGE_FULL", JSON.stringify(error.parts));
          assert.deepEqual(readdirSync(join(cacheDirectory(), "fetching")), []);
        } finally {
          // Whoever held a lock there may still be ending.
          execFileSync("umount", ["--lazy", cacheDirectory()]);
        }
      });
  });

function payload(directory: string): Omit<PayloadRequest, "image"> {
  return {
    workDirectory: directory,
    temporaryDirectory: directory,
    exec: "true",
    environment: {},
    readOnlyPaths: [],
    gpus: [],
  };
}

async function failure(held: Promise<HeldImage>): Promise<HyperpilotError> {
  try {
    await held;
  } catch (error) {
    assert.ok(error instanceof HyperpilotError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: "the image was held" });
}

/** Files below a directory that hold a text. */
function filesWith(directory: string, text: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => existsSync(file) && readFileSync(file).includes(text));
}
