import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";
import type { QueueConfig } from "../../../protocol/queue.ts";
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { QUEUE_STATES } from "../../../protocol/states.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import { usageError } from "../../errors.ts";
import { neutralise } from "../../format.ts";
import { readQueueFile } from "../../queue-file.ts";

/** `site queue add`. */
export const runAdd: Run = async ({ args, context }) => {
  const { output } = context;
  const config = readQueueFile(args[0] ?? "", context.workingDirectory);
  const api = await context.api();
  const saved = await api.call("putQueue", { params: { name: config.name }, body: config });
  if (output.json) output.item("Queue", saved);
  else output.data(`Queue ${neutralise(saved.name)} ${saved.state}: saved.`);
  output.talk("Next  hyperpilot site queues");
  return EXIT.success;
};

/** `site queue set-state`. */
export const runSetState: Run = async ({ args, context }) => {
  const { output } = context;
  const [name = "", word = ""] = args;
  const state = QUEUE_STATES.find((one) => one === word);
  if (state === undefined) {
    const near = didYouMean(word, QUEUE_STATES);
    throw usageError(
      `${JSON.stringify(word)} is no state of a queue.`,
      near === null ? `One of: ${QUEUE_STATES.join(", ")}.` : `Did you mean ${near}?`,
    );
  }
  const api = await context.api();
  const config = await queueNamed(api, name);
  const saved = await api.call("putQueue", {
    params: { name: config.name },
    body: { ...config, state },
  });
  if (output.json) output.item("Queue", saved);
  else output.data(`Queue ${neutralise(saved.name)} ${saved.state}.`);
  output.talk("Next  hyperpilot site queues");
  return EXIT.success;
};

/** `site queue alias`. */
export const runAlias: Run = async ({ args, context }) => {
  const { output } = context;
  const [name = "", image = "", target = ""] = args;
  const api = await context.api();
  const config = await queueNamed(api, name);
  const saved = await api.call("putQueue", {
    params: { name: config.name },
    body: { ...config, images: { ...config.images, [image]: target } },
  });
  if (output.json) output.item("Queue", saved);
  else
    output.data(
      `Queue ${neutralise(saved.name)} uses ${neutralise(target)} for ${neutralise(image)}.`,
    );
  output.talk("Next  hyperpilot site queues");
  return EXIT.success;
};

/** `site queue rm`. */
export const runRemove: Run = async ({ args, context }) => {
  const { output } = context;
  const name = args[0] ?? "";
  await (await context.api()).call("removeQueue", { params: { name } });
  if (output.json) output.item("Queue", { name, removed: true });
  else output.data(`Queue ${neutralise(name)} removed.`);
  output.talk("Next  hyperpilot site queues");
  return EXIT.success;
};

async function queueNamed(api: Api, name: string): Promise<QueueConfig> {
  const { items } = await api.call("listQueues", {});
  const found = items.find(({ config }) => config.name === name);
  if (found !== undefined) return found.config;
  const near = didYouMean(
    name,
    items.map(({ config }) => config.name),
  );
  throw new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no queue ${JSON.stringify(name)}.`,
    remedy: near === null ? "See them all: hyperpilot site queues" : `Did you mean ${near}?`,
  });
}
