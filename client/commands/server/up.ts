import { join, resolve } from "node:path";
import { EXIT } from "../../../protocol/errors.ts";
import type { OptionValues, Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { countOption, textOption, textsOption } from "../../option-values.ts";
import { tellForeignPhpo } from "../../phpo-path.ts";
import { logDirectory, whileUp } from "../../up/while-up.ts";

/** `hyperpilot up`: runs until a signal comes, or until a program cannot be kept running. */
export const run: Run = async ({ options, context }) => {
  const data = resolve(context.workingDirectory, context.dataDirectory);
  const request = {
    context,
    data,
    port: countOption(options, "port", 0) ?? null,
    serverArguments: serverArguments(options),
    environment: {},
    endingSentence: "Ending pilots, harvester and server ...",
  };
  await whileUp(request, async ({ url, signal }) => {
    tellReady(context, url, data);
    if (!signal.aborted)
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  });
  return EXIT.success;
};

function serverArguments(options: OptionValues): string[] {
  const host = textOption(options, "host");
  const paths = textsOption(options, "readOnlyPath");
  return [
    ...(host === undefined ? [] : ["--host", host]),
    ...paths.flatMap((path) => ["--readOnlyPath", resolve(path)]),
  ];
}

function tellReady(context: Context, url: string, data: string): void {
  const { output, homeDirectory } = context;
  if (output.json) {
    output.item("Up", { server: url, dataDirectory: data, pid: process.pid });
    return;
  }
  const isDefault = data === join(homeDirectory, ".local", "share", "hyperpilot");
  output.data(
    `✓ Hyperpilot listens on ${url}, data in ${data}, logs in ${logDirectory(data)}. Ctrl-C ends it.`,
  );
  const setting = isDefault ? "" : `export HYPERPILOT_DATA=${data}; `;
  output.talk(
    `Next  in another terminal: ${setting}hyperpilot submit --space space.json --exec "python3 train.py"`,
  );
  tellForeignPhpo(context);
}
