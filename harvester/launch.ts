/** How a node starts the pilot. */

/** Words that start a pilot from a boot file. */
export interface PilotLaunch {
  /** The words, with paths as the node sees them; `bootFile` is a path there too. */
  on(bootFile: string): readonly string[];
  /** Files that a batch system which shares no file system must bring to the node; empty: all paths are on a shared one. */
  readonly files: readonly string[];
}

/** A pilot whose program lies on a file system that the nodes share. */
export function sharedLaunch(command: readonly string[]): PilotLaunch {
  return { on: (bootFile) => [...command, bootFile], files: [] };
}
