/** What is particular to pilots on the wire. */
import { FromPilotFrame, type ToPilot } from "../../protocol/pilot-messages.ts";
import type { PilotClaims } from "../auth/session-tokens.ts";
import type { Peer } from "./connection.ts";

/** A pilot as its session token names it: every message is posted under that identity, whatever it says. */
export function pilotPeer({ pilotId, submissionId }: PilotClaims): Peer {
  return {
    kind: "pilot",
    name: pilotId,
    items: (session, frame) => {
      const messages = FromPilotFrame.safeParse(frame);
      if (!messages.success) return null;
      return messages.data.map((message) => ({
        type: "pilot",
        session,
        pilotId,
        submissionId,
        message,
      }));
    },
    closed: (session) => ({ type: "pilotClosed", session }),
    refusal: (code, message) => ({ type: "refused", code, message }) satisfies ToPilot,
  };
}
