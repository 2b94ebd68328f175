/**
 * Images of registries for the slots of a pilot: the registry says which image a name means, the node's cache has it or
 * fetches it once, and it stays while a slot uses it. Failures that may pass are tried again here, as they are no fault of
 * the evaluation that waits.
 */
import { createBackoff } from "../../common/backoff.ts";
import type { Clock, Timer } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";
import { parseImageReference } from "../../protocol/image-reference.ts";
import { PILOT, WIRE } from "../../protocol/limits.ts";
import { formatBytes } from "../../protocol/resources.ts";
import type { RegistryCredential } from "../../protocol/rest.ts";
import type { Environment, ImageStore, Runtime } from "../runtime/runtime.ts";
import { arrivedBytes } from "./arrived-bytes.ts";
import type { CachedImage, ImageCache } from "./image-cache.ts";
import { ImageError, imageNotFound } from "./image-errors.ts";
import { findLocalImage, isLocalImage } from "./local-images.ts";
import type { RegistryQuestion, ResolvedImage } from "./registry.ts";

export interface NodeImagesOptions {
  readonly cache: ImageCache;
  readonly resolve: (question: RegistryQuestion) => Promise<ResolvedImage>;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  /** Variables for programs that talk to registries: proxies. */
  readonly environment: Environment;
}

export interface HoldRequest {
  /** What the registry answered for one task counts for that task only: it depends on whose credentials were shown. */
  readonly taskId: number;
  /** The credential of the task's owner for a registry; null when there is none. */
  readonly credentialOf: (registry: string) => Promise<RegistryCredential | null>;
  /** Takes a line for the evaluation's log. */
  readonly say: (line: string) => void;
  /** Takes what keeps the image away, while it does; null: nothing does any more. */
  readonly onHindrance?: (text: string | null) => void;
  readonly signal: AbortSignal;
}

export interface HeldImage {
  /** As the runtime takes it. */
  readonly image: string;
  /** The runtime could not start it: the next one who wants it looks again whether it is there. */
  doubt(): void;
  release(): void;
}

export interface NodeImages {
  /**
   * The image, from the node or from its registry; images of the node itself are held as they are.
   * Errors: E_IMAGE, E_STORAGE_FULL, E_UNREACHABLE, E_RUNTIME; the signal's reason.
   */
  hold(runtime: Runtime, image: string, request: HoldRequest): Promise<HeldImage>;
  /** Lets go of images that nobody uses. */
  close(): void;
}

/** One that the cache neither fetched nor removes. */
function unmanaged(image: string): HeldImage {
  return { image, doubt: () => undefined, release: () => undefined };
}

interface Kept {
  readonly cached: CachedImage;
  users: number;
  idle: Timer | null;
}

interface Arrival {
  readonly done: Promise<void>;
  /** Logs of all evaluations that wait for it. */
  readonly listeners: Set<(line: string) => void>;
}

interface Resolved {
  readonly image: ResolvedImage;
  readonly untilMs: number;
}

export function createNodeImages(options: NodeImagesOptions): NodeImages {
  return new PilotImages(options);
}

class PilotImages implements NodeImages {
  readonly #options: NodeImagesOptions;
  readonly #resolved = new Map<string, Resolved>();
  readonly #kept = new Map<string, Kept>();
  readonly #arriving = new Map<string, Arrival>();

  constructor(options: NodeImagesOptions) {
    this.#options = options;
  }

  async hold(runtime: Runtime, image: string, request: HoldRequest): Promise<HeldImage> {
    const { store } = runtime;
    if (!image.startsWith("docker://") || store === undefined) return unmanaged(image);
    if (isLocalImage(image)) return unmanaged(await findLocalImage(store, image));
    const resolved = await this.#resolve(image, request);
    const key = `${store.kind}/${resolved.digest}`;
    for (;;) {
      const kept = this.#kept.get(key) ?? (await this.#find(key, store, resolved));
      if (kept !== null) return this.#use(key, kept);
      await this.#arrival(key, { store, image, resolved, request });
    }
  }

  close(): void {
    for (const kept of this.#kept.values()) {
      kept.idle?.cancel();
      if (kept.users === 0) kept.cached.lock.release();
    }
    this.#kept.clear();
  }

  #use(key: string, kept: Kept): HeldImage {
    kept.users += 1;
    kept.idle?.cancel();
    kept.idle = null;
    return {
      image: kept.cached.image,
      doubt: () => {
        if (this.#kept.get(key) === kept) this.#kept.delete(key);
      },
      release: () => this.#release(key, kept),
    };
  }

