import type { Run } from "../../command.ts";
import { findTask } from "../../selector.ts";
import { followTask } from "../../watch/follow.ts";

export const run: Run = async ({ args, context }) => {
  const api = await context.api();
  return followTask(context, api, await findTask(api, args[0] ?? ""));
};
