/** Messages of the agent that tell its whole state. Pure. */
import type { FromPilotOf, HeldLease } from "../protocol/pilot-messages.ts";
import { OUR_RANGE } from "../protocol/version.ts";
import type { AgentOptions } from "./agent-port.ts";
import type { Running } from "./agent-slot.ts";

/** `passedSeconds`: since the capacity was measured. */
export function helloOf(
  { instance, capacity, slots }: AgentOptions,
  leases: readonly HeldLease[],
  passedSeconds: number,
): FromPilotOf<"hello"> {
  const { walltimeLeftSeconds } = capacity;
  return {
    type: "hello",
    protocol: OUR_RANGE,
    instance,
    capacity: {
      ...capacity,
      walltimeLeftSeconds:
        walltimeLeftSeconds === null ? null : Math.max(0, walltimeLeftSeconds - passedSeconds),
    },
    slots: [...slots],
    leases: [...leases],
  };
}

export function beatOf(
  grantSeen: number,
  leases: readonly HeldLease[],
  running: readonly Running[],
): FromPilotOf<"beat"> {
  const warnings = running.flatMap(({ lease: { item, epoch }, warning }) =>
    warning === null ? [] : [{ item, epoch, text: warning }],
  );
  return {
    type: "beat",
    grantSeen,
    leases: [...leases],
    ...(warnings.length === 0 ? {} : { warnings }),
  };
}
