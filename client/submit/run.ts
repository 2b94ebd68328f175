import type { Run } from "../command.ts";
import { flagOption, textOption } from "../option-values.ts";
import { sendTask, tellNotes } from "./send.ts";
import { specificationNotes, specificationOf } from "./specification.ts";

/** `hyperpilot submit`. */
export const run: Run = async ({ options, context }) => {
  const spec = specificationOf(options, context.workingDirectory);
  tellNotes(context.output, specificationNotes(spec));
  const filesDirectory = textOption(options, "files") ?? ".";
  if (!flagOption(options, "try"))
    return sendTask(context, { spec, filesDirectory, wait: flagOption(options, "wait") });
  const { tryTask } = await import("../here/try.ts");
  return tryTask(context, { spec, filesDirectory, furtherFiles: [], readOnlyPaths: [], shown: "" });
};
