/** The queue that a command names, with what somebody wrote of it. */
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import { queueFields, valueAt, withValueAt } from "../../../protocol/queue-fields.ts";
import type { QueueConfig } from "../../../protocol/queue.ts";
import type { AnswerOf, Api } from "../../api.ts";
import { checkQueue } from "../../queue-check.ts";

export type ShownQueue = AnswerOf<"showQueue">;

/** Errors: E_NOT_FOUND with the name that was probably meant. */
export async function queueNamed(api: Api, name: string): Promise<ShownQueue> {
  try {
    return await api.call("showQueue", { params: { name } });
  } catch (error) {
    if (!(error instanceof HyperpilotError) || error.code !== "E_NOT_FOUND") throw error;
    throw await noSuchQueue(api, name);
  }
}

/** The error of a queue that is not there. */
export async function noSuchQueue(api: Api, name: string): Promise<HyperpilotError> {
  const { items } = await api.call("listQueues", {});
  const near = didYouMean(
    name,
    items.map(({ config }) => config.name),
  );
  return new HyperpilotError({
    code: "E_NOT_FOUND",
    message: `There is no queue ${JSON.stringify(name)}.`,
    remedy: near === null ? "See them all: hyperpilot site queues" : `Did you mean ${near}?`,
  });
}

/** The queue without its defaults. */
export function writtenPart({ config, origins }: ShownQueue): Record<string, unknown> {
  const isKnown = Object.keys(origins).length > 0;
  let written: Record<string, unknown> = { name: config.name };
  for (const field of queueFields(config.batch.kind)) {
    const value = valueAt(config, field.path);
    const isDefault = JSON.stringify(value) === JSON.stringify(field.default);
    const isWritten = isKnown ? Object.hasOwn(origins, field.path) : !isDefault;
    if (isWritten || field.path === "batch.kind") written = withValueAt(written, field.path, value);
  }
  return written;
}

/** Saves a queue whose values changed by hand. Errors: E_QUEUE_CONFIG, what the server answers. */
export async function saveQueue(
  api: Api,
  written: Readonly<Record<string, unknown>>,
  source: string,
): Promise<QueueConfig> {
  const checked = checkQueue(written);
  if (!checked.ok) {
    const [{ message, remedy }] = checked.faults;
    throw new HyperpilotError({
      code: "E_QUEUE_CONFIG",
      message: `${message.charAt(0).toUpperCase()}${message.slice(1)}.`,
      why: "Nothing was sent.",
      remedy,
    });
  }
  const { name } = checked.config;
  // The part that is written, so that the server knows which values are defaults.
  const body = written as unknown as QueueConfig;
  return api.call("putQueue", { params: { name }, query: { source }, body });
}
