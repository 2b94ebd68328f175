/** Watches the files that an evaluation wants to have saved. The only importer of chokidar. */
import { statfsSync } from "node:fs";
import { relative, sep } from "node:path";
import { watch } from "chokidar";
import { PILOT } from "../protocol/limits.ts";
import type { CheckpointNames } from "./checkpoint-names.ts";

export interface ChangeWatch {
  /** Whether something may have changed since the last time this was asked. */
  takeChanged(): boolean;
  close(): Promise<void>;
}

/**
 * File systems that other nodes write to: the kernel tells of changes made on this node only (statfs(2), and
 * include/uapi/linux/magic.h; Lustre, GPFS and BeeGFS from their own sources).
 */
const SHARED_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x6969, // NFS
  0xff534d42, // CIFS
  0xfe534d42, // SMB2
  0x5346414f, // AFS
  0x00c36400, // Ceph
  0x65735546, // FUSE
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x19830326, // BeeGFS
]);

/** Whether changes below a directory must be looked for again and again, as nobody tells of them. */
export function needsPolling(directory: string): boolean {
  return SHARED_FILE_SYSTEMS.has(statfsSync(directory).type >>> 0);
}

/**
 * Begins to watch. Where watching fails - the node has no watches left, there are too many entries - everything counts as
 * changed, and the caller's own look decides. Links are not followed.
 */
export function watchForChanges(
  directory: string,
  names: CheckpointNames,
  usePolling: boolean,
): ChangeWatch {
  let changed = true;
  let isReady = false;
  let failed = false;
  let entries = 0;
  const ignored = (path: string): boolean => {
    const parts = relative(directory, path).split(sep);
    if (parts[0] === "" || parts[0] === "..") return false;
    if (names.selects(parts) === "no") return true;
    entries += 1;
    if (entries <= WATCHED_ENTRIES_MAX) return false;
    failed = true;
    return true;
  };
  const watcher = watch(directory, {
    ignored,
    ignoreInitial: true,
    followSymlinks: false,
    ignorePermissionErrors: true,
    depth: PILOT.checkpointDepthMax,
    usePolling,
    interval: PILOT.checkpointPollMs,
    binaryInterval: PILOT.checkpointPollMs,
    persistent: false,
  });
  watcher.on("all", () => {
    changed = true;
  });
  watcher.on("ready", () => {
    isReady = true;
  });
  watcher.on("error", () => {
    failed = true;
  });
  return {
    takeChanged: () => {
      const was = changed || failed;
      // What is written before the watch stands is not told.
      changed = !isReady;
      return was;
    },
    close: () => watcher.close(),
  };
}

/** Each entry is asked about a few times. */
const WATCHED_ENTRIES_MAX = PILOT.checkpointEntriesMax * 8;
