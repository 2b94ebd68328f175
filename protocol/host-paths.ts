/** Directories of a node that a `host:` payload sees, where they are there; with them a few files of /etc and the queue's readOnlyPaths. */
export const HOST_SYSTEM_PATHS = [
  "/usr",
  "/bin",
  "/sbin",
  "/lib",
  "/lib32",
  "/lib64",
  "/libx32",
  "/opt",
] as const;

/** The value of PATH in a payload, unless the queue sets another one. `.` follows. */
export const PAYLOAD_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** Whether a normalised absolute path is the directory or lies below it. */
export function isBelow(path: string, directory: string): boolean {
  const top = directory.endsWith("/") ? directory : `${directory}/`;
  return path === directory || path.startsWith(top);
}
