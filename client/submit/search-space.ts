/** Checks of the search space that need no server: that of the task, or of each segment. */
import { HyperpilotError } from "../../protocol/errors.ts";
import { memberOf, parseJsonText } from "../../protocol/json-text.ts";
import { TASK } from "../../protocol/limits.ts";
import { parseSearchSpace } from "../../protocol/search-space.ts";
import type { TaskSpecification } from "../../protocol/task.ts";

/** A list holds one space per segment, bare or as `{"model_id": 0, "search_space": {...}}`. Errors: E_JSON, E_SEARCH_SPACE. */
export function checkSearchSpace(spec: TaskSpecification, name: string): void {
  const { searchSpace, segments } = spec;
  if (segments.length === 0 || !searchSpace.trimStart().startsWith("[")) {
    parseSearchSpace(searchSpace, name);
    return;
  }
  const root = parseJsonText(searchSpace, { name, bytesMax: TASK.searchSpaceBytesMax });
  const items = root.type === "array" ? root.items : [];
  if (items.length !== segments.length) {
    throw new HyperpilotError({
      code: "E_SEARCH_SPACE",
      message: `${name} has ${items.length} search spaces for ${segments.length} segments.`,
      remedy: "Write one for each segment, in their order, or a single one for all.",
    });
  }
  for (const [index, item] of items.entries()) {
    const bare = memberOf(item, "search_space") ?? item;
    parseSearchSpace(bare.raw, `${name} (segment ${index})`);
  }
}
