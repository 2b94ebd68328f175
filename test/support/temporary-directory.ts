import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "../../pilot/workdir.ts";

export interface TemporaryDirectory {
  readonly path: string;
  remove(): Promise<void>;
}

/** A private directory for one test, in /tmp unless said; the test removes it in `afterEach`. */
export function temporaryDirectory(parent = tmpdir()): TemporaryDirectory {
  const path = mkdtempSync(join(parent, "hyperpilot-test-"));
  return { path, remove: () => removeTree(path) };
}
