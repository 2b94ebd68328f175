/** What is particular to harvesters on the wire. */
import { FromHarvesterFrame } from "../../protocol/harvester-messages.ts";
import type { PeerToken } from "../live.ts";
import type { Peer } from "./connection.ts";

/** A harvester under the name of its token's user. Its protocol has no refusal: the close reason says why. */
export function harvesterPeer(token: PeerToken): Peer {
  return {
    kind: "harvester",
    name: token.user,
    items: (session, frame) => {
      const messages = FromHarvesterFrame.safeParse(frame);
      if (!messages.success) return null;
      return messages.data.map((message) => ({ type: "harvester", session, token, message }));
    },
    closed: (session) => ({ type: "harvesterClosed", session }),
    refusal: () => null,
  };
}
