/** `task metrics`, `task checkpoint`: files of points, downloaded and checked. */
import { resolve } from "node:path";
import { EXIT, type ExitCode } from "../../../protocol/errors.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import type { LeaseFileKind } from "../../../protocol/routes.ts";
import type { Invocation, Run } from "../../command.ts";
import { textOption } from "../../option-values.ts";
import { pointFiles, savePointFile } from "../../point-files.ts";
import { findTask } from "../../selector.ts";

export const runMetrics: Run = (invocation) =>
  download(invocation, "metrics", "name their file with --evaluationMetrics when you submit");

export const runCheckpoint: Run = (invocation) =>
  download(invocation, "checkpoint", "final points keep theirs with --checkPointKeep");

interface Downloaded {
  readonly pointId: string;
  readonly file: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

async function download(
  { args, options, context }: Invocation,
  kind: LeaseFileKind,
  remedy: string,
): Promise<ExitCode> {
  const { output, workingDirectory } = context;
  const api = await context.api();
  const taskId = await findTask(api, args[0] ?? "");
  const directory = resolve(workingDirectory, textOption(options, "to") ?? ".");
  const done: Downloaded[] = [];
  let sumBytes = 0;
  for await (const one of pointFiles(api, taskId, kind, args[1])) {
    const file = await savePointFile(api, one, directory);
    sumBytes += one.blob.sizeBytes;
    done.push({ pointId: one.pointId, file, ...one.blob });
    if (!output.json) output.data(file);
  }
  if (output.json) output.items("DownloadedFileList", done);
  else if (done.length === 0) output.talk(`No ${kind}: ${remedy}.`);
  else output.talk(`${done.length} files, ${formatBytes(sumBytes)}, checksums right.`);
  return EXIT.success;
}
