/** A data directory that is gone afterwards, whatever evaluations left in it. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { HyperpilotError, errorText } from "../../protocol/errors.ts";

const END_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Makes a private directory and removes it when `body` has ended. `body` listens for signals and ends by them; before it
 * does, they wait.
 */
export async function withTemporaryDirectory<T>(
  body: (directory: string) => Promise<T>,
): Promise<T> {
  const wait = (): void => undefined;
  for (const signal of END_SIGNALS) process.on(signal, wait);
  const directory = mkdtempSync(join(tmpdir(), "hyperpilot-try-"));
  try {
    return await body(directory);
  } finally {
    remove(directory);
    for (const signal of END_SIGNALS) process.removeListener(signal, wait);
  }
}

/** Evaluations may leave directories that nobody may write to. */
function remove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    return;
  } catch {
    // Below with its modes corrected; what fails then is told.
  }
  spawnSync("/bin/chmod", ["-R", "u+rwX", "--", directory], { stdio: "ignore" });
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch (error) {
    throw new HyperpilotError(
      {
        code: "E_FILE",
        message: `The directory ${directory} cannot be removed.`,
        why: errorText(error),
        remedy: `Remove it yourself: rm -rf ${directory}`,
      },
      error,
    );
  }
}
