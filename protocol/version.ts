/** Version of the messages between server, pilots and harvesters. A peer one version older still works. */
export const PROTOCOL_VERSION = 1;
export const PROTOCOL_VERSION_MIN = 1;

export interface ProtocolRange {
  readonly min: number;
  readonly max: number;
}

/** The newest version that both sides speak, or null when there is none. */
export function commonVersion(ours: ProtocolRange, theirs: ProtocolRange): number | null {
  const version = Math.min(ours.max, theirs.max);
  return version >= Math.max(ours.min, theirs.min) ? version : null;
}

export const OUR_RANGE: ProtocolRange = { min: PROTOCOL_VERSION_MIN, max: PROTOCOL_VERSION };

/** Version of the `--json` documents: fields are added, never changed. */
export const API_VERSION = "hyperpilot/v1";

/** Version of the programs, as in package.json. */
export const VERSION = "0.1.0";
