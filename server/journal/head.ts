/** The head file: how far the journal reached, kept beside it, because LevelDB drops damaged records silently. */
import { readFileSync } from "node:fs";
import { open, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { z } from "zod";
import { systemErrorCode } from "../../protocol/errors.ts";
import { brokenJournal } from "./record.ts";

const HeadFile = z.strictObject({
  version: z.literal(1),
  seq: z.number().int().nonnegative(),
  hash: z.string().length(64),
  term: z.number().int().nonnegative(),
});
export type HeadFile = z.infer<typeof HeadFile>;

/** The head, or null when there is no file. Errors: E_JOURNAL_BROKEN when it cannot be read. */
export function readHead(file: string): HeadFile | null {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw brokenJournal(
      0,
      `its head file cannot be read: ${systemErrorCode(error) ?? "unknown error"}`,
      error,
    );
  }
  try {
    return HeadFile.parse(JSON.parse(text));
  } catch (error) {
    throw brokenJournal(0, "its head file is damaged", error);
  }
}

export type HeadToWrite = Omit<HeadFile, "version">;

/** Writes the head so that after a crash the old or the new one is there: temp, fsync, rename, fsync of the directory. */
export async function writeHead(file: string, head: HeadToWrite): Promise<void> {
  const temporary = `${file}.new`;
  const handle = await open(temporary, "w", 0o600);
  try {
    await handle.writeFile(
      JSON.stringify({ version: 1, seq: head.seq, hash: head.hash, term: head.term }),
    );
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const directory = await open(dirname(file), "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
