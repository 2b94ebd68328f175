import { systemClock } from "../../common/clock.ts";
import { type Logger, silentLogger } from "../../common/log.ts";
import type { NodeImages } from "../../pilot/images/node-images.ts";
import { openImages } from "../../pilot/images/open-images.ts";
import type { Runtime } from "../../pilot/runtime/runtime.ts";

/** Images of a pilot on this machine, with a cache of the test's own. */
export function testImages(options: {
  readonly directory: string;
  readonly runtimes: readonly Runtime[];
  readonly bytesMax?: number;
  readonly log?: Logger;
}): NodeImages {
  return openImages({
    runtimes: options.runtimes,
    environment: { HYPERPILOT_IMAGE_CACHE: options.directory },
    queueEnvironment: {},
    scratch: options.directory,
    clock: systemClock,
    log: options.log ?? silentLogger,
    random: () => 0.5,
    ...(options.bytesMax === undefined ? {} : { bytesMax: options.bytesMax }),
  });
}
