/** `site why`: where a queue stops, why, and what to do. */
import { EXIT } from "../../../protocol/errors.ts";
import { HyperpilotError } from "../../../protocol/errors.ts";
import type { FunnelStage, QueueWhyAnswer } from "../../../protocol/site.ts";
import type { Run } from "../../command.ts";
import { neutralise } from "../../format.ts";
import type { Output } from "../../output.ts";
import type { Tone } from "../../style.ts";
import { labelled } from "../../wrap.ts";
import { writeCause } from "./cause-text.ts";
import { noSuchQueue } from "./named-queue.ts";

export const run: Run = async ({ args, context }) => {
  const { output } = context;
  const name = args[0] ?? "";
  const api = await context.api();
  let why: QueueWhyAnswer;
  try {
    why = await api.call("queueWhy", { params: { name } });
  } catch (error) {
    if (!(error instanceof HyperpilotError) || error.code !== "E_NOT_FOUND") throw error;
    throw await noSuchQueue(api, name);
  }
  if (output.json) output.item("QueueWhy", why);
  else writeWhy(output, why);
  return EXIT.success;
};

const MARKS: Readonly<Record<FunnelStage["status"], readonly [string, Tone]>> = {
  ok: ["✓", "good"],
  warning: ["!", "busy"],
  waits: ["…", "busy"],
  broken: ["✗", "bad"],
  notReached: ["·", "faint"],
};
const STAGE_WIDTH = 9;

function writeWhy(output: Output, why: QueueWhyAnswer): void {
  const { isTty, columns } = output.stdout;
  if (!isTty) {
    for (const { stage, status, sentence, details } of why.stages)
      output.data([stage, status, neutralise(sentence), ...details.map(neutralise)].join("\t"));
    if (why.cause !== null) writeCause(output, why.cause, why.output);
    return;
  }
  const width = Math.min(columns, 120);
  const title = `Queue ${why.name} (${why.kind}, site ${why.site}, ${why.state}): ${why.sentence}`;
  for (const line of labelled("", neutralise(title), width)) output.data(line);
  output.data("");
  for (const { stage, status, sentence, details } of why.stages) {
    const [mark, tone] = MARKS[status];
    const label = `  ${mark} ${stage.padEnd(STAGE_WIDTH)}  `;
    const [first = "", ...others] = labelled(label, neutralise(sentence), width);
    output.data(output.paint(tone, first.slice(0, label.length)) + first.slice(label.length));
    for (const line of others) output.data(line);
    for (const detail of details)
      output.data(labelled(" ".repeat(label.length), neutralise(detail), width).join("\n"));
  }
  if (why.cause === null && why.output === "") return;
  output.data("");
  writeCause(output, why.cause, why.output);
}
