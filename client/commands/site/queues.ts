import { EXIT } from "../../../protocol/errors.ts";
import type { PilotView, QueueView } from "../../../protocol/rest.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import type { Run } from "../../command.ts";
import { formatDuration } from "../../format.ts";
import { textOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";

const QUEUES: readonly Column<QueueView>[] = [
  { title: "QUEUE", text: ({ config }) => config.name },
  { title: "SITE", shrinks: true, text: ({ config }) => config.site },
  { title: "STATE", text: ({ config }) => config.state },
  { title: "PILOTS", align: "right", text: (queue) => `${queue.pilots}/${queue.wantedPilots}` },
  { title: "SLOTS", align: "right", text: (queue) => `${queue.busySlots}/${queue.slots}` },
  {
    title: "SLOT",
    text: ({ config: { slot } }) =>
      `${slot.cpus} CPU, ${formatBytes(slot.memoryMiB * 1_048_576)}${slot.gpus > 0 ? `, ${slot.gpus} GPU` : ""}`,
  },
  {
    title: "HARVESTER",
    shrinks: true,
    text: (queue) => queue.harvester ?? "none",
    plain: (queue) => queue.harvester ?? "",
  },
  {
    title: "LAST ERROR",
    shrinks: true,
    tone: (queue) => (queue.lastError === null ? null : "bad"),
    text: (queue) => queue.lastError ?? "-",
    plain: (queue) => queue.lastError ?? "",
  },
];

const PILOTS: readonly Column<PilotView>[] = [
  { title: "PILOT", text: (pilot) => pilot.pilotId },
  { title: "QUEUE", text: (pilot) => pilot.queue },
  { title: "NODE", shrinks: true, text: (pilot) => pilot.capacity.node },
  {
    title: "LINK",
    tone: (pilot) => (pilot.connected ? "good" : "bad"),
    text: (pilot) =>
      pilot.connected ? "✓ connected" : `✗ silent ${formatDuration(pilot.silentSeconds)}`,
    plain: (pilot) => (pilot.connected ? "connected" : "silent"),
  },
  { title: "SLOTS", align: "right", text: (pilot) => `${pilot.busySlots}/${pilot.slots}` },
  { title: "CPUS", align: "right", text: (pilot) => String(pilot.capacity.cpus) },
  {
    title: "MEMORY",
    align: "right",
    text: (pilot) => formatBytes(pilot.capacity.memoryBytes),
    plain: (pilot) => String(pilot.capacity.memoryBytes),
  },
  { title: "GPUS", align: "right", text: (pilot) => String(pilot.capacity.gpus.length) },
  {
    title: "ITEMS",
    shrinks: true,
    text: (pilot) => pilot.items.join(" ") || "-",
    plain: (pilot) => pilot.items.join(" "),
  },
];

/** `site queues`. */
export const runQueues: Run = async ({ context }) => {
  const { output } = context;
  const { items } = await (await context.api()).call("listQueues", {});
  if (output.json) output.items("QueueList", items);
  else writeTable(output, QUEUES, items, "No queues. Add one: hyperpilot site queue add --help");
  return EXIT.success;
};

/** `site pilots`. */
export const runPilots: Run = async ({ options, context }) => {
  const { output } = context;
  const queue = textOption(options, "queue");
  const query = { limit: 1_000, ...(queue === undefined ? {} : { queue }) };
  const { items, nextCursor } = await (await context.api()).call("listPilots", { query });
  if (output.json) output.items("PilotList", items, { nextCursor });
  else
    writeTable(
      output,
      PILOTS,
      items,
      "No pilots. They are started where there is demand: hyperpilot site queues",
    );
  return EXIT.success;
};
