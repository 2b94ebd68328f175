/** Tells queues for steering what the predefined images are called on their nodes. */
import { HyperpilotError } from "../../protocol/errors.ts";
import type { QueueConfig } from "../../protocol/queue.ts";
import type { Api } from "../api.ts";

/**
 * Adds the names to the queues and returns those that know them now. Without names of queues: the central ones of the
 * server's own machine, which see the same files. Errors: E_NOT_FOUND, E_CONFLICT, those of the API.
 */
export async function registerImages(
  api: Api,
  images: Readonly<Record<string, string>>,
  names: readonly string[],
): Promise<readonly string[]> {
  const { items } = await api.call("listQueues", {});
  const queues = chosen(
    items.map(({ config }) => config),
    names,
  );
  for (const queue of queues) {
    const isKnown = Object.entries(images).every(([name, target]) => queue.images[name] === target);
    if (isKnown) continue;
    const body = { ...queue, images: { ...queue.images, ...images } };
    await api.call("putQueue", { params: { name: queue.name }, body });
  }
  return queues.map((queue) => queue.name);
}

function chosen(queues: readonly QueueConfig[], names: readonly string[]): readonly QueueConfig[] {
  if (names.length > 0) {
    return names.map((name) => {
      const found = queues.find((queue) => queue.name === name);
      if (found !== undefined) return found;
      throw new HyperpilotError({
        code: "E_NOT_FOUND",
        message: `There is no queue ${JSON.stringify(name)}.`,
        remedy: "See them all: hyperpilot site queues",
      });
    });
  }
  const own = queues.filter(({ role, batch }) => {
    const kind: string = batch.kind;
    return role === "central" && kind === "local";
  });
  if (own.length > 0) return own;
  throw new HyperpilotError({
    code: "E_CONFLICT",
    message: "The images are built, but no queue of this machine runs steering containers.",
    remedy: "Name the queues whose nodes can read the images: --queue NAME",
  });
}
