/** The disk of this machine. */
import { createReadStream } from "node:fs";
import { mkdir, open, readFile, readdir, rename, rm, stat } from "node:fs/promises";
import { systemErrorCode } from "../protocol/errors.ts";
import type { Disk } from "./disk.ts";

const PRIVATE_FILE = 0o600;
const PRIVATE_DIRECTORY = 0o700;

export const systemDisk: Disk = {
  async makeDirectory(path) {
    await mkdir(path, { recursive: true, mode: PRIVATE_DIRECTORY });
  },
  list: async (path) => (await readdir(path).catch(absent))?.sort() ?? [],
  sizeBytes: async (path) => (await stat(path).catch(absent))?.size ?? null,
  read: (path) => readFile(path).catch(absent),
  stream: (path, startByte) => createReadStream(path, { start: startByte }),
  async create(path) {
    const handle = await open(path, "w", PRIVATE_FILE);
    // The mode given to open is that of a new file only.
    await handle.chmod(PRIVATE_FILE);
    return {
      write: (bytes) => handle.writeFile(bytes),
      sync: () => handle.sync(),
      close: () => handle.close(),
    };
  },
  rename,
  remove: (path) => rm(path, { recursive: true, force: true }),
  async syncDirectory(path) {
    const handle = await open(path, "r");
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  },
};

function absent(error: unknown): null {
  if (systemErrorCode(error) === "ENOENT") return null;
  throw error;
}
