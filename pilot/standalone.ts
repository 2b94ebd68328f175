/** The pilot as a program of its own, without the client: what `npm run pack-pilot` bundles into one file. */
import { HyperpilotError, errorText } from "../protocol/errors.ts";
import { VERSION } from "../protocol/version.ts";
import { runPilot } from "./main.ts";

const [option, bootFile] = process.argv.slice(2);
if (option === "--version") {
  process.stdout.write(`hyperpilot pilot ${VERSION}\n`);
} else if (option !== "--boot" || bootFile === undefined) {
  process.stderr.write("usage: pilot --boot FILE\n");
  process.exitCode = 2;
} else {
  try {
    process.exitCode = await runPilot({ bootFile });
  } catch (error) {
    const parts =
      error instanceof HyperpilotError
        ? [error.message, error.why, error.remedy]
        : [errorText(error)];
    process.stderr.write(`error: ${parts.filter((part) => part !== undefined).join(" ")}\n`);
    process.exitCode = error instanceof HyperpilotError ? error.exitCode : 1;
  }
}
