import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../pilot/workdir.ts";

export interface TemporaryDirectory {
  readonly path: string;
  remove(): Promise<void>;
}

/** A private directory for one test; the test removes it in `afterEach`. */
export function temporaryDirectory(): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), "hyperpilot-test-"));
  return { path, remove: () => removeTree(path) };
}
