/** `hyperpilot init`. */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { basename, join, relative, resolve } from "node:path";
import { EXIT, HyperpilotError, errorText, systemErrorCode } from "../../../protocol/errors.ts";
import { PAYLOAD_PATH } from "../../../protocol/host-paths.ts";
import type { Run } from "../../command.ts";
import type { Context } from "../../context.ts";
import { neutralise } from "../../format.ts";
import { findInPath } from "../../here/program-to-run.ts";
import { askPython } from "../../here/python.ts";
import { pathsToShow } from "../../here/readable-paths.ts";
import { shellWord } from "../../here/shell-words.ts";
import { SPACE_FILE, TRAINING_FILE, taskFile, type TemplatePython } from "./templates.ts";

export const run: Run = async ({ args, context }) => {
  const { output, workingDirectory } = context;
  const directory = resolve(workingDirectory, args[0] ?? ".");
  const python = await pythonOf(context);
  const files: readonly (readonly [string, string])[] = [
    ["search.toml", taskFile(basename(directory) || "first-search", python)],
    ["space.json", SPACE_FILE],
    ["train.py", TRAINING_FILE],
  ];
  writeAll(directory, files);
  if (output.json) {
    output.item("Init", { directory, files: files.map(([name]) => name) });
    return EXIT.success;
  }
  const names = files.map(([name]) => name);
  const where = relative(workingDirectory, directory);
  const place = where === "" ? "" : ` in ${neutralise(directory)}`;
  output.data(`✓ Wrote ${names.slice(0, -1).join(", ")} and ${names.at(-1) ?? ""}${place}.`);
  const shown = python.readOnlyPaths.map((path) => ` --readOnlyPath ${shellWord(path)}`).join("");
  const steps = [
    ...(where === "" ? [] : [[`cd ${shellWord(where)}`, ""]]),
    ["hyperpilot submit --task search.toml --try", "one point of it, here"],
    [`hyperpilot up${shown}`, "a server, in another terminal"],
    ["hyperpilot submit --task search.toml --wait", "the search"],
  ] as const;
  const width = Math.max(...steps.map(([line]) => line.length));
  output.talk(
    steps
      .map(([line, what], index) =>
        `${index === 0 ? "Next" : "    "}  ${line.padEnd(width)}  ${what}`.trimEnd(),
      )
      .join("\n"),
  );
  return EXIT.success;
};

/** `python3` where the sandbox has one of its own, otherwise the person's with what must be shown for it. Errors: E_FILE. */
async function pythonOf({ environment, homeDirectory }: Context): Promise<TemplatePython> {
  if (findInPath("python3", { PATH: PAYLOAD_PATH }) !== null)
    return { command: "python3", readOnlyPaths: [] };
  const python = await askPython(findInPath("python3", environment) ?? "python3", null);
  const readOnlyPaths = pathsToShow(python.readOnlyPaths, homeDirectory);
  return { command: shellWord(python.executable), readOnlyPaths };
}

/** All files or none. Errors: E_CONFLICT with what exists, E_FILE. */
function writeAll(directory: string, files: readonly (readonly [string, string])[]): void {
  const existing = files.map(([name]) => name).filter((name) => existsSync(join(directory, name)));
  if (existing.length > 0) throw alreadyThere(directory, existing);
  const written: string[] = [];
  try {
    mkdirSync(directory, { recursive: true });
    for (const [name, text] of files) {
      const path = join(directory, name);
      // A link that leads nowhere is not followed, and a file that came meanwhile stays.
      writeFileSync(path, text, { flag: "wx" });
      written.push(path);
    }
  } catch (error) {
    for (const path of written) rmSync(path, { force: true });
    if (systemErrorCode(error) === "EEXIST")
      throw alreadyThere(directory, [files[written.length]?.[0] ?? directory]);
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `The files cannot be written to ${directory}.`,
        why: errorText(error),
        remedy: "Name a directory that you may write to: hyperpilot init DIR",
      },
      error,
    );
  }
}

function alreadyThere(directory: string, names: readonly string[]): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFLICT",
    message: `Nothing was written: ${directory} has ${names.join(", ")} already.`,
    remedy: "Name another directory: hyperpilot init first-search",
  });
}
