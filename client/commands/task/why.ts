import { EXIT } from "../../../protocol/errors.ts";
import type { WhyAnswer } from "../../../protocol/rest.ts";
import type { Run } from "../../command.ts";
import { neutralise } from "../../format.ts";
import { findTask } from "../../selector.ts";
import { writeTable, type Column } from "../../table.ts";

type Look = WhyAnswer["queues"][number];

const COLUMNS: readonly Column<Look>[] = [
  { title: "QUEUE", text: (queue) => queue.name },
  { title: "STATE", text: (queue) => queue.state },
  { title: "PILOTS", align: "right", text: (queue) => String(queue.pilots) },
  { title: "SLOTS", align: "right", text: (queue) => String(queue.slots) },
  { title: "FREE", align: "right", text: (queue) => String(queue.freeSlots) },
  {
    title: "LACKS",
    shrinks: true,
    tone: (queue) => (queue.lacks.length === 0 ? "good" : "bad"),
    text: (queue) => (queue.lacks.length === 0 ? "✓ nothing" : queue.lacks.join("; ")),
    plain: (queue) => queue.lacks.join("; "),
  },
];

export const run: Run = async ({ args, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const why = await api.call("why", { params: { taskId } });
  if (output.json) {
    output.item("Why", { taskId, ...why });
    return EXIT.success;
  }
  // In a pipe the sentence is the data; the queues of a program are in --json.
  output.data(neutralise(why.sentence));
  if (output.stdout.isTty) {
    output.data("");
    writeTable(output, COLUMNS, why.queues, "There is no queue: hyperpilot site queue add --help");
    output.data("");
  }
  for (const warning of why.warnings) output.talk(`Warning: ${neutralise(warning)}`);
  output.talk(`Do    ${neutralise(why.remedy)}`);
  return EXIT.success;
};
