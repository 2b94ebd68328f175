/** `site nodes`, `site node`, `site errors` and `site trace`. */
import { EXIT, type ExitCode } from "../../../protocol/errors.ts";
import type { ErrorGroup, NodeView, TraceEntry } from "../../../protocol/site.ts";
import type { Invocation, OptionValues, Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { formatAgo, formatDuration, neutralise } from "../../format.ts";
import { flagOption, textOption } from "../../option-values.ts";
import type { Output } from "../../output.ts";
import { writeTable, type Column } from "../../table.ts";
import { parseDuration, parseMoment } from "../../time-text.ts";
import { labelled } from "../../wrap.ts";

const SINCE = "24h";
/** The most frequent ones, below the table. */
const EXAMPLES_SHOWN = 5;

function nodeColumns(nowMs: number): readonly Column<NodeView>[] {
  const number = (title: string, of: (node: NodeView) => number): Column<NodeView> => ({
    title,
    only: "programs",
    text: (node) => String(of(node)),
  });
  return [
    { title: "NODE", shrinks: true, text: ({ node }) => node },
    { title: "QUEUE", shrinks: true, text: ({ queue }) => queue || "-" },
    {
      title: "STATE",
      tone: (node) => (node.drained ? "bad" : node.reason === "" ? "good" : "busy"),
      text: (node) => (node.drained ? "✗ drained" : node.reason === "" ? "✓ good" : "! suspect"),
      plain: (node) => (node.drained ? "drained" : node.reason === "" ? "good" : "suspect"),
    },
    { title: "PILOTS", align: "right", text: ({ pilots }) => String(pilots) },
    {
      title: "OK/FAILED/LOST",
      align: "right",
      only: "people",
      text: ({ losses, failures, interruptions }) => `${losses}/${failures}/${interruptions}`,
    },
    number("LOSSES", ({ losses }) => losses),
    number("FAILED", ({ failures }) => failures),
    number("INTERRUPTED", ({ interruptions }) => interruptions),
    {
      title: "LAST",
      text: ({ lastAt }) => (lastAt === null ? "-" : formatAgo(lastAt, nowMs)),
      plain: ({ lastAt }) => lastAt ?? "",
    },
    {
      title: "WHY",
      shrinks: true,
      text: ({ reason }) => reason || "-",
      plain: ({ reason }) => reason,
    },
  ];
}

/** `site nodes`. */
export const runNodes: Run = async ({ options, context }) => {
  const { output, clock } = context;
  const nowMs = clock.wallMs();
  const bad = flagOption(options, "bad");
  const query = {
    since: sinceOf(options, nowMs),
    ...queueOf(options),
    bad: bad ? "true" : "false",
  } as const;
  const answer = await (await context.api()).call("listNodes", { query });
  if (output.json) {
    output.items("NodeList", answer.items, { since: answer.since, truncated: answer.truncated });
    return EXIT.success;
  }
  const empty = bad ? "No node is drained or suspected." : "No node was seen in this time.";
  writeTable(output, nodeColumns(nowMs), answer.items, empty);
  if (output.stdout.isTty)
    for (const { node, queue, reason } of answer.items.filter((one) => one.reason !== ""))
      tellBelow(output, `${node}, ${queue}`, reason);
  tellScan(output, answer, nowMs);
  return EXIT.success;
};

async function drain({ args, options, context }: Invocation, drained: boolean): Promise<ExitCode> {
  const { output } = context;
  const node = args[0] ?? "";
  const queue = textOption(options, "queue");
  if (queue === undefined) {
    throw usageError(
      "It is not said of which queue the node is.",
      "Write --queue NAME: nodes of the same name may belong to several sites.",
    );
  }
  const reason = textOption(options, "reason") ?? "";
  await (await context.api()).call("drainNode", { body: { queue, node, drained, reason } });
  if (output.json) output.item("Node", { queue, node, drained });
  else
    output.data(
      drained
        ? `Node ${neutralise(node)} gets no further work; what runs there ends by itself.`
        : `Node ${neutralise(node)} gets work again from the next pilot on.`,
    );
  output.talk(`Next  hyperpilot site nodes --queue ${neutralise(queue)}`);
  return EXIT.success;
}

/** `site node drain` and `site node undrain`. */
export const runDrainNode: Run = (invocation) => drain(invocation, true);
export const runUndrainNode: Run = (invocation) => drain(invocation, false);

function errorColumns(nowMs: number): readonly Column<ErrorGroup>[] {
  return [
    { title: "COUNT", align: "right", text: (group) => String(group.count) },
    { title: "CAUSE", text: ({ cause }) => cause },
    { title: "NODE", shrinks: true, text: ({ node }) => node || "-" },
    { title: "QUEUE", shrinks: true, text: ({ queue }) => queue || "-" },
    { title: "TASKS", align: "right", text: (group) => String(group.tasks) },
    {
      title: "LAST",
      text: ({ lastAt }) => formatAgo(lastAt, nowMs),
      plain: ({ lastAt }) => lastAt,
    },
    { title: "EXAMPLE", only: "programs", text: ({ example }) => example ?? "" },
  ];
}

/** `site errors`. */
export const runErrors: Run = async ({ options, context }) => {
  const { output, clock } = context;
  const nowMs = clock.wallMs();
  const node = textOption(options, "node");
  const query = {
    since: sinceOf(options, nowMs),
    ...queueOf(options),
    ...(node === undefined ? {} : { node }),
  };
  const answer = await (await context.api()).call("listErrors", { query });
  if (output.json) {
    output.items("ErrorList", answer.items, { since: answer.since, truncated: answer.truncated });
    return EXIT.success;
  }
  writeTable(output, errorColumns(nowMs), answer.items, "No evaluation failed in this time.");
  if (output.stdout.isTty)
    for (const { cause, node, queue, lastTask, example } of answer.items.slice(0, EXAMPLES_SHOWN)) {
      const { taskId, pointId, owner } = lastTask;
      const words = example === null || example === "" ? "" : `: ${example}`;
      const which = `${cause}, ${node || "no node"}, ${queue || "no queue"}`;
      tellBelow(output, which, `point ${taskId}/${pointId} of ${owner}${words}`);
    }
  tellScan(output, answer, nowMs);
  return EXIT.success;
};

/** `site trace`. */
export const runTrace: Run = async ({ options, context }) => {
  const { output, clock } = context;
  const node = textOption(options, "node");
  const time = textOption(options, "time");
  if (node === undefined || time === undefined) {
    throw usageError(
      "A trace needs a node and a time.",
      'Write --node NAME --time "2026-01-31 14:05", for example.',
    );
  }
  const nowMs = clock.wallMs();
  const around = parseDuration(textOption(options, "around") ?? "1min", "around");
  const query = { node, time: parseMoment(time, "time", nowMs), around };
  const answer = await (await context.api()).call("trace", { query });
  if (output.json) {
    output.items("TraceList", answer.items, { since: answer.since, truncated: answer.truncated });
    return EXIT.success;
  }
  writeTable(output, TRACE, answer.items, await noTrace(context, node, query.time));
  if (answer.truncated) output.talk("There may be more: ask for a shorter time, --around.");
  return EXIT.success;
};

const TRACE: readonly Column<TraceEntry>[] = [
  { title: "ITEM", text: ({ item }) => item },
  { title: "OWNER", shrinks: true, text: ({ owner }) => owner },
  { title: "QUEUE", shrinks: true, text: ({ queue }) => queue || "-" },
  { title: "PILOT", shrinks: true, text: ({ pilotId }) => pilotId },
  { title: "SLOT", align: "right", text: ({ slot }) => String(slot) },
  {
    title: "FROM",
    text: ({ startedAt }) => clockOf(startedAt),
    plain: ({ startedAt }) => startedAt,
  },
  {
    title: "TO",
    text: ({ endedAt }) => (endedAt === null ? "-" : clockOf(endedAt)),
    plain: ({ endedAt }) => endedAt ?? "",
  },
  { title: "HOW", text: ({ how }) => how },
];

/** "01-31 14:05:09Z" of an ISO time. */
function clockOf(iso: string): string {
  return `${iso.slice(5, 10)} ${iso.slice(11, 19)}Z`;
}

/** A name that is not quite that of the node answers nothing. */
async function noTrace(context: Context, node: string, time: string): Promise<string> {
  const { items } = await (await context.api()).call("listNodes", {});
  const names = items.map((one) => one.node);
  const known = names.includes(node)
    ? ""
    : ` Nodes of the last day: ${names.slice(0, 10).join(", ") || "none"}.`;
  return `Nothing ran on ${neutralise(node)} at ${time}.${neutralise(known)}`;
}

/** What does not fit into a table, below it. */
function tellBelow(output: Output, which: string, what: string): void {
  output.data("");
  output.data(output.paint("strong", neutralise(which)));
  const width = Math.min(output.stdout.columns, 120);
  for (const line of labelled("  ", neutralise(what), width)) output.data(line);
}

function sinceOf(options: OptionValues, nowMs: number): string {
  return parseMoment(textOption(options, "since") ?? SINCE, "since", nowMs);
}

function queueOf(options: OptionValues): { readonly queue?: string } {
  const queue = textOption(options, "queue");
  return queue === undefined ? {} : { queue };
}

function tellScan(
  output: Output,
  { since, truncated }: { readonly since: string; readonly truncated: boolean },
  nowMs: number,
): void {
  const seconds = (nowMs - Date.parse(since)) / 1_000;
  output.talk(`In the last ${formatDuration(seconds)}; another time: --since 2h`);
  if (truncated) output.talk("There may be more: ask for a shorter time, or for one --queue.");
}
