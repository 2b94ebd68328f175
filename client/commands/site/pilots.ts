/** `site pilot`, `site pilots` and `site submissions`. */
import { EXIT, type ExitCode } from "../../../protocol/errors.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import type { PilotView } from "../../../protocol/rest.ts";
import type { PilotDetail, SubmissionView } from "../../../protocol/site.ts";
import type { Invocation, Run } from "../../command.ts";
import { writeFields } from "../../fields.ts";
import { formatDuration, neutralise, neutraliseLines } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";
import { logLine } from "./cause-text.ts";

const PILOTS: readonly Column<PilotView>[] = [
  { title: "PILOT", text: (pilot) => pilot.pilotId },
  { title: "QUEUE", shrinks: true, text: (pilot) => pilot.queue },
  { title: "NODE", shrinks: true, text: (pilot) => pilot.capacity.node },
  {
    title: "LINK",
    tone: (pilot) => (!pilot.connected ? "bad" : pilot.draining ? "busy" : "good"),
    text: linkText,
    plain: (pilot) => (!pilot.connected ? "silent" : pilot.draining ? "draining" : "connected"),
  },
  { title: "SLOTS", align: "right", text: (pilot) => `${pilot.busySlots}/${pilot.slots}` },
  { title: "CPUS", only: "programs", text: (pilot) => String(pilot.capacity.cpus) },
  { title: "MEMORY", only: "programs", text: (pilot) => String(pilot.capacity.memoryBytes) },
  { title: "GPUS", align: "right", text: (pilot) => String(pilot.capacity.gpus.length) },
  {
    title: "ITEMS",
    shrinks: true,
    text: (pilot) => pilot.items.join(" ") || "-",
    plain: (pilot) => pilot.items.join(" "),
  },
];

function linkText(pilot: PilotView): string {
  if (!pilot.connected) return `✗ silent ${formatDuration(pilot.silentSeconds)}`;
  return pilot.draining ? "… draining" : "✓ connected";
}

/** `site pilots`. */
export const runPilots: Run = async ({ options, context }) => {
  const { output } = context;
  const queue = textOption(options, "queue");
  const node = textOption(options, "node");
  const query = {
    limit: 1_000,
    ...(queue === undefined ? {} : { queue }),
    ...(node === undefined ? {} : { node }),
  };
  const { items, nextCursor } = await (await context.api()).call("listPilots", { query });
  if (output.json) {
    output.items("PilotList", items, { nextCursor });
    return EXIT.success;
  }
  const empty = "No pilots. They are started where there is demand: hyperpilot site queues";
  writeTable(output, PILOTS, items, empty);
  if (nextCursor !== null) output.talk("There are more: --queue or --node chooses among them.");
  return EXIT.success;
};

const SUBMISSIONS: readonly Column<SubmissionView>[] = [
  { title: "SUBMISSION", text: ({ submissionId }) => submissionId },
  { title: "QUEUE", shrinks: true, text: ({ queue }) => queue },
  {
    title: "STATE",
    tone: ({ state }) => (state === "running" ? "good" : state === "unknown" ? "bad" : "busy"),
    text: ({ state, pilotId }) => (pilotId === null ? state : "connected"),
  },
  {
    title: "FOR",
    align: "right",
    text: ({ stateSeconds }) => formatDuration(stateSeconds),
    plain: ({ stateSeconds }) => String(Math.round(stateSeconds)),
  },
  {
    title: "THE BATCH SYSTEM SAYS",
    shrinks: true,
    text: ({ detail }) => detail || "-",
    plain: ({ detail }) => detail,
  },
];

/** `site submissions`. */
export const runSubmissions: Run = async ({ options, context }) => {
  const { output } = context;
  const queue = textOption(options, "queue");
  const query = queue === undefined ? {} : { queue };
  const { items } = await (await context.api()).call("listSubmissions", { query });
  if (output.json) output.items("SubmissionList", items);
  else writeTable(output, SUBMISSIONS, items, "No submissions. Why: hyperpilot site why QUEUE");
  return EXIT.success;
};

