import { EXIT } from "../../../protocol/errors.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import { TASK_STATES } from "../../../protocol/states.ts";
import type { Run } from "../../command.ts";
import { writeFields } from "../../fields.ts";
import { formatAgo, neutralise } from "../../format.ts";

/** Ends with 1 when a check is not good. */
export const run: Run = async ({ context }) => {
  const { output, clock } = context;
  const status = await (await context.api()).call("status", {});
  const bad = status.checks.filter((check) => !check.ok);
  const exit = bad.length === 0 ? EXIT.success : EXIT.failed;
  if (output.json) {
    output.item("Status", status);
    return exit;
  }
  const tasks = TASK_STATES.filter((state) => status.tasks[state] > 0).map(
    (state) => `${state} ${status.tasks[state]}`,
  );
  writeFields(output, [
    [
      "Server",
      `version ${neutralise(status.version)}, started ${output.stdout.isTty ? formatAgo(status.startedAt, clock.wallMs()) : status.startedAt}`,
    ],
    ["Data", neutralise(status.dataDirectory)],
    ["Journal", `event ${status.journal.seq}, incarnation ${status.journal.incarnation}`],
    ["Tasks", tasks.join(", ") || "none"],
    ["Points", String(status.points)],
    [
      "Peers",
      `${status.pilots} pilots, ${status.harvesters} harvesters, ${status.sessions} sessions`,
    ],
    [
      "Load",
      `${status.inboxItems} messages waiting, event loop ${status.eventLoopLagMsP99.toFixed(1)} ms, sync ${status.syncMsP99.toFixed(1)} ms (99 %)`,
    ],
    ["Memory", formatBytes(status.memoryBytes)],
    ...status.checks.map((check) => {
      const mark = check.ok ? output.paint("good", "✓") : output.paint("bad", "✗");
      const remedy = check.ok ? "" : ` Do: ${neutralise(check.remedy)}`;
      return [neutralise(check.name), `${mark} ${neutralise(check.detail)}${remedy}`] as const;
    }),
  ]);
  return exit;
};
