/** `hyperpilot server fsck`, `backup`, `restore`. */
import { resolve } from "node:path";
import { EXIT, HyperpilotError } from "../../../protocol/errors.ts";
import { formatBytes } from "../../../protocol/resources.ts";
import { createApi } from "../../api.ts";
import type { Invocation, Run } from "../../command.ts";
import { findConnection, readAccess } from "../../connection.ts";
import type { Context } from "../../context.ts";
import { usageError } from "../../errors.ts";
import { writeFields } from "../../fields.ts";
import { neutralise } from "../../format.ts";
import { textOption } from "../../option-values.ts";
import type { BackupProgress } from "../../programs.ts";
import { writeTable } from "../../table.ts";

const PROGRESS_MS = 2_000;

/** Ends with 1 when a check is not good. */
export const runFsck: Run = async ({ context }) => {
  const { output } = context;
  const data = resolve(context.workingDirectory, context.dataDirectory);
  const say = seldom(context);
  const report = await context.programs.fsck({ data, onProgress: (text) => say(() => text) });
  const exit = report.ok ? EXIT.success : EXIT.failed;
  if (output.json) {
    output.item("Fsck", report);
    return exit;
  }
  writeTable(
    output,
    [
      { title: "CHECK", text: ({ name }) => name },
      {
        title: "RESULT",
        text: ({ ok }) => (ok ? "good" : "BAD"),
        tone: ({ ok }) => (ok ? "good" : "bad"),
      },
      { title: "DETAIL", text: ({ detail }) => detail },
    ],
    report.checks,
    "Nothing was checked.",
  );
  for (const { name, ok, remedy } of report.checks)
    if (!ok) output.talk(`Do     ${name}: ${neutralise(remedy)}`);
  const { events, tasks, points } = report;
  output.talk(
    report.ok
      ? `✓ ${data} is good: ${events} events, ${tasks} tasks, ${points} points.`
      : `✗ ${data} is not good. Nothing was changed.`,
  );
  return exit;
};

export const runBackup: Run = async (invocation) => {
  const { context } = invocation;
  const to = pathOption(invocation, "to", "hyperpilot server backup --to FILE");
  const data = resolve(context.workingDirectory, context.dataDirectory);
  const stream = await streamOfRunning(invocation);
  const say = seldom(context);
  const report = await context.programs.backup({
    data,
    to,
    stream,
    onProgress: (progress) => say(() => progressText(progress)),
  });
  if (context.output.json) {
    context.output.item("Backup", report);
    return EXIT.success;
  }
  writeFields(context.output, [
    ["File", neutralise(report.file)],
    ["Size", formatBytes(report.sizeBytes)],
    ["Events", String(report.events)],
    ["Files", String(report.files)],
    ["Of", stream === null ? "a stopped server" : "a running server"],
  ]);
  if (report.gone > 0)
    context.output.talk(`${report.gone} blobs were deleted meanwhile and are not in it.`);
  context.output.talk("It holds the server's keys: keep it as private as the data directory.");
  return EXIT.success;
};

export const runRestore: Run = async (invocation) => {
  const { context, options } = invocation;
  const { output } = context;
  const example = "hyperpilot server restore --from FILE --data NEWDIR";
  const from = pathOption(invocation, "from", example);
  if (textOption(options, "data") === undefined)
    throw usageError("A restore needs --data: the directory to make.", example);
  const data = resolve(context.workingDirectory, context.dataDirectory);
  const say = seldom(context);
  const report = await context.programs.restore({
    from,
    data,
    onProgress: (progress) => say(() => progressText(progress)),
  });
  if (output.json) {
    output.item("Restore", report);
    return EXIT.success;
  }
  writeFields(output, [
    ["Data", neutralise(report.data)],
    ["Backup of", new Date(report.backupAtMs).toISOString()],
    ["Events", String(report.events)],
    ["Tasks", String(report.tasks)],
    ["Files", String(report.files)],
    ["Leases ended", String(report.leasesEnded)],
    ["Incarnation", String(report.incarnation)],
    ["Next task", String(report.nextTaskId)],
  ]);
  output.talk(`Next  hyperpilot server --data ${data}`);
  output.talk("Do not start the old server again: two servers would hand out the same points.");
  return EXIT.success;
};

/** The backup that a running server answers; null when none runs on this data directory. */
async function streamOfRunning({
  options,
  context,
}: Invocation): Promise<AsyncIterable<Uint8Array> | null> {
  const { dataDirectory, homeDirectory, environment } = context;
  const named = textOption(options, "server");
  // A directory that is named goes before a server that the environment names.
  const ofData = textOption(options, "data") === undefined ? undefined : readAccess(dataDirectory);
  if (named === undefined && ofData === null) return null;
  const server = named ?? ofData?.server;
  try {
    const connection = findConnection({ server, dataDirectory, homeDirectory, environment });
    const accept = "application/octet-stream";
    return (await createApi(connection).open("backup", { accept })).body;
  } catch (error) {
    if (!(error instanceof HyperpilotError) || named !== undefined) throw error;
    // Nobody listens there any more, or somebody else does.
    if (error.code === "E_UNREACHABLE" || error.code === "E_UNAUTHENTICATED") return null;
    throw error;
  }
}

function pathOption({ options, context }: Invocation, name: string, example: string): string {
  const value = textOption(options, name);
  if (value === undefined || value === "") throw usageError(`--${name} is missing.`, example);
  return resolve(context.workingDirectory, value);
}

function progressText(progress: BackupProgress): string {
  const { events, eventsAbout, files, filesAbout, bytes } = progress;
  return `events ${events} of ${Math.max(events, eventsAbout)}, files ${files} of ${Math.max(files, filesAbout)}, ${formatBytes(bytes)}`;
}

/** Says something now and then, to people only. */
function seldom({ output, clock }: Context): (text: () => string) => void {
  let saidMs = clock.monotonicMs();
  return (text) => {
    const nowMs = clock.monotonicMs();
    if (output.json || nowMs - saidMs < PROGRESS_MS) return;
    saidMs = nowMs;
    output.talk(text());
  };
}