/** `site pilot show`. */
export const runShow: Run = async ({ args, context }) => {
  const { output } = context;
  const pilot = await (await context.api()).call("showPilot", { params: { id: args[0] ?? "" } });
  if (output.json) {
    output.item("Pilot", pilot);
    return EXIT.success;
  }
  const { submission, items } = pilot;
  writeFields(output, [
    ["Pilot", neutralise(pilot.pilotId ?? "none yet")],
    ["Link", linkOf(pilot)],
    ["Queue", neutralise(submission.queue)],
    ["Node", neutralise(pilot.node ?? "")],
    [
      "Submission",
      pilot.pilotId === null
        ? `${submission.submissionId}, ${submission.state} for ${formatDuration(submission.stateSeconds)}`
        : submission.submissionId,
    ],
    [
      "Batch job",
      neutralise(
        [submission.batchId, submission.detail]
          .filter((one) => one !== null && one !== "")
          .join(": "),
      ),
    ],
    ["Harvester", neutralise(submission.harvester ?? "none connected")],
    ["Starts", pilot.starts === 0 ? "" : `${pilot.starts} of at most 20`],
    ...capacityFields(pilot),
    [
      "Runs",
      items
        .map(({ item, owner, slot }) => neutralise(`${item} of ${owner} in slot ${slot}`))
        .join(", ") || "nothing",
    ],
  ]);
  output.talk(`Next  hyperpilot site pilot logs ${submission.submissionId}`);
  return EXIT.success;
};

function linkOf({ pilotId, connected, draining, silentSeconds }: PilotDetail): string {
  if (pilotId === null) return "has not connected";
  if (!connected) return `✗ silent ${formatDuration(silentSeconds ?? 0)}`;
  return draining ? "… connected, draining" : "✓ connected";
}

function capacityFields(pilot: PilotDetail): (readonly [string, string])[] {
  const { capacity, slots, walltimeLeftSeconds } = pilot;
  if (capacity === null) return [];
  const { cpus, memoryBytes, scratchBytes, gpus, runtimes, sources } = capacity;
  const from = (name: string): string =>
    sources[name] === undefined ? "" : ` (${neutralise(sources[name])})`;
  const [slot] = slots;
  const slotText =
    slot === undefined
      ? "none"
      : `${slots.length} of ${slot.cpus} ${slot.cpus === 1 ? "CPU" : "CPUs"}, ${mebibytes(slot.memoryBytes)}${slot.gpus.length > 0 ? `, ${slot.gpus.length} GPUs` : ""}`;
  return [
    ["Slots", slotText],
    ["CPUs", `${cpus}${from("cpus")}`],
    ["Memory", `${mebibytes(memoryBytes)}${from("memory")}`],
    ["GPUs", `${gpus.map(({ model }) => neutralise(model)).join(", ") || "none"}${from("gpus")}`],
    ["Scratch", `${formatBytes(scratchBytes)} free at its start`],
    ["Runtimes", neutralise(runtimes.join(", "))],
    [
      "Walltime",
      walltimeLeftSeconds === null
        ? `not known${from("walltime")}`
        : `${formatDuration(walltimeLeftSeconds)} left${from("walltime")}`,
    ],
  ];
}

/** As queues state memory. */
function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1_048_576)} MiB`;
}

/** `site pilot logs`. */
export const runLogs: Run = async ({ args, options, context }) => {
  const { output } = context;
  const id = args[0] ?? "";
  const answer = await (await context.api()).call("pilotOutput", { params: { id } });
  if (output.json) output.item("PilotOutput", answer);
  else if (output.stdout.isTty && !flagOption(options, "raw"))
    for (const line of answer.output.trimEnd().split("\n")) output.data(logLine(line));
  else output.data(neutraliseLines(answer.output).trimEnd());
  return EXIT.success;
};

async function end({ args, context }: Invocation, kill: boolean): Promise<ExitCode> {
  const { output } = context;
  const api = await context.api();
  const ended = [];
  for (const id of args) {
    const answer = await api.call("endPilot", { params: { id }, body: { kill } });
    ended.push({ id, ...answer });
    if (!output.json) output.data(`${neutralise(id)}: ${neutralise(answer.said)}.`);
  }
  if (output.json) output.items("PilotEndList", ended);
  output.talk("Next  hyperpilot site pilots");
  return EXIT.success;
}

/** `site pilot drain` and `site pilot kill`. */
export const runDrain: Run = (invocation) => end(invocation, false);
export const runKill: Run = (invocation) => end(invocation, true);
