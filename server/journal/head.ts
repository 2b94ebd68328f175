/** The head file: how far the journal reached, kept beside it, because LevelDB drops damaged records silently. */
import { z } from "zod";
import { systemErrorCode } from "../../protocol/errors.ts";
import { replaceFile, type Disk } from "../disk.ts";
import { brokenJournal } from "./journal-errors.ts";

const HeadFile = z.strictObject({
  version: z.literal(1),
  seq: z.number().int().nonnegative(),
  hash: z.string().length(64),
  term: z.number().int().nonnegative(),
});
export type HeadFile = z.infer<typeof HeadFile>;

/** The head, or null when there is no file. Errors: E_JOURNAL_BROKEN when it cannot be read. */
export async function readHead(disk: Disk, file: string): Promise<HeadFile | null> {
  let bytes: Uint8Array | null;
  try {
    bytes = await disk.read(file);
  } catch (error) {
    const why = `its head file cannot be read: ${systemErrorCode(error) ?? "unknown error"}`;
    throw brokenJournal(0, why, error);
  }
  if (bytes === null) return null;
  try {
    return HeadFile.parse(JSON.parse(Buffer.from(bytes).toString("utf8")));
  } catch (error) {
    throw brokenJournal(0, "its head file is damaged", error);
  }
}

export type HeadToWrite = Omit<HeadFile, "version">;

/** Writes the head; after a crash the old or the new one is there. */
export async function writeHead(disk: Disk, file: string, head: HeadToWrite): Promise<void> {
  const { seq, hash, term } = head;
  const text = JSON.stringify({ version: 1, seq, hash, term });
  await replaceFile(disk, file, Buffer.from(text));
}
