/** The file of --segmentSpecFile: the searches of a segmented task. */
import { didYouMean } from "../../protocol/did-you-mean.ts";
import { HyperpilotError } from "../../protocol/errors.ts";
import { parseJsonText, placeOf, type JsonNode } from "../../protocol/json-text.ts";
import { TASK, USER_JSON } from "../../protocol/limits.ts";
import { Segment } from "../../protocol/task.ts";
import { readUserFile } from "../user-file.ts";

const EXAMPLE = 'Write [{"name": "a", "files": ["f1.h5", "f2.h5"]}, {"name": "b", ...}].';
/** `id` is panda-client's own mark. */
const IGNORED = ["id"];

/** Errors: E_FILE; E_JSON with `file:line:column`. */
export function readSegments(file: string, workingDirectory: string): readonly Segment[] {
  const text = readUserFile(file, workingDirectory, USER_JSON.bytesMax);
  const wrong = (node: Pick<JsonNode, "start">, what: string, remedy = EXAMPLE): HyperpilotError =>
    new HyperpilotError({
      code: "E_JSON",
      message: `${placeOf(text, node.start, file)} ${what}.`,
      remedy,
    });
  const root = parseJsonText(text, { name: file });
  if (root.type !== "array" || root.items.length === 0) throw wrong(root, "is no list of segments");
  if (root.items.length > TASK.segmentsMax)
    throw wrong(root, `has ${root.items.length} segments, at most ${TASK.segmentsMax} are taken`);
  const names = new Set<string>();
  return root.items.map((item) => {
    const segment = readSegment(item, wrong);
    if (names.has(segment.name))
      throw wrong(
        item,
        `names segment "${segment.name}" again`,
        "Give each segment a name of its own.",
      );
    names.add(segment.name);
    return segment;
  });
}

type Wrong = (node: Pick<JsonNode, "start">, what: string, remedy?: string) => HyperpilotError;

function readSegment(item: JsonNode, wrong: Wrong): Segment {
  if (item.type !== "object") throw wrong(item, "is no segment");
  const known = Object.keys(Segment.shape);
  const values: Record<string, unknown> = {};
  for (const { key, keyStart, value } of item.members) {
    if (IGNORED.includes(key)) continue;
    if (!known.includes(key)) {
      const near = didYouMean(key, known);
      throw wrong(
        { start: keyStart },
        `segment has an unknown member "${key}"`,
        near === null ? `Known are: ${known.join(", ")}.` : `Did you mean "${near}"?`,
      );
    }
    values[key] = key === "name" ? textOf(value, wrong) : textsOf(value, wrong);
  }
  const parsed = Segment.safeParse(values);
  if (parsed.success) {
    const { files, datasets } = parsed.data;
    if (files.length > 0 && datasets.length > 0)
      throw wrong(
        item,
        "segment has both files and datasets",
        'Write one of "files" and "datasets".',
      );
    return parsed.data;
  }
  const issue = parsed.error.issues[0];
  if (values["name"] === undefined) throw wrong(item, 'segment has no "name"');
  throw wrong(
    item,
    `segment is wrong: ${(issue?.path ?? []).join(".")} ${issue?.message ?? ""}`.trim(),
  );
}

function textOf(node: JsonNode, wrong: Wrong): string {
  if (node.type !== "string") throw wrong(node, "must be a text");
  return node.value;
}

function textsOf(node: JsonNode, wrong: Wrong): string[] {
  if (node.type !== "array") throw wrong(node, "must be a list of texts");
  return node.items.map((one) => textOf(one, wrong));
}
