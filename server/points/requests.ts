/** Requests of slots for work. */
import { compareEpochs } from "../../protocol/ids.ts";
import type { GrantedItem } from "../../protocol/pilot-messages.ts";
import { setWaiting, type LivePilot } from "../live.ts";
import { CLOSE } from "../inbox.ts";
import { effect, type Turn } from "../turn.ts";
import { sendGrant } from "./broker.ts";

export interface SlotRequest {
  readonly slot: number;
  readonly requestNo: number;
  readonly want: number;
}

/** Notes the request; a repeated one gets the same grants again. Returns whether the slot waits for work now. */
export function takeRequest(turn: Turn, pilot: LivePilot, request: SlotRequest): boolean {
  const slot = pilot.slots[request.slot];
  if (slot === undefined) {
    effect(turn, {
      type: "audit",
      what: "protocolViolation",
      who: pilot.id,
      detail: `request for slot ${request.slot}`,
    });
    if (pilot.session !== null) {
      effect(turn, {
        type: "close",
        session: pilot.session,
        code: CLOSE.protocolViolation,
        reason: "unknown slot",
      });
    }
    return false;
  }
  if (request.requestNo < slot.requestNo) return false;
  if (request.requestNo === slot.requestNo && slot.lastGrant?.requestNo === request.requestNo) {
    const held = slot.lastGrant.items.filter((item) => isHeld(turn, pilot, item));
    if (held.length > 0) {
      sendGrant(turn, pilot, slot, held);
      return false;
    }
  }
  slot.requestNo = request.requestNo;
  if (pilot.draining) return false;
  setWaiting(turn.live, pilot, slot, true);
  return true;
}

function isHeld(turn: Turn, pilot: LivePilot, granted: GrantedItem): boolean {
  const task = turn.core.tasks.get(granted.item.taskId);
  if (granted.item.type === "steering") {
    const run = task?.run;
    return run?.lease?.pilotId === pilot.id && compareEpochs(run.epoch, granted.epoch) === 0;
  }
  const point = task?.points.get(granted.item.pointId);
  return point?.lease?.pilotId === pilot.id && compareEpochs(point.epoch, granted.epoch) === 0;
}
