/** The images of a node, put together for a pilot. */
import { join } from "node:path";
import type { Clock } from "../../common/clock.ts";
import type { Logger } from "../../common/log.ts";
import { errorText } from "../../protocol/errors.ts";
import { PILOT } from "../../protocol/limits.ts";
import type { Environment, ImageStore, Runtime } from "../runtime/runtime.ts";
import { ImageCache, openCacheDirectory } from "./image-cache.ts";
import { type NodeImages, createNodeImages } from "./node-images.ts";
import { resolveImage } from "./registry.ts";

export interface ImagesOptions {
  readonly runtimes: readonly Runtime[];
  /** The pilot's environment: where the cache is, which proxies there are. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The queue's environment, which may name proxies too. */
  readonly queueEnvironment: Environment;
  /** Private directory of this pilot, for a node without a place that pilots share. */
  readonly scratch: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random: () => number;
  readonly bytesMax?: number;
}

const PROXIES = ["http_proxy", "https_proxy", "no_proxy", "all_proxy"];

/** Errors: E_CONFIG for a directory of the operator's choice that cannot be used. */
export function openImages(options: ImagesOptions): NodeImages {
  const { clock, log, random } = options;
  const stores = new Map<string, ImageStore>();
  for (const { store } of options.runtimes)
    if (store !== undefined && !stores.has(store.kind)) stores.set(store.kind, store);
  const bytesMax = options.bytesMax ?? PILOT.imageCacheBytesMax;
  const cache = new ImageCache({ directory: cacheDirectory(options), bytesMax, stores });
  const environment = proxiesOf({ ...options.environment, ...options.queueEnvironment });
  return createNodeImages({ cache, resolve: resolveImage, clock, log, random, environment });
}

/** Below /var/tmp: on local disk, and not removed with a batch job as $TMPDIR is. */
function cacheDirectory({ environment, scratch, log }: ImagesOptions): string {
  const chosen = environment["HYPERPILOT_IMAGE_CACHE"];
  if (chosen !== undefined && chosen !== "") {
    openCacheDirectory(chosen);
    return chosen;
  }
  const shared = `/var/tmp/hyperpilot-images-${process.getuid?.() ?? 0}`;
  try {
    openCacheDirectory(shared);
    return shared;
  } catch (error) {
    log.warn("imagesNotShared", { directory: shared, error: errorText(error) });
    const own = join(scratch, "images");
    openCacheDirectory(own);
    return own;
  }
}

function proxiesOf(environment: ImagesOptions["environment"]): Environment {
  const proxies: Record<string, string> = {};
  for (const name of PROXIES.flatMap((each) => [each, each.toUpperCase()])) {
    const value = environment[name];
    if (value !== undefined) proxies[name] = value;
  }
  return proxies;
}
