/** Search spaces of a task's segments: one object for all of them, or hpogrid's list of one per segment. */
import { HyperpilotError } from "./errors.ts";
import { memberOf, parseJsonText, placeOf, type JsonNode } from "./json-text.ts";
import { TASK } from "./limits.ts";
import { readSearchSpace, type Parameter } from "./search-space.ts";

export interface SearchSpaces {
  /** One per segment; one for a task without segments. */
  readonly spaces: readonly (readonly Parameter[])[];
  readonly warnings: readonly string[];
}

/** `segments`: how many the task has, 0 when it is not segmented. Errors: E_JSON, E_SEARCH_SPACE, each with its place. */
export function parseSearchSpaces(text: string, segments: number, fileName: string): SearchSpaces {
  const root = parseJsonText(text, { name: fileName, bytesMax: TASK.searchSpaceBytesMax });
  if (segments > 0 && root.type === "array")
    return new SpaceListReader(text, fileName).spaces(root.items, segments);
  const { parameters, warnings } = readSearchSpace(root, text, fileName);
  return { spaces: Array.from({ length: Math.max(1, segments) }, () => parameters), warnings };
}

/** Whether the text is a list, which steering containers get as it is. */
export function isSpaceList(text: string): boolean {
  return text.trimStart().startsWith("[");
}

class SpaceListReader {
  private readonly text: string;
  private readonly fileName: string;

  constructor(text: string, fileName: string) {
    this.text = text;
    this.fileName = fileName;
  }

  spaces(items: readonly JsonNode[], segments: number): SearchSpaces {
    const found = new Map<number, readonly Parameter[]>();
    const warnings: string[] = [];
    for (const item of items) {
      const id = this.modelId(item, segments);
      if (found.has(id)) throw this.wrong(item.start, `model_id ${id} is there twice`);
      const node = memberOf(item, "search_space");
      if (node === undefined) throw this.wrong(item.start, `model_id ${id} has no search_space`);
      const space = readSearchSpace(node, this.text, this.fileName);
      found.set(id, space.parameters);
      warnings.push(...space.warnings);
    }
    const spaces = Array.from({ length: segments }, (_, id) => found.get(id));
    const missing = spaces.indexOf(undefined);
    if (missing >= 0) throw this.wrong(0, `segment ${missing} has no entry with its model_id`);
    return { spaces: spaces.filter((space) => space !== undefined), warnings };
  }

  private modelId(item: JsonNode, segments: number): number {
    const node = memberOf(item, "model_id");
    if (node?.type !== "number") throw this.wrong(item.start, "an entry has no number model_id");
    if (Number.isInteger(node.value) && node.value >= 0 && node.value < segments) return node.value;
    const range = `the task has ${segments} segments, 0 to ${segments - 1}`;
    throw this.wrong(node.start, `model_id ${node.raw} is no segment: ${range}`);
  }

  private wrong(offset: number, what: string): HyperpilotError {
    return new HyperpilotError({
      code: "E_SEARCH_SPACE",
      message: `${placeOf(this.text, offset, this.fileName)} ${what}`,
      remedy:
        'Write one object for all segments, or [{"model_id": 0, "search_space": {...}}, ...] with each segment once.',
    });
  }
}
