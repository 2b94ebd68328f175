import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Absolute path of a program in PATH and the usual system directories, or null. */
export function findProgram(
  name: string,
  searchPath: string = process.env["PATH"] ?? "",
): string | null {
  const directories = [...searchPath.split(delimiter), "/usr/bin", "/bin", "/usr/local/bin"];
  for (const directory of directories) {
    // A relative entry would find whatever lies in the current directory.
    if (!directory.startsWith("/")) continue;
    const candidate = join(directory, name);
    if (isExecutableFile(candidate)) return candidate;
  }
  return null;
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    // Absent or not ours to run: both mean "look further".
    return false;
  }
}
