import type { Run } from "../command.ts";
import { flagOption, textOption } from "../option-values.ts";
import { sendTask, tellNotes } from "./send.ts";
import { specificationNotes, specificationOf } from "./specification.ts";

/** `hyperpilot submit`. */
export const run: Run = ({ options, context }) => {
  const spec = specificationOf(options, context.workingDirectory);
  tellNotes(context.output, specificationNotes(spec));
  return sendTask(context, {
    spec,
    filesDirectory: textOption(options, "files") ?? ".",
    wait: flagOption(options, "wait"),
  });
};
