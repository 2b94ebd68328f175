/** What the pilots of a data directory on this machine say of themselves, line by line. */
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import {
  ERROR_KINDS,
  systemErrorCode,
  type ErrorCode,
  type ErrorParts,
} from "../../protocol/errors.ts";

/** The end of an evaluation, or of a steering run, as a pilot notes it. */
const Ended = z.object({
  event: z.literal("ended"),
  item: z.object({ type: z.enum(["evaluation", "steering"]) }),
  seconds: z.number().optional(),
  runtime: z.string().nullish(),
  memoryBytesPeak: z.number().nullish(),
});
const Probed = z.object({
  event: z.literal("probed"),
  capacity: z.object({ runtimes: z.array(z.string()) }),
});

const Image = z.union([
  z.object({ event: z.literal("image"), line: z.string() }),
  z.object({ event: z.literal("registryUnreachable"), image: z.string(), error: z.string() }),
]);

export interface PilotNotes {
  readonly evaluation: z.infer<typeof Ended> | null;
  readonly steering: z.infer<typeof Ended> | null;
  /** Runtimes that work here, best first. */
  readonly runtimes: readonly string[];
}

export function readPilotNotes(data: string): PilotNotes {
  const lines = pilotLogs(data)
    .flatMap((text) => text.split("\n"))
    .map(parsed);
  const ended = lines.flatMap((line) => {
    const { data: note } = Ended.safeParse(line);
    return note === undefined ? [] : [note];
  });
  const probed = lines.flatMap((line) => Probed.safeParse(line).data?.capacity.runtimes ?? []);
  return {
    evaluation: ended.findLast(({ item }) => item.type === "evaluation") ?? null,
    steering: ended.findLast(({ item }) => item.type === "steering") ?? null,
    runtimes: [...new Set(probed)],
  };
}

/** How far the image of an evaluation is; null: none is waited for. */
export function awaitedImage(data: string): string | null {
  const notes = pilotLogs(data).flatMap((log) =>
    log.split("\n").flatMap((line) => Image.safeParse(parsed(line)).data ?? []),
  );
  const last = notes.at(-1);
  if (last === undefined) return null;
  if (last.event === "registryUnreachable")
    return `image ${last.image} cannot be asked for: ${last.error}; trying again`;
  return / is here after /.test(last.line) ? null : last.line;
}

/** What a pilot that could not start said, in the parts of an error; null when none did. */
export function pilotFailure(data: string): ErrorParts | null {
  for (const text of pilotLogs(data).toReversed()) {
    const [, code = "", message = ""] = /^✗ (E_\w+) (.+)$/m.exec(text) ?? [];
    if (!isErrorCode(code)) continue;
    const part = (label: string): string | undefined =>
      new RegExp(`^ {2}${label} +(.+(?:\\n {8}.+)*)$`, "m")
        .exec(text)?.[1]
        ?.replace(/\n {8}/g, "\n");
    const [why, remedy] = [part("Why"), part("Do")];
    return {
      code,
      message: `Evaluations cannot be started on this machine: ${message}`,
      ...(why === undefined ? {} : { why }),
      ...(remedy === undefined ? {} : { remedy }),
    };
  }
  return null;
}

function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(ERROR_KINDS, code);
}

/** The oldest first. */
function pilotLogs(data: string): readonly string[] {
  const directory = join(data, "harvester", "submissions");
  const files = entries(directory).map((name) => join(directory, name, "pilot.log"));
  const ages = new Map(files.map((file) => [file, changedMs(file)]));
  return files.sort((a, b) => (ages.get(a) ?? 0) - (ages.get(b) ?? 0)).map(text);
}

function changedMs(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function entries(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  }
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    // A submission whose pilot has not been started.
    if (systemErrorCode(error) === "ENOENT") return "";
    throw error;
  }
}

function parsed(line: string): unknown {
  try {
    return line.startsWith("{") ? JSON.parse(line) : null;
  } catch {
    // The line that is just being written.
    return null;
  }
}
