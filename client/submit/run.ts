import type { Run } from "../command.ts";
import { flagOption, textOption } from "../option-values.ts";
import { sendTask } from "./send.ts";
import { specificationOf } from "./specification.ts";

/** `hyperpilot submit`. */
export const run: Run = ({ options, context }) =>
  sendTask(context, {
    spec: specificationOf(options, context.workingDirectory),
    filesDirectory: textOption(options, "files") ?? ".",
    wait: flagOption(options, "wait"),
  });
