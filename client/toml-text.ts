/** TOML that people write: queues and tasks. The only importer of smol-toml. */
import { parse, TomlError } from "smol-toml";
import { HyperpilotError, errorText, type ErrorCode } from "../protocol/errors.ts";

/** A plain value. Errors: `code`, with `name:line:column`. */
export function parseTomlText(
  text: string,
  { name, code }: { readonly name: string; readonly code: ErrorCode },
): Readonly<Record<string, unknown>> {
  try {
    return parse(text);
  } catch (error) {
    const place = error instanceof TomlError ? `${name}:${error.line}:${error.column}` : name;
    throw new HyperpilotError(
      {
        code,
        message: `${place} ${errorText(error).split("\n", 1)[0] ?? ""}`,
        remedy: "Correct the file at that place and try again.",
      },
      error,
    );
  }
}