  #release(key: string, kept: Kept): void {
    kept.users -= 1;
    if (kept.users > 0) return;
    if (this.#kept.get(key) !== kept) return kept.cached.lock.release();
    kept.idle = this.#options.clock.setTimer(PILOT.imageIdleMs, () => {
      this.#kept.delete(key);
      kept.cached.lock.release();
    });
  }

  async #find(key: string, store: ImageStore, { digest }: ResolvedImage): Promise<Kept | null> {
    const cached = await this.#options.cache.find(store, digest);
    if (cached === null) return null;
    const other = this.#kept.get(key);
    if (other !== undefined) {
      // Another slot was faster.
      cached.lock.release();
      return other;
    }
    const kept: Kept = { cached, users: 0, idle: null };
    this.#kept.set(key, kept);
    return kept;
  }

  /** Waits until the image may be here: by this slot's fetching, or by another's, which may fail for reasons of its own. */
  async #arrival(key: string, wanted: Wanted): Promise<void> {
    const { signal, say } = wanted.request;
    const other = this.#arriving.get(key);
    if (other !== undefined) {
      say(`waiting for image ${wanted.image}, which another slot fetches`);
      other.listeners.add(say);
      await Promise.race([other.done.catch(() => undefined), aborted(signal)]);
      other.listeners.delete(say);
      signal.throwIfAborted();
      return;
    }
    const listeners = new Set([say]);
    const done = this.#fetch(wanted, (line) => {
      for (const listener of listeners) listener(line);
    });
    this.#arriving.set(key, { done, listeners });
    try {
      await done;
    } finally {
      this.#arriving.delete(key);
    }
  }

  async #fetch(wanted: Wanted, tell: (line: string) => void): Promise<void> {
    const { cache, clock, log, environment } = this.#options;
    const { store, image, resolved, request } = wanted;
    const deadline = new AbortController();
    const timer = clock.setTimer(PILOT.imagePullTimeoutMs, () => deadline.abort(tooSlow(image)));
    const signal = AbortSignal.any([request.signal, deadline.signal]);
    const { digest, sizeBytes } = resolved;
    const beganMs = clock.monotonicMs();
    const seconds = (): number => Math.round((clock.monotonicMs() - beganMs) / 1_000);
    const say = (line: string): void => {
      tell(line);
      log.info("image", { image, digest, line });
    };
    try {
      await cache.fill({
        ...{ store, digest, sizeBytes, signal, name: image },
        onWait: () => say(`waiting for image ${image}, which another pilot of this node fetches`),
        fetch: async (entry, scratch) => {
          const of = sizeBytes === null ? "" : ` of ${formatBytes(sizeBytes)}`;
          say(`pulling image ${image}${of === "" ? "" : `,${of.slice(3)}`}`);
          const credential = await request.credentialOf(registryOf(image));
          const progress = this.#everyNowAndThen(() => {
            const bytes = Math.min(arrivedBytes(scratch), sizeBytes ?? Infinity);
            const isUnpacking = sizeBytes !== null && bytes >= sizeBytes;
            const how = isUnpacking ? `unpacking${of.slice(3)}` : `${formatBytes(bytes)}${of}`;
            say(`pulling image ${image}: ${how}, ${seconds()} s`);
          });
          try {
            const { name: reference, isPlainHttp } = resolved;
            const files = { entry, scratch, environment, signal };
            await store.pull({ reference, isPlainHttp, credential, ...files });
          } finally {
            progress.cancel();
          }
          say(`image ${image} is here after ${seconds()} s (${digest})`);
        },
      });
    } finally {
      timer.cancel();
    }
  }

  #everyNowAndThen(action: () => void): Timer {
    const { clock } = this.#options;
    let timer: Timer;
    const again = (): void => {
      timer = clock.setTimer(PILOT.imageProgressMs, () => {
        action();
        again();
      });
    };
    again();
    return { cancel: () => timer.cancel() };
  }

  /** The digest of the name. While the registry cannot be reached, what it said to this task before counts on. */
  async #resolve(image: string, request: HoldRequest): Promise<ResolvedImage> {
    const { clock, random, environment, log } = this.#options;
    const reference = parseImageReference(image);
    if (reference === null)
      throw imageNotFound(image, "it is no name of an image in a registry (a file needs its path)");
    const key = `${request.taskId} ${image}`;
    const known = this.#resolved.get(key);
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return known.image;
    const backoff = createBackoff(WIRE.reconnectDelayMsMin, WIRE.reconnectDelayMsMax, random);
    const giveUpMs = clock.monotonicMs() + PILOT.imageRetryMs;
    let hasWaited = false;
    for (;;) {
      try {
        const { signal } = request;
        const credential = await request.credentialOf(reference.registry);
        const resolve = this.#options.resolve;
        const found = await resolve({ reference, credential, environment, signal });
        this.#remember(key, found);
        if (hasWaited) request.onHindrance?.(null);
        return found;
      } catch (error) {
        request.signal.throwIfAborted();
        if (!(error instanceof HyperpilotError) || error.code !== "E_UNREACHABLE") throw error;
        const why = error.why ?? errorText(error);
        log.warn("registryUnreachable", { image, error: why });
        if (known !== undefined) return known.image;
        if (clock.monotonicMs() >= giveUpMs) throw error;
        const text = `registry ${reference.registry} cannot be reached: ${why}; trying again`;
        request.say(text);
        hasWaited = true;
        request.onHindrance?.(text);
      }
      await clock.sleep(backoff.next(), request.signal);
    }
  }

  #remember(key: string, image: ResolvedImage): void {
    const untilMs = this.#options.clock.monotonicMs() + PILOT.imageResolvedMs;
    this.#resolved.delete(key);
    this.#resolved.set(key, { image, untilMs });
    const [oldest] = this.#resolved.keys();
    if (this.#resolved.size > PILOT.imagesResolvedMax && oldest !== undefined)
      this.#resolved.delete(oldest);
  }
}

interface Wanted {
  readonly store: ImageStore;
  readonly image: string;
  readonly resolved: ResolvedImage;
  readonly request: HoldRequest;
}

function registryOf(image: string): string {
  return parseImageReference(image)?.registry ?? "";
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function tooSlow(image: string): HyperpilotError {
  return new ImageError(null, {
    message: `image ${image} did not arrive within ${PILOT.imagePullTimeoutMs / 60_000} minutes`,
    why: "the registry, or the way to it, is too slow",
    remedy: "use a registry nearer by, or have the site's operator put the image on the nodes",
  });
}
