/** A task in a file of its user's. */
import { dirname, resolve } from "node:path";
import { memberOf, parseJsonText, toValue } from "../../protocol/json-text.ts";
import { TASK, USER_JSON } from "../../protocol/limits.ts";
import { isSpaceText, spaceFromText } from "../../protocol/space-text.ts";
import { usageError } from "../errors.ts";
import { parseTomlText } from "../toml-text.ts";
import { readUserFile } from "../user-file.ts";

type Draft = Readonly<Record<string, unknown>>;

export interface TaskFile {
  readonly draft: Draft;
  /** What messages call its search space. */
  readonly searchSpaceName: string;
}

/**
 * Reads TOML where the name ends in .toml, otherwise JSON. Its search space may be a file beside it (`searchSpaceFile`) or one
 * line of text. Errors: E_FILE, E_JSON, E_SEARCH_SPACE, E_TASK_SPECIFICATION, E_USAGE.
 */
export function readTaskFile(file: string, workingDirectory: string): TaskFile {
  const { searchSpaceFile, ...draft } = file.endsWith(".toml")
    ? tomlDraft(file, workingDirectory)
    : jsonDraft(file, workingDirectory);
  const searchSpaceName = `${file}: searchSpace`;
  const { searchSpace } = draft;
  if (searchSpaceFile === undefined) {
    if (typeof searchSpace !== "string" || !isSpaceText(searchSpace))
      return { draft, searchSpaceName };
    const text = spaceFromText(searchSpace, searchSpaceName);
    return { draft: { ...draft, searchSpace: text }, searchSpaceName };
  }
  if (typeof searchSpaceFile !== "string" || searchSpace !== undefined) {
    throw usageError(
      `${file}: "searchSpaceFile" is not the name of a file, or there is a "searchSpace" as well.`,
      'Write searchSpaceFile = "space.json"; it is looked for beside the file.',
    );
  }
  const directory = dirname(resolve(workingDirectory, file));
  const text = readUserFile(searchSpaceFile, directory, TASK.searchSpaceBytesMax);
  return { draft: { ...draft, searchSpace: text }, searchSpaceName: searchSpaceFile };
}

function tomlDraft(file: string, workingDirectory: string): Draft {
  const code = "E_TASK_SPECIFICATION";
  const text = readUserFile(file, workingDirectory, USER_JSON.bytesMax);
  const value = parseTomlText(text, { name: file, code });
  // TOML's floats do not keep 1.0 apart from 1: a table could not be taken verbatim.
  if (typeof value["searchSpace"] !== "object") return value;
  throw usageError(
    `${file}: "searchSpace" is a table.`,
    'Write searchSpaceFile = "space.json", or searchSpace = "lr=log(1e-5,1e-1) batch=int(10,30)".',
  );
}

/** An object as `searchSpace` is taken verbatim, as if it were a file of its own. */
function jsonDraft(file: string, workingDirectory: string): Draft {
  const root = parseJsonText(readUserFile(file, workingDirectory, USER_JSON.bytesMax), {
    name: file,
  });
  if (root.type !== "object") {
    throw usageError(
      `${file} does not hold a task.`,
      'Write {"evaluation": {"exec": "..."}, "searchSpace": {...}, ...}.',
    );
  }
  const value = toValue(root) as Draft;
  const space = memberOf(root, "searchSpace");
  return space?.type === "object" ? { ...value, searchSpace: space.raw } : value;
}
