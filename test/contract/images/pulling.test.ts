import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { silentLogger } from "../../../common/log.ts";
import { ImageCache, openCacheDirectory } from "../../../pilot/images/image-cache.ts";
import {
  type HoldRequest,
  type NodeImages,
  createNodeImages,
} from "../../../pilot/images/node-images.ts";
import { createNone } from "../../../pilot/runtime/none.ts";
import type { PullRequest, Runtime } from "../../../pilot/runtime/runtime.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { PILOT, WIRE } from "../../../protocol/limits.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { requireTool } from "../../support/requires.ts";
import { type TemporaryDirectory, temporaryDirectory } from "../../support/temporary-directory.ts";
import { waitUntil } from "../../support/wait-until.ts";

const IMAGE = "docker://registry.example.org/train:1";
const DIGEST = `sha256:${"d".repeat(64)}`;
const SIZE = 800_000_000;

describe("Pulling an image", () => {
  let directory: TemporaryDirectory;
  let clock: FakeClock;
  let images: NodeImages;
  let pulls: PullRequest[];
  let resolutions: number;
  let resolve: () => Promise<string>;
  /** What a pull does; by default it ends when the test ends it. */
  let pull: (request: PullRequest) => Promise<void>;
  let runtime: Runtime;

  before(function () {
    requireTool(this, "flock");
  });
  beforeEach(() => {
    directory = temporaryDirectory();
    clock = new FakeClock();
    pulls = [];
    resolutions = 0;
    resolve = () => Promise.resolve(DIGEST);
    pull = untilAborted;
    const store = {
      kind: "test",
      pull: (request: PullRequest) => {
        pulls.push(request);
        return pull(request);
      },
      open: (entry: string) =>
        Promise.resolve(existsSync(entry) ? { image: entry, sizeBytes: 1 } : null),
      remove: () => Promise.resolve(false),
    };
    runtime = { ...createNone(), store };
    const cache = new ImageCache({
      directory: directory.path,
      bytesMax: 1e12,
      stores: new Map([["test", store]]),
    });
    images = createNodeImages({
      ...{ cache, clock, log: silentLogger, random: () => 0.5, environment: {} },
      resolve: async ({ reference }) => {
        resolutions += 1;
        const digest = await resolve();
        const name = `${reference.registry}/${reference.repository}@${digest}`;
        return { digest, name, isPlainHttp: false, sizeBytes: SIZE };
      },
    });
  });
  afterEach(async () => {
    images.close();
    await directory.remove();
  });

  function hold(signal = new AbortController().signal, taskId = 1) {
    const lines: string[] = [];
    const hindrances: (string | null)[] = [];
    const request: HoldRequest = {
      ...{ taskId, signal },
      credentialOf: () => Promise.resolve(null),
      say: (line) => void lines.push(line),
      onHindrance: (text) => void hindrances.push(text),
    };
    return { lines, hindrances, held: images.hold(runtime, IMAGE, request) };
  }

  function arrives({ entry }: PullRequest): Promise<void> {
    writeFileSync(entry, "");
    return Promise.resolve();
  }

  function untilAborted({ signal }: PullRequest): Promise<void> {
    return new Promise((_resolve, reject) => {
      signal.addEventListener("abort", () =>
        reject(signal.reason instanceof Error ? signal.reason : new Error("aborted")),
      );
    });
  }

  const started = (count: number) =>
    waitUntil(`pull ${count} has begun`, () => pulls.length === count);

  it("tells every evaluation that waits how far it is", async () => {
    const waiting = [hold(), hold()];
    await started(1);
    const part = join(pulls[0]!.scratch, "layer");
    writeFileSync(part, "");
    truncateSync(part, 120_000_000);
    clock.advance(PILOT.imageProgressMs);
    truncateSync(part, SIZE);
    clock.advance(PILOT.imageProgressMs);
    for (const { lines } of waiting)
      assert.deepEqual(lines.slice(-2), [
        `pulling image ${IMAGE}: 120.0 MB of 800.0 MB, 10 s`,
        `pulling image ${IMAGE}: unpacking 800.0 MB, 20 s`,
      ]);
    assert.equal(waiting[0]!.lines[0], `pulling image ${IMAGE}, 800.0 MB`);
    pulls[0]!.signal.throwIfAborted();
    clock.advance(PILOT.imagePullTimeoutMs);
    await assert.rejects(waiting[0]!.held);
    pull = arrives;
    (await waiting[1]!.held).release();
  });

  it("ends after its time, with what to do", async () => {
    const { held } = hold();
    await started(1);
    clock.advance(PILOT.imagePullTimeoutMs);
    await assert.rejects(held, { code: "E_IMAGE", message: /did not arrive within 30 minutes/ });
    assert.deepEqual(readdirSync(join(directory.path, "fetching")), []);
  });

  it("is taken over by another slot when the evaluation that began it is stopped", async () => {
    const stop = new AbortController();
    const first = hold(stop.signal);
    await started(1);
    const second = hold();
    stop.abort();
    await assert.rejects(first.held);
    pull = arrives;
    const held = await second.held;
    assert.equal(pulls.length, 2);
    assert.equal(existsSync(held.image), true);
    held.release();
  });

  it("removes what a pilot that was killed had fetched so far", async () => {
    const abandoned = join(directory.path, "fetching", "test-abandoned");
    mkdirSync(join(abandoned, "rootfs"), { recursive: true });
    pull = arrives;
    (await hold().held).release();
    assert.equal(existsSync(abandoned), false);
  });

  it("asks a registry that cannot be reached again for a while, then gives the evaluation back", async () => {
    resolve = () =>
      Promise.reject(new HyperpilotError({ code: "E_UNREACHABLE", message: "no route" }));
    const { held, lines } = hold();
    let ended = false;
    const rejected = assert.rejects(held, { code: "E_UNREACHABLE" }).then(() => (ended = true));
    await waitUntil("it gives up", () => {
      clock.advance(PILOT.imageRetryMs / 10);
      return ended;
    });
    await rejected;
    assert.ok(resolutions > 2, `${resolutions} questions`);
    assert.match(lines[0] ?? "", /registry registry\.example\.org cannot be reached/);
  });

  it("tells that a registry cannot be reached while it cannot, and when it can again", async () => {
    pull = arrives;
    const digest = await resolve();
    resolve = () =>
      resolutions < 3
        ? Promise.reject(new HyperpilotError({ code: "E_UNREACHABLE", message: "no route" }))
        : Promise.resolve(digest);
    const { held, hindrances } = hold();
    let isHeld = false;
    const done = held.then((image) => {
      image.release();
      isHeld = true;
    });
    await waitUntil("it is here", () => {
      clock.advance(WIRE.reconnectDelayMsMax);
      return isHeld;
    });
    await done;
    const why = "registry registry.example.org cannot be reached: no route; trying again";
    assert.deepEqual(hindrances, [why, why, null]);
  });

  it("asks what a tag means once in a while only, and again for another task", async () => {
    pull = arrives;
    for (let n = 0; n < 3; n += 1) (await hold().held).release();
    assert.equal(resolutions, 1);
    (await hold(undefined, 2).held).release();
    assert.equal(resolutions, 2);
    clock.advance(PILOT.imageResolvedMs);
    (await hold().held).release();
    assert.equal(resolutions, 3);
    for (let task = 3; task < 3 + PILOT.imagesResolvedMax; task += 1)
      (await hold(undefined, task).held).release();
    (await hold().held).release();
    assert.equal(resolutions, 4 + PILOT.imagesResolvedMax, "the oldest is forgotten");
    assert.equal(pulls.length, 1);
  });

  it("happens again when the runtime could not start what was there", async () => {
    pull = arrives;
    const held = await hold().held;
    held.doubt();
    held.release();
    const again = await hold().held;
    assert.equal(existsSync(again.image), true);
    again.release();
  });
});

describe("The directory of a node's images", () => {
  let directory: TemporaryDirectory;
  beforeEach(() => {
    directory = temporaryDirectory();
  });
  afterEach(async () => {
    await directory.remove();
  });

  it("is private, and refused when others may write to it", () => {
    const path = join(directory.path, "images");
    openCacheDirectory(path);
    openCacheDirectory(path);
    const open = join(directory.path, "open");
    mkdirSync(open, { mode: 0o777 });
    // Whatever the umask is.
    chmodSync(open, 0o777);
    assert.throws(() => openCacheDirectory(open), { code: "E_CONFIG" });
  });
});
