/** `site queue`: add, change, compare, remove. */
import { EXIT, HyperpilotError, type ExitCode } from "../../../protocol/errors.ts";
import { didYouMean } from "../../../protocol/did-you-mean.ts";
import { queueFields, valueAt, withValueAt } from "../../../protocol/queue-fields.ts";
import { QUEUE_STATES, type QueueState } from "../../../protocol/states.ts";
import type { Invocation, Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { neutralise } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import { readQueueFile } from "../../queue-file.ts";
import { parseDuration } from "../../time-text.ts";
import { queueNamed, saveQueue, writtenPart } from "./named-queue.ts";
import { parseAssignment } from "./queue-values.ts";
import { TEST_SECONDS, testQueue } from "./queue-test.ts";

/** `site queue add`. */
export const runAdd: Run = async ({ args, options, context }) => {
  const { output } = context;
  const file = args[0] ?? "";
  const { config, written } = readQueueFile(file, context.workingDirectory);
  const timeoutSeconds = parseDuration(
    textOption(options, "timeout") ?? `${TEST_SECONDS}s`,
    "timeout",
  );
  const api = await context.api();
  const saved = await saveQueue(api, written, file);
  if (output.json) output.item("Queue", saved);
  else output.data(`Queue ${neutralise(saved.name)} ${saved.state}: saved.`);
  const skips =
    flagOption(options, "noTest") || saved.state === "offline" || saved.state === "drain";
  if (skips) {
    output.talk(`Not tested. Next  hyperpilot site queue test ${neutralise(config.name)}`);
    return EXIT.success;
  }
  try {
    return await testQueue(context, api, { name: saved.name, timeoutSeconds });
  } catch (error) {
    if (!(error instanceof HyperpilotError) || error.code !== "E_CONFLICT") throw error;
    output.talk(`Not tested: ${neutralise(error.message)}`);
    output.talk(`Next  ${neutralise(error.remedy ?? "")}`);
    return EXIT.success;
  }
};

/** `site queue set` and `site queue limit`. */
export const runSet: Run = (invocation) => change(invocation, "");
export const runLimit: Run = (invocation) => change(invocation, "limits.");

async function change({ args, context }: Invocation, table: string): Promise<ExitCode> {
  const [name = "", ...assignments] = args;
  const api = await context.api();
  const shown = await queueNamed(api, name);
  const { kind } = shown.config.batch;
  let written = writtenPart(shown);
  const changes: string[] = [];
  for (const text of assignments) {
    const { path, value } = parseAssignment(text, kind, table);
    const former = valueAt(shown.config, path);
    changes.push(`${path}  ${valueText(former)} -> ${valueText(value)}`);
    written = withValueAt(written, path, value);
  }
  const saved = await saveQueue(api, written, "site queue set");
  const { output } = context;
  if (output.json) output.item("Queue", saved);
  else for (const line of changes) output.data(neutralise(line));
  output.talk(`Next  hyperpilot site why ${neutralise(saved.name)}`);
  return EXIT.success;
}

export function valueText(value: unknown): string {
  if (value === null || value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** `site queue set-state`. */
export const runSetState: Run = ({ args, context }) => {
  const [name = "", word = ""] = args;
  const state = QUEUE_STATES.find((one) => one === word);
  if (state === undefined) {
    const near = didYouMean(word, QUEUE_STATES);
    throw usageError(
      `${JSON.stringify(word)} is no state of a queue.`,
      near === null ? `One of: ${QUEUE_STATES.join(", ")}.` : `Did you mean ${near}?`,
    );
  }
  return setState(context, name, state);
};

/** `site queue online`, `offline`, `drain`. */
export const runOnline: Run = ({ args, context }) => setState(context, args[0] ?? "", "online");
export const runOffline: Run = ({ args, context }) => setState(context, args[0] ?? "", "offline");
export const runDrain: Run = ({ args, context }) => setState(context, args[0] ?? "", "drain");

const MEANS: Readonly<Record<QueueState, string>> = {
  online: "takes pilots and work",
  test: "takes one pilot at most",
  drain: "takes no new pilots and no new work; what runs goes on",
  offline: "takes no pilots and no work; pilots that have not connected are taken back",
};

async function setState(context: Context, name: string, state: QueueState): Promise<ExitCode> {
  const { output } = context;
  const api = await context.api();
  const shown = await queueNamed(api, name);
  const saved = await saveQueue(api, { ...writtenPart(shown), state }, "site queue");
  if (output.json) output.item("Queue", saved);
  else output.data(`Queue ${neutralise(saved.name)} ${saved.state}.`);
  output.talk(`It ${MEANS[saved.state]}.`);
  output.talk(`Next  hyperpilot site why ${neutralise(saved.name)}`);
  return EXIT.success;
}

/** `site queue diff`: ends with 1 when they differ. */
export const runDiff: Run = async ({ args, context }) => {
  const { output } = context;
  const file = args[0] ?? "";
  const { config: inFile } = readQueueFile(file, context.workingDirectory);
  const api = await context.api();
  const { config: atServer } = await queueNamed(api, inFile.name);
  const paths = new Set(
    [inFile.batch.kind, atServer.batch.kind].flatMap((kind) =>
      queueFields(kind).map((field) => field.path),
    ),
  );
  const differences = [...paths].flatMap((path) => {
    const [server, own] = [valueAt(atServer, path), valueAt(inFile, path)];
    const isSame = JSON.stringify(server) === JSON.stringify(own);
    return isSame ? [] : [{ path, server: server ?? null, file: own ?? null }];
  });
  const exit = differences.length === 0 ? EXIT.success : EXIT.failed;
  if (output.json) {
    output.items("QueueDifferences", differences);
    return exit;
  }
  for (const { path, server, file: own } of differences) {
    output.data(output.paint("bad", neutralise(`- ${path} = ${valueText(server)}`)));
    output.data(output.paint("good", neutralise(`+ ${path} = ${valueText(own)}`)));
  }
  if (differences.length === 0) output.talk(`Queue ${neutralise(inFile.name)} is as in ${file}.`);
  else output.talk(`- at the server, + in the file. Next  hyperpilot site queue add ${file}`);
  return exit;
};

/** `site queue alias`. */
export const runAlias: Run = async ({ args, context }) => {
  const { output } = context;
  const [name = "", image = "", target = ""] = args;
  const api = await context.api();
  const shown = await queueNamed(api, name);
  const images = { ...shown.config.images, [image]: target };
  const saved = await saveQueue(api, { ...writtenPart(shown), images }, "site queue alias");
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
