/** Which blobs the durable state needs. */
import type { Core } from "../core.ts";

/** sha256, hex, of every blob that a task names. */
export function referencedBlobs(core: Core): Set<string> {
  const found = new Set<string>();
  for (const { spec } of core.tasks.values())
    if (spec.sandboxSha256 !== null) found.add(spec.sandboxSha256);
  return found;
}
