import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";
import { parseJsonText } from "../../../protocol/json-text.ts";
import { TASK } from "../../../protocol/limits.ts";
import { API_VERSION } from "../../../protocol/version.ts";
import type { Api } from "../../api.ts";
import type { Run } from "../../command.ts";
import { type PointFile, pointFiles, readPointFile } from "../../point-files.ts";
import { findTask } from "../../selector.ts";

/** `task metadata`: one JSON document, written as it comes; each point's text as its evaluation wrote it. */
export const run: Run = async ({ args, context }) => {
  const { output } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  let points = 0;
  let damaged = 0;
  output.raw(output.json ? `{"apiVersion":"${API_VERSION}","kind":"Metadata","item":{` : "{");
  for await (const file of pointFiles(api, taskId, "metadata", args[1])) {
    const text = await metadataOf(api, file).catch((error: unknown) => {
      if (!(error instanceof HyperpilotError)) throw error;
      output.talk(`warning: point ${file.pointId} is left out: ${error.message}`);
      damaged += 1;
      return null;
    });
    if (text === null) continue;
    output.raw(`${points === 0 ? "" : ","}\n${JSON.stringify(file.pointId)}: ${text}`);
    points += 1;
  }
  output.raw(`${points === 0 ? "" : "\n"}${output.json ? "}}" : "}"}\n`);
  if (points + damaged === 0)
    output.talk("No metadata: name their file with --evaluationMeta when you submit.");
  return damaged === 0 ? EXIT.success : EXIT.failed;
};

/** What may not be ASCII in JSON stands within strings, so it can be written for every terminal and every reader alike. */
async function metadataOf(api: Api, file: PointFile): Promise<string> {
  const text = (await readPointFile(api, file)).toString("utf8");
  const name = `metadata of point ${file.pointId}`;
  const { type, raw } = parseJsonText(text, { name, bytesMax: TASK.metadataBytesMax });
  if (type !== "object")
    throw new HyperpilotError({ code: "E_JSON", message: `${name}: no object` });
  return raw.replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
