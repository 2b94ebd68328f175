/**
 * Opens what lies below a directory without ever following a link, whatever a payload does to names and directories at the
 * same time: each directory is opened from the one above, which Linux offers under /proc/self/fd.
 */
import { closeSync, constants, openSync } from "node:fs";

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK } = constants;

/** Path of a name within an open directory. */
export function inOpenDirectory(directory: number, name: string): string {
  return `/proc/self/fd/${directory}/${name}`;
}

/** Runs `use` with an open directory and closes it. Errors: ELOOP, ENOTDIR or ENOENT where a part is no plain directory. */
export async function withDirectory<T>(
  root: string,
  parts: readonly string[],
  use: (directory: number) => Promise<T> | T,
): Promise<T> {
  const directory = openDirectory(root, parts);
  try {
    return await use(directory);
  } finally {
    closeSync(directory);
  }
}

/** A descriptor of a directory. Errors as above. */
export function openDirectory(root: string, parts: readonly string[]): number {
  let directory = openSync(root, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  for (const part of parts) {
    const above = directory;
    try {
      directory = openSync(inOpenDirectory(above, part), O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    } finally {
      closeSync(above);
    }
  }
  return directory;
}

/** A descriptor for reading; never waits, also not for a FIFO. Errors: ELOOP for a link, ENXIO for a socket. */
export function openBelow(root: string, parts: readonly string[]): number {
  const name = parts.at(-1);
  if (name === undefined) throw new Error("no name");
  const directory = openDirectory(root, parts.slice(0, -1));
  try {
    return openSync(inOpenDirectory(directory, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } finally {
    closeSync(directory);
  }
}
