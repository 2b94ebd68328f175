import { EXIT } from "../../../protocol/errors.ts";
import type { QueueView } from "../../../protocol/rest.ts";
import type { Run } from "../../command.ts";
import { neutralise } from "../../format.ts";
import { writeTable, type Column } from "../../table.ts";

const QUEUES: readonly Column<QueueView>[] = [
  { title: "QUEUE", text: ({ config }) => config.name },
  { title: "SITE", shrinks: true, text: ({ config }) => config.site },
  {
    title: "STATE",
    tone: ({ config }) => (config.state === "online" ? null : "busy"),
    text: ({ config }) => config.state,
  },
  { title: "PILOTS", align: "right", text: (queue) => `${queue.pilots}/${queue.wantedPilots}` },
  { title: "JOBS", align: "right", text: (queue) => jobsText(queue) },
  { title: "SLOTS", align: "right", text: (queue) => `${queue.busySlots}/${queue.slots}` },
  {
    title: "HARVESTER",
    shrinks: true,
    tone: (queue) => (queue.harvester === null ? "bad" : null),
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

/** Batch jobs that wait and that run. */
function jobsText({ submissions: { queued, running, unknown, planned } }: QueueView): string {
  return `${queued + planned}+${running}${unknown > 0 ? `+${unknown}?` : ""}`;
}

/** `site queues`. */
export const runQueues: Run = async ({ context }) => {
  const { output } = context;
  const { items } = await (await context.api()).call("listQueues", {});
  if (output.json) {
    output.items("QueueList", items);
    return EXIT.success;
  }
  writeTable(output, QUEUES, items, "No queues. Add one: hyperpilot site queue add --help");
  if (!output.stdout.isTty || items.length === 0) return EXIT.success;
  output.talk("Pilots connected/wanted, batch jobs waiting+running, slots busy/all");
  const bad = items.find((queue) => queue.lastError !== null || queue.harvester === null);
  const idle = items.find((queue) => queue.pilots < queue.wantedPilots);
  const [first] = [bad, idle].filter((one) => one !== undefined);
  if (first !== undefined)
    output.talk(`Next  hyperpilot site why ${neutralise(first.config.name)}`);
  return EXIT.success;
};
