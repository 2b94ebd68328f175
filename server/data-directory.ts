/** The data directory and the private files in it: nobody else on the machine may look inside. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { HyperpilotError, errorText, systemErrorCode } from "../protocol/errors.ts";
import { replaceFile } from "./disk.ts";
import { systemDisk } from "./system-disk.ts";

const PRIVATE_DIRECTORY = 0o700;
const OTHERS = 0o077;
const KEY_BYTES = 32;

/** Makes the directory if it is not there. Errors: E_CONFIG when it cannot be made or others may look inside. */
export async function openDataDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: PRIVATE_DIRECTORY });
    const { mode } = await stat(path);
    if ((mode & OTHERS) === 0) return;
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_CONFIG",
        message: `The data directory ${path} cannot be used.`,
        why: errorText(error),
        remedy: "Name a directory of yours with --data.",
      },
      error,
    );
  }
  throw tooOpen(`The data directory ${path}`, `chmod 700 ${path}`);
}

function tooOpen(what: string, remedy: string): HyperpilotError {
  return new HyperpilotError({
    code: "E_CONFIG",
    message: `${what} can be read by other users of this machine.`,
    why: "It holds tokens and keys.",
    remedy,
  });
}

/** Writes a file that only its owner may read; after a crash the old or the new content is there, complete. */
export function writePrivateFile(path: string, content: string | Uint8Array): Promise<void> {
  return replaceFile(systemDisk, path, Buffer.from(content));
}

/** The content, or null when there is no file. Errors: E_CONFIG when others may read it. */
export async function readPrivateFile(path: string): Promise<Buffer | null> {
  try {
    const { mode } = await stat(path);
    if ((mode & OTHERS) !== 0) throw tooOpen(`The file ${path}`, `chmod 600 ${path}`);
    return await readFile(path);
  } catch (error) {
    if (systemErrorCode(error) === "ENOENT") return null;
    throw error;
  }
}

/** The key of session and lease tokens, made at the first start. Errors: E_CONFIG. */
export async function openServerKey(dataDirectory: string): Promise<Uint8Array> {
  const path = join(dataDirectory, "session-key");
  const known = await readPrivateFile(path);
  if (known === null) {
    const key = randomBytes(KEY_BYTES);
    await writePrivateFile(path, key);
    return key;
  }
  if (known.length === KEY_BYTES) return known;
  throw new HyperpilotError({
    code: "E_CONFIG",
    message: `The key ${path} has ${known.length} bytes instead of ${KEY_BYTES}.`,
    why: "It was changed by something else than the server.",
    remedy: `Restore it from a backup, or remove it: pilots that run now then have to be started again.`,
  });
}
