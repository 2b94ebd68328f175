import { EXIT } from "../../../protocol/errors.ts";
import type { TaskSummary } from "../../../protocol/rest.ts";
import { TASK_STATES, type TaskState } from "../../../protocol/states.ts";
import type { Run } from "../../command.ts";
import { formatAgo, formatLoss } from "../../format.ts";
import { countOption, flagOption, textOption } from "../../option-values.ts";
import { writeTable, type Column } from "../../table.ts";
import { endedPoints, stateText, stateTone } from "../../words.ts";

export const run: Run = async ({ options, context }) => {
  const { output } = context;
  const api = await context.api();
  const state = TASK_STATES.find((one) => one === textOption(options, "state"));
  const query: { limit: number; state?: TaskState; all?: "true" } = {
    limit: countOption(options, "limit") ?? 100,
  };
  if (state !== undefined) query.state = state;
  if (flagOption(options, "all")) query.all = "true";
  const { items, nextCursor } = await api.call("listTasks", { query });
  if (output.json) {
    output.items("TaskList", items, { nextCursor });
    return EXIT.success;
  }
  writeTable(
    output,
    columns(context.clock.wallMs()),
    items,
    "No tasks. Submit one: hyperpilot submit --help",
  );
  if (nextCursor !== null) output.talk(`Only the newest ${items.length}; more with --limit.`);
  return EXIT.success;
};

function columns(nowMs: number): readonly Column<TaskSummary>[] {
  return [
    { title: "TASK", text: (task) => String(task.taskId) },
    { title: "NAME", shrinks: true, text: (task) => task.name },
    {
      title: "STATE",
      tone: (task) => stateTone(task.state),
      text: (task) => stateText(task.state),
      plain: (task) => task.state,
    },
    {
      title: "POINTS",
      align: "right",
      text: (task) => `${endedPoints(task.points)}/${task.maxPoints}`,
    },
    {
      title: "BEST",
      align: "right",
      text: (task) => (task.best === null ? "-" : formatLoss(task.best.loss)),
      plain: (task) => (task.best === null ? "" : String(task.best.loss)),
    },
    { title: "OWNER", shrinks: true, text: (task) => task.owner },
    {
      title: "SUBMITTED",
      text: (task) => formatAgo(task.createdAt, nowMs),
      plain: (task) => task.createdAt,
    },
  ];
}
